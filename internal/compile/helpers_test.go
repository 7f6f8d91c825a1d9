package compile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// noon is the time the tables are judged at.
var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// factsFor are those of a cluster in which nothing stands in the way of tenant acme: its keyset is made, the policies
// are in force.
func factsFor(profile *v1alpha1.HIPAAProfile, associates ...*v1alpha1.BusinessAssociate) Facts {
	f := Facts{
		Profile: profile, Associates: map[string]*v1alpha1.BusinessAssociate{}, Namespaces: map[string]Namespace{},
		Keysets: map[string]Keyset{"acme": {Document: []byte("{}")}}, AdmissionEnforced: true,
		OperatorNamespace: v1alpha1.OperatorNamespace, ProbeNamespace: v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix, Now: noon,
	}
	for _, a := range associates {
		f.Associates[a.Name] = a
	}
	return f
}

// standing is a namespace of a tenant.
func standing(tenant, uid string, gate v1alpha1.Gate) Namespace {
	return Namespace{
		UID:    "ns",
		Labels: map[string]string{v1alpha1.LabelTenant: tenant, v1alpha1.LabelManagedBy: v1alpha1.OperatorName},
		Facts:  map[string]string{v1alpha1.AnnotationTenantUID: uid, v1alpha1.AnnotationAdmission: string(gate)},
	}
}

func has(p *Plan, code string) bool {
	return slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == code })
}

// factOf is an annotation that the last write to a namespace sets.
func factOf(t *testing.T, p *Plan, namespace, key string) string {
	t.Helper()
	for _, wave := range slices.Backward(p.Waves()) {
		for _, config := range wave {
			if n, ok := config.(*accore.NamespaceApplyConfiguration); ok && *n.Name == namespace {
				return n.Annotations[key]
			}
		}
	}
	t.Fatalf("the plan does not write namespace %s: %v %v", namespace, p.Findings, p.Waiting)
	return ""
}

// refOf names an apply configuration as the inventory does.
func refOf(config any) v1alpha1.ObjectRef {
	text, err := json.Marshal(config)
	if err != nil {
		panic(fmt.Sprintf("an apply configuration that cannot be encoded: %v", err))
	}
	var object struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		panic(fmt.Sprintf("an apply configuration that is no object: %v", err))
	}
	ref := v1alpha1.ObjectRef{Kind: object.Kind, Namespace: object.Metadata.Namespace, Name: object.Metadata.Name}
	if group, _, grouped := strings.Cut(object.APIVersion, "/"); grouped {
		ref.Kind += "." + group
	}
	return ref
}

// specOf is what the API server keeps of a policy.
func specOf(config *acnet.NetworkPolicyApplyConfiguration) networkingv1.NetworkPolicySpec {
	text, err := json.Marshal(config.Spec)
	if err != nil {
		panic(fmt.Sprintf("a policy that cannot be encoded: %v", err))
	}
	var spec networkingv1.NetworkPolicySpec
	if err := json.Unmarshal(text, &spec); err != nil {
		panic(fmt.Sprintf("a policy that is none: %v", err))
	}
	return spec
}

// unmarshalStrict refuses keys the type does not know, and anything behind the document.
func unmarshalStrict(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("more than one document")
	}
	return nil
}

func joined(list []string) string { return strings.Join(list, ",") }
