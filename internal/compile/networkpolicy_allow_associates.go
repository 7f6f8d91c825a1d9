package compile

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

// allowAssociates opens egress to every business associate whose agreement is in force: no agreement, no packets
// (45 CFR 164.308(b)(1)).
func (r *resolved) allowAssociates(namespace string, p *Plan) {
	r.openTo(namespace, v1alpha1.PolicyAllowAssociates, r.associates, p)
}
