package admission

import (
	"bytes"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	policies "github.com/hipaatenant/hipaa-tenant-operator/config/admission"
)

// StaticSuffix ends the names of the policies and bindings that an API server reads from its disk, and of no others
// (KEP-5793). No request can change or remove them.
const StaticSuffix = ".static.k8s.io"

// Static returns copies of objects under the names an API server accepts from its disk. They are enforced beside those in
// the API, not in their place: a request pays for both.
func Static(objects []Object) []Object {
	out := make([]Object, len(objects))
	for i, object := range objects {
		copied := object.DeepCopyObject().(Object)
		copied.SetName(copied.GetName() + StaticSuffix)
		switch binding := copied.(type) {
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			binding.Spec.PolicyName += StaticSuffix
		case *admissionv1.MutatingAdmissionPolicyBinding:
			binding.Spec.PolicyName += StaticSuffix
		}
		out[i] = copied
	}
	return out
}

// Guard returns the static policy, and its binding, that refuses to let anybody but keepers write the policies in the API.
// Keepers are user names; the operator's must be among them, or it could not repair what it keeps.
func Guard(keepers ...string) ([]Object, error) {
	if len(keepers) == 0 {
		return nil, fmt.Errorf("expected the user names that may write the policies, found none: name at least the operator, such as %s", DefaultIdentity)
	}
	for _, k := range keepers {
		if err := checkIdentity(k); err != nil {
			return nil, err
		}
	}
	// Inside the quotes of a CEL string; the pattern of an identity admits no quote.
	return Decode(bytes.ReplaceAll(policies.Guard, []byte(DefaultIdentity), []byte(strings.Join(keepers, "', '"))))
}

// Validating says whether the object is a validating policy or its binding. The plug-ins of the API server read their
// manifests from a directory each, and refuse the other's.
func Validating(object Object) bool {
	return strings.HasPrefix(kindOf(object), "Validating")
}
