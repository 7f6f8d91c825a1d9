package policytest

import (
	"context"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// foreignTypes are kinds of other projects that the policies judge where they are installed, with the versions that are
// served at the same time.
var foreignTypes = []struct {
	group, kind, plural string
	versions            []string
}{
	{"gateway.networking.k8s.io", "Gateway", "gateways", []string{"v1", "v1beta1"}},
	{"gateway.networking.k8s.io", "ListenerSet", "listenersets", []string{"v1"}},
	{"gateway.networking.k8s.io", "HTTPRoute", "httproutes", []string{"v1", "v1beta1"}},
	{"gateway.networking.k8s.io", "GRPCRoute", "grpcroutes", []string{"v1"}},
	{"gateway.networking.k8s.io", "TLSRoute", "tlsroutes", []string{"v1", "v1alpha3", "v1alpha2"}},
	{"gateway.networking.k8s.io", "TCPRoute", "tcproutes", []string{"v1alpha2"}},
	{"gateway.networking.k8s.io", "UDPRoute", "udproutes", []string{"v1alpha2"}},
	{"gateway.networking.k8s.io", "ReferenceGrant", "referencegrants", []string{"v1", "v1beta1"}},
	{"gateway.networking.x-k8s.io", "XListenerSet", "xlistenersets", []string{"v1alpha1"}},
	{"cilium.io", "CiliumNetworkPolicy", "ciliumnetworkpolicies", []string{"v2"}},
	{"cilium.io", "CiliumLocalRedirectPolicy", "ciliumlocalredirectpolicies", []string{"v2"}},
	{"cilium.io", "CiliumEndpoint", "ciliumendpoints", []string{"v2"}},
	{"k8s.cni.cncf.io", "NetworkAttachmentDefinition", "network-attachment-definitions", []string{"v1"}},
	{"networking.k8s.aws", "PolicyEndpoint", "policyendpoints", []string{"v1alpha1"}},
	{"vpcresources.k8s.aws", "SecurityGroupPolicy", "securitygrouppolicies", []string{"v1beta1"}},
	{"networking.gke.io", "FQDNNetworkPolicy", "fqdnnetworkpolicies", []string{"v1alpha1"}},
	{"k8s.ovn.org", "UserDefinedNetwork", "userdefinednetworks", []string{"v1"}},
	{"crd.projectcalico.org", "NetworkPolicy", "networkpolicies", []string{"v1"}},
	{"crd.projectcalico.org", "NetworkSet", "networksets", []string{"v1"}},
	{"projectcalico.org", "NetworkPolicy", "networkpolicies", []string{"v3"}},
	{"crd.antrea.io", "NetworkPolicy", "networkpolicies", []string{"v1beta1"}},
}

// InstallForeignTypes makes the API server serve the kinds of Gateway API and of network plug-ins, with schemas that take anything.
func (e *Env) InstallForeignTypes(ctx context.Context) error {
	for _, t := range foreignTypes {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: objectMeta(t.plural + "." + t.group)}
		// The API server keeps group k8s.io for approved definitions.
		crd.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: "unapproved, test-only"}
		crd.Spec.Group = t.group
		crd.Spec.Scope = apiextensionsv1.NamespaceScoped
		crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Kind: t.kind, Plural: t.plural, Singular: strings.ToLower(t.kind)}
		for i, version := range t.versions {
			crd.Spec.Versions = append(crd.Spec.Versions, anything(version, i == 0))
		}
		if err := e.installType(ctx, crd); err != nil {
			return err
		}
	}
	return nil
}

func anything(version string, stored bool) apiextensionsv1.CustomResourceDefinitionVersion {
	yes := true
	open := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}
	return apiextensionsv1.CustomResourceDefinitionVersion{
		Name: version, Served: true, Storage: stored,
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": open, "specs": {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &open}}, "status": open},
		}},
	}
}
