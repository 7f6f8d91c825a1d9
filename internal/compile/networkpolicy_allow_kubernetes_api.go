package compile

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

// allowAPI opens the API server where the profile says so.
func (r *resolved) allowAPI(namespace string, p *Plan) {
	r.openTo(namespace, v1alpha1.PolicyAllowAPI, pointees(r.api), p)
}
