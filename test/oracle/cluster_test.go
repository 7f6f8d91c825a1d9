package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	engineapi "sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// cluster is what stands after the operator is done with a world.
type cluster struct {
	world      *World
	namespaces map[string]compile.Namespace
	policies   map[v1alpha1.ObjectRef]*networkingv1.NetworkPolicy
}

// settle brings a world into being, as the operator does: what each tenant asked for before, then what it asks for now,
// or what that leaves of what stands, then its retirement.
func settle(w *World) (*cluster, error) {
	c := &cluster{world: w, namespaces: map[string]compile.Namespace{}, policies: map[v1alpha1.ObjectRef]*networkingv1.NetworkPolicy{}}
	for _, t := range w.Tenants {
		if err := c.live(t); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	return c, nil
}

func (c *cluster) live(t *Tenant) error {
	object := &v1alpha1.HIPAATenant{ObjectMeta: metav1.ObjectMeta{Name: t.Name, UID: types.UID("u-" + t.Name)}}
	if t.Before != nil {
		object.Spec = *t.Before.DeepCopy()
		plan := compile.Compile(object, c.facts(t, t.Before, true))
		if !plan.Writable() {
			return fmt.Errorf("what it asked for before cannot be honoured: %v %v", plan.Findings, plan.Waiting)
		}
		if err := c.apply(object, plan); err != nil {
			return err
		}
	}
	object.Spec = *t.Now.DeepCopy()
	facts := c.facts(t, &t.Now, false)
	facts.Standing = c.standing(t)
	plan := compile.Compile(object, facts)
	if plan.Writable() == (t.Mistake != "") {
		return fmt.Errorf("what it asks for can be honoured: %t, its mistake: %q: %v %v", plan.Writable(), t.Mistake, plan.Findings, plan.Waiting)
	}
	if err := c.apply(object, plan); err != nil {
		return err
	}
	if t.Deleted {
		return c.apply(object, compile.Retire(object, c.facts(t, &t.Now, false)))
	}
	return nil
}

func (c *cluster) facts(t *Tenant, spec *v1alpha1.HIPAATenantSpec, earlier bool) compile.Facts {
	f := compile.Facts{
		Profile: c.world.profile(spec).DeepCopy(), Associates: map[string]*v1alpha1.BusinessAssociate{}, Namespaces: c.namespaces,
		Keysets: map[string]compile.Keyset{}, AdmissionEnforced: true, OperatorNamespace: v1alpha1.OperatorNamespace, Now: now,
	}
	if earlier {
		f.Now = before
	}
	for _, a := range c.world.Associates {
		f.Associates[a.Name] = a.DeepCopy()
	}
	for _, name := range t.namespaces(spec) {
		f.Keysets[name] = compile.Keyset{Document: []byte("{}")}
	}
	return f
}

// standing is what the tenant's policies open by now.
func (c *cluster) standing(t *Tenant) map[string]compile.Standing {
	out := map[string]compile.Standing{}
	for _, name := range t.namespaces(t.Before) {
		out[name] = compile.NewStanding()
	}
	for ref, policy := range c.policies {
		if s, own := out[ref.Namespace]; own {
			s.Policies[ref.Name] = policy.Spec
		}
	}
	return out
}

// apply writes a plan and prunes what it gives up.
func (c *cluster) apply(t *v1alpha1.HIPAATenant, plan *compile.Plan) error {
	for _, config := range slices.Concat(plan.Waves()...) {
		switch config := config.(type) {
		case *accore.NamespaceApplyConfiguration:
			uid := types.UID("ns-" + *config.Name)
			c.namespaces[*config.Name] = compile.Namespace{UID: uid, Labels: config.Labels, Facts: config.Annotations}
			t.Status.Namespaces = append(t.Status.Namespaces, v1alpha1.NamespaceStatus{Name: *config.Name, UID: uid})
		case *acnet.NetworkPolicyApplyConfiguration:
			object, err := stored(config)
			if err != nil {
				return err
			}
			c.policies[policyRef(object.Namespace, object.Name)] = object
		}
	}
	for _, ref := range t.Status.Inventory {
		if !plan.Owns(ref) {
			delete(c.policies, ref)
		}
	}
	t.Status.Inventory = plan.Refs()
	return nil
}

func policyRef(namespace, name string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: "NetworkPolicy.networking.k8s.io", Namespace: namespace, Name: name}
}

// stored is the object the API server keeps of an apply configuration.
func stored(config *acnet.NetworkPolicyApplyConfiguration) (*networkingv1.NetworkPolicy, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	object := &networkingv1.NetworkPolicy{}
	return object, json.Unmarshal(text, object)
}

// judge is the engine, filled with one cluster at a time.
type judge struct {
	factory informers.SharedInformerFactory
	engine  *networkpolicy.PolicyEngine
	pods    map[string]*engineapi.PodInfo
}

// newJudge makes an engine whose informers are never started: their stores are filled by hand.
func newJudge() *judge {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	j := &judge{factory: informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(&rest.Config{}), 0)}
	policies := networkpolicy.NewStandardNetworkPolicy("node",
		j.factory.Core().V1().Namespaces(), j.factory.Core().V1().Pods(), j.factory.Networking().V1().NetworkPolicies())
	j.engine = networkpolicy.NewPolicyEngine(j, []engineapi.PolicyEvaluator{policies})
	return j
}

// GetPodInfoByIP tells the engine which pod an address belongs to.
func (j *judge) GetPodInfoByIP(ip string) (*engineapi.PodInfo, bool) {
	info, found := j.pods[ip]
	return info, found
}

func (j *judge) enter(c *cluster) error {
	policies := make([]any, 0, len(c.policies))
	for _, p := range c.policies {
		policies = append(policies, p)
	}
	j.pods = map[string]*engineapi.PodInfo{}
	for _, p := range c.world.Pods {
		labels := map[string]string{corev1.LabelMetadataName: p.Namespace}
		maps.Copy(labels, c.namespaces[p.Namespace].Labels)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels}, Spec: corev1.PodSpec{NodeName: "node"}}
		for _, ip := range p.IPs {
			j.pods[ip.String()] = engineapi.NewPodInfo(pod, labels, nil, "")
		}
	}
	return j.factory.Networking().V1().NetworkPolicies().Informer().GetIndexer().Replace(policies, "")
}

func (j *judge) allows(p Packet) (bool, error) {
	family := corev1.IPv6Protocol
	if p.To.Unmap().Is4() {
		family = corev1.IPv4Protocol
	}
	return j.engine.EvaluatePacket(context.Background(), &network.Packet{
		Family: family, SrcIP: net.IP(p.From.AsSlice()), DstIP: net.IP(p.To.AsSlice()),
		Proto: corev1.Protocol(p.Protocol), SrcPort: 40000, DstPort: int(p.Port),
	})
}

// policiesAt are the policies at both ends of a packet.
func (c *cluster) policiesAt(p Packet) string {
	var out []string
	for _, pod := range []*Pod{c.world.podAt(p.From), c.world.podAt(p.To)} {
		for ref, policy := range c.policies {
			if pod != nil && ref.Namespace == pod.Namespace {
				spec, err := yaml.Marshal(policy.Spec)
				if err != nil {
					return err.Error()
				}
				out = append(out, fmt.Sprintf("# %s/%s\n%s", ref.Namespace, ref.Name, spec))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "")
}
