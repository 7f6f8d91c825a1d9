package compile

import (
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// served says that objects of an optional kind can be written.
func (p *Plan) served(k extension.Kind) bool {
	return p.extensions[k.String()].State == extension.Served
}

// extend writes an object of an optional kind, where it is served.
func (p *Plan) extend(w Wave, k extension.Kind, metadata extension.Metadata, spec any) {
	if p.served(k) {
		ref := v1alpha1.ObjectRef{Kind: k.String(), Namespace: metadata.Namespace, Name: metadata.Name}
		p.write(w, ref, extension.New(k, metadata, spec))
	}
}

// keepUnreachable remembers objects of optional kinds that may stand although they cannot be written or deleted: nobody
// looked, or the version the operator knows is not served. Of a kind that is absent nothing stands, and nothing is kept.
func (p *Plan) keepUnreachable(t *v1alpha1.HIPAATenant) {
	for _, ref := range t.Status.Inventory {
		if p.unreachable(ref) {
			p.keep(ref)
		}
	}
}

func (p *Plan) unreachable(ref v1alpha1.ObjectRef) bool {
	_, optional := extension.ByName(ref.Kind)
	state := p.extensions[ref.Kind].State
	return optional && state != extension.Served && state != extension.Absent
}

// judgeExtensions reports definitions that are there and cannot be used: somebody who installed one may rely on it.
func (p *Plan) judgeExtensions() {
	for _, k := range extension.Kinds() {
		if api := p.extensions[k.String()]; api.State == extension.Unusable {
			p.find(v1alpha1.SeverityWarning, CodeExtensionUnusable, "customresourcedefinition "+k.CRD(),
				"%s of %s is not written, and what was written before is left as it is: %s", k.Name, k.APIVersion(), api.Why)
		}
	}
}

// Refuse reports the objects of optional kinds that the API server did not take. Where one of them only opens something,
// it must not stand as it was before either: those are returned, to be deleted.
func (p *Plan) Refuse(refused map[v1alpha1.ObjectRef]error) (openings []v1alpha1.ObjectRef) {
	set := map[v1alpha1.ObjectRef]bool{}
	for ref := range refused {
		set[ref] = true
	}
	for _, ref := range SortRefs(set) {
		code, outcome := CodeExtensionRefused, "it is not in force as the spec asks"
		if p.opens[ref] {
			code, outcome = CodeHostsRefused, "the hosts it would open stay closed"
			openings = append(openings, ref)
		}
		p.find(v1alpha1.SeverityWarning, code, strings.ToLower(ref.Kind)+" "+strings.TrimPrefix(ref.Namespace+"/"+ref.Name, "/"),
			"the API server did not take it, and %s: %v; it is tried again every minute", outcome, refused[ref])
	}
	p.settle()
	return openings
}

// judgeGateways says where nobody but the gateways themselves can hold their clients against the allowlist.
func (r *resolved) judgeGateways(p *Plan) {
	if len(r.profile.Spec.Gateways) == 0 {
		return
	}
	for _, k := range []extension.Kind{extension.SecurityPolicy, extension.AuthorizationPolicy} {
		if p.extensions[k.String()].State != extension.Absent {
			return
		}
	}
	p.find(v1alpha1.SeverityInfo, CodeGatewaysUnguarded, "profile spec.gateways",
		"neither %s nor %s is served: the gateways of profile %s have to hold clients against spec.ipAllowlist by themselves",
		extension.SecurityPolicy, extension.AuthorizationPolicy, r.profile.Name)
}

// activeNamespaces are those of the spec, sorted: all the tenant may work in.
func (r *resolved) activeNamespaces() []string {
	return slices.Sorted(slices.Values(NamespaceNames(r.tenant)))
}

func objectMeta(tenant, namespace, name string) extension.Metadata {
	return extension.Metadata{Name: name, Namespace: namespace, Labels: managedLabels(tenant)}
}
