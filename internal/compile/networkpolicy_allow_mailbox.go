package compile

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

// allowMailbox opens the tenant's own mail server.
func (r *resolved) allowMailbox(namespace string, p *Plan) {
	r.openTo(namespace, v1alpha1.PolicyAllowMailbox, pointees(r.mailbox), p)
}
