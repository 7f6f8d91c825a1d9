package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// nodes: two in regions of the tenants, one outside, one nobody knows the region of.
var nodes = []cluster.Node{
	{Name: "us-1", Region: "us-east-1", ProviderID: "aws:///us-east-1a/i-us1"},
	{Name: "west-1", Region: "us-west-2", ProviderID: "aws:///us-west-2a/i-west1"},
	{Name: "eu-1", Region: "eu-west-1", ProviderID: "aws:///eu-west-1a/i-eu1"},
	{Name: "bare-1"},
}

// populate makes nodes, kinds, the profile, the associate and two tenants, before the operator runs.
func (w *world) populate(ctx context.Context) error {
	for _, n := range nodes {
		if err := w.cluster.AddNode(ctx, n); err != nil {
			return err
		}
	}
	if err := operator.Install(ctx, w.cluster); err != nil {
		return err
	}
	objects := append(crds(), fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.StorageClasses = &v1alpha1.StorageClassRules{Allowed: []string{"encrypted-gp3"}}
	}), fixture.Associate("clearing"), aTenant(attacked), aTenant(victim), aTenant(quarantined))
	for _, o := range objects {
		if err := w.admin.Create(ctx, o); err != nil {
			return fmt.Errorf("create %s: %w", o.GetName(), err)
		}
	}
	return w.apply(ctx, furniture)
}

// aTenant has room for everything the suite does at once, so that the quota refuses only what is meant to exceed it.
func aTenant(name string) *v1alpha1.HIPAATenant {
	return fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
		t.Spec.FailoverRegions = []v1alpha1.Region{fixture.FailoverRegion}
		t.Spec.IPAllowlist = []v1alpha1.CIDR{fixture.Allowlist, "2001:db8:12::/48"}
		t.Spec.DisabledChannels = []v1alpha1.Name{"sms"}
		t.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
		t.Spec.Encryption.StorageClasses = []string{"encrypted-gp3"}
		t.Spec.Quota = &v1alpha1.Quota{
			CPU: resource.MustParse("500"), Memory: resource.MustParse("1000Gi"), Pods: 2000, Storage: resource.MustParse("1Ti"),
		}
		if name != attacked {
			return
		}
		t.Spec.Roles = []v1alpha1.RoleGrant{
			{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "acme-devs"}}},
			{Role: "Operator", Subjects: []v1alpha1.Subject{
				{Kind: "Group", Name: "acme-ops"}, {Kind: "ServiceAccount", Name: "deployer", Namespace: attacked},
			}},
		}
	})
}

// foreign are kinds of others that tenants may come across, with the least of a schema.
var foreign = []struct{ group, version, kind, plural, scope string }{
	{"gateway.networking.k8s.io", "v1", "Gateway", "gateways", "Namespaced"},
	{"gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", "Namespaced"},
	{"gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes", "Namespaced"},
	{"gateway.networking.k8s.io", "v1alpha2", "TCPRoute", "tcproutes", "Namespaced"},
	{"gateway.networking.k8s.io", "v1", "TLSRoute", "tlsroutes", "Namespaced"},
	{"gateway.networking.k8s.io", "v1beta1", "ReferenceGrant", "referencegrants", "Namespaced"},
	{"cilium.io", "v2", "CiliumLocalRedirectPolicy", "ciliumlocalredirectpolicies", "Namespaced"},
	{"k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions", "Namespaced"},
	{"policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies", "Cluster"},
}

func crds() []client.Object {
	var out []client.Object
	yes := true
	for _, f := range foreign {
		out = append(out, &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{
				Name:        f.plural + "." + f.group,
				Annotations: map[string]string{"api-approved.kubernetes.io": "unapproved, for tests"},
			},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: f.group, Scope: apiextensionsv1.ResourceScope(f.scope),
				Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: f.kind, ListKind: f.kind + "List", Plural: f.plural, Singular: strings.ToLower(f.kind)},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: f.version, Served: true, Storage: true,
					Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
						Type: "object", XPreserveUnknownFields: &yes,
					}},
				}},
			},
		})
	}
	return out
}

// letIn gives the people of the tenant their rights, and waits until everybody has them.
func (w *world) letIn(ctx context.Context) (err error) {
	if err := w.apply(ctx, tenantFurniture); err != nil {
		return err
	}
	if err := w.quarantine(ctx); err != nil {
		return err
	}
	if w.api, err = newAPI(w.cluster.Config()); err != nil {
		return err
	}
	w.events = watchEvents(w.kube)
	for _, who := range append([]actor{root}, everybody...) {
		if err := w.connect(ctx, who); err != nil {
			return fmt.Errorf("connect %s: %w", who, err)
		}
		if err := w.awaitRight(ctx, who); err != nil {
			return fmt.Errorf("%s: %w", who, err)
		}
	}
	return nil
}

// quarantine deletes a tenant; its namespace stays.
func (w *world) quarantine(ctx context.Context) error {
	if err := w.admin.Delete(ctx, aTenant(quarantined)); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		ns := &corev1.Namespace{}
		err := w.admin.Get(ctx, client.ObjectKey{Name: quarantined}, ns)
		return ns.Annotations[v1alpha1.AnnotationAdmission] == string(v1alpha1.GateQuarantined), err
	})
}

func (w *world) awaitRight(ctx context.Context, who actor) error {
	kube, err := kubernetes.NewForConfig(w.configs[who])
	if err != nil {
		return err
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: attacked, Verb: "create", Resource: "pods"},
	}}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		answer, err := kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
}

func (w *world) awaitReady(ctx context.Context, name string) error {
	t := &v1alpha1.HIPAATenant{}
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := w.admin.Get(ctx, client.ObjectKey{Name: name}, t)
		return err == nil && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady), err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("tenant %s is not Ready: %+v", name, t.Status.Conditions), err)
	}
	return nil
}

// apply writes YAML documents as the cluster's administrator.
func (w *world) apply(ctx context.Context, text string) error {
	for document := range strings.SplitSeq(text, "\n---\n") {
		object, err := parse(document, "")
		if err != nil {
			return err
		}
		if err := w.admin.Create(ctx, object); err != nil {
			return fmt.Errorf("create %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// eligible are the regions of the tenants.
var eligible = map[string]bool{fixture.Region: true, fixture.FailoverRegion: true}

func (w *world) regionOf(ctx context.Context, node string) (string, error) {
	n := &corev1.Node{}
	err := w.admin.Get(ctx, client.ObjectKey{Name: node}, n)
	return n.Labels[corev1.LabelTopologyRegion], err
}
