package compile

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

// defaultDeny closes every pod of the namespace in both directions. It stands before anything is opened.
func (r *resolved) defaultDeny(namespace string, p *Plan) {
	writePolicy(WaveDeny, r.policy(namespace, v1alpha1.PolicyDefaultDeny), p)
}
