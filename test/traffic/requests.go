package traffic

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Request is made in a namespace of a tenant, by a cluster administrator.
type Request struct {
	// Name says what it is about.
	Name string
	// Policy that refuses it, without its prefix; empty for what is lawful.
	Policy string
	// Object to create in a dry run, or, with Patch or Remove, to change or delete in earnest. NAMESPACE stands for the
	// tenant's namespace, NUMBER for one that is new each time.
	Object string
	// Patch is merged into what is there.
	Patch string
	// Remove deletes it.
	Remove bool
}

// What the requests expect of a tenant: these storage classes, of which the profile allows the first, the ConfigMap in its
// namespaces, 203.0.113.0/24 as its allowlist, and channel sms disabled, as fixture tenants and profiles have them.
const (
	Encrypted = "encrypted"
	Plain     = "plain"
	Counter   = "app-counter"
)

const (
	home     = "{apiVersion: v1, kind: Namespace, metadata: {name: NAMESPACE}}"
	denyAll  = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-default-deny}}"
	podStart = "{apiVersion: v1, kind: Pod, metadata: {name: web%s}, spec: {%sautomountServiceAccountToken: false, securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, " +
		"containers: [{name: web, image: example/web, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, resources: {requests: {cpu: 10m, memory: 1Mi}, limits: {cpu: 10m, memory: 1Mi}}}]}}"
)

func pod(metadata, spec string) string { return fmt.Sprintf(podStart, metadata, spec) }

func netpol(spec string) string {
	return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: mine}, spec: {podSelector: {}, " + spec + "}}"
}

func claim(name, class string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: %s}}", name, class)
}

func service(spec string) string {
	return "{apiVersion: v1, kind: Service, metadata: {name: mine}, spec: {selector: {app: web}, ports: [{port: 443}], " + spec + "}}"
}

// Forbidden are of every class of policy but the one on emergency access.
var Forbidden = []Request{
	{Name: "open to everybody", Policy: "network", Object: netpol("ingress: [{}]")},
	{Name: "reach everybody", Policy: "network", Object: netpol("policyTypes: [Egress], egress: [{}]")},
	{Name: "open outside the allowlist", Policy: "network", Object: netpol("ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]")},
	{Name: "delete deny-all", Policy: "tenancy", Object: denyAll, Remove: true},
	{Name: "move deny-all off the pods", Policy: "tenancy", Object: denyAll, Patch: "{spec: {podSelector: {matchLabels: {app: nothing}}}}"},
	{Name: "delete the namespace", Policy: "tenancy", Object: home, Remove: true},
	{Name: "leave the tenant", Policy: "tenancy", Object: home, Patch: "{metadata: {labels: {hipaatenant.dev/tenant: null}}}"},
	{Name: "widen the allowlist", Policy: "tenancy", Object: home, Patch: "{metadata: {annotations: {hipaatenant.dev/ip-allowlist: 0.0.0.0/0}}}"},
	{Name: "delete the data keys", Policy: "tenancy", Object: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", Remove: true},
	{Name: "delete the quota", Policy: "tenancy", Object: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota}}", Remove: true},
	{Name: "let everybody in", Policy: "tenancy", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: mine}, " +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: none}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]}"},
	{Name: "go past the scheduler", Policy: "placement-bind", Object: pod("", "nodeName: eu-1, ")},
	{Name: "serve a disabled channel", Policy: "workload", Object: pod(", labels: {hipaatenant.dev/channel: sms}", "")},
	{Name: "keep data elsewhere", Policy: "storage", Object: claim("mine", Plain)},
	{Name: "open a port on every node", Policy: "exposure", Object: service("type: NodePort")},
}

// Lawful is what tenants do all day, and what happens in a namespace that is no tenant's.
var Lawful = []Request{
	{Name: "run a pod", Object: pod("", "")},
	{Name: "open within the allowlist", Object: netpol("ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/28}}]}]")},
	{Name: "talk among one's own", Object: netpol("ingress: [{from: [{podSelector: {}}]}]")},
	{Name: "keep data", Object: claim("mine", Encrypted)},
	{Name: "offer a service", Object: service("type: ClusterIP")},
	{Name: "change a setting", Object: "{apiVersion: v1, kind: ConfigMap, metadata: {name: " + Counter + "}}", Patch: "{data: {count: 'NUMBER'}}"},
	{Name: "be no tenant", Object: "{apiVersion: v1, kind: Service, metadata: {name: other, namespace: default}, spec: {type: NodePort, selector: {app: web}, ports: [{port: 443}]}}"},
}

// send makes a request in a namespace.
func (q Request) send(ctx context.Context, c client.Client, namespace string, number int) error {
	fill := strings.NewReplacer("NAMESPACE", namespace, "NUMBER", fmt.Sprint(number))
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(fill.Replace(q.Object)), &o.Object); err != nil {
		return err
	}
	if o.GetNamespace() == "" && o.GetKind() != "Namespace" {
		o.SetNamespace(namespace)
	}
	switch {
	case q.Remove:
		return c.Delete(ctx, o)
	case q.Patch != "":
		patch, err := yaml.YAMLToJSON([]byte(fill.Replace(q.Patch)))
		if err != nil {
			return err
		}
		return c.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
	default:
		return c.Create(ctx, o, client.DryRunAll)
	}
}

// verdict on the answer to a request.
type verdict int

const (
	// asMeant: lawful and done, or forbidden and refused by the policy in charge.
	asMeant verdict = iota
	// amiss: lawful and refused, or forbidden and done.
	amiss
	// elsewhere: forbidden, and refused, but not by the policy in charge, so that nothing is told of that policy.
	elsewhere
	// unclear: answered otherwise, such as by a server that is away, or for something that is gone.
	unclear
)

func (q Request) judge(err error) verdict {
	refused := err != nil && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err))
	switch {
	case q.Policy == "" && err == nil:
		return asMeant
	case q.Policy == "" && refused, q.Policy != "" && err == nil:
		return amiss
	case refused && strings.Contains(err.Error(), "'hipaatenant-"+q.Policy+"'"): // in quotes: names of policies begin alike
		return asMeant
	case refused:
		return elsewhere
	default:
		return unclear
	}
}
