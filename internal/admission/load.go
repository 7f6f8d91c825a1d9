// Package admission reads the shipped admission policies and tells how what an API server holds differs from them. It
// reads no cluster: applying and watching are done by the controllers.
package admission

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	policies "github.com/hipaatenant/hipaa-tenant-operator/config/admission"
)

// DefaultIdentity is the user name the shipped files exempt: the operator's service account where the install puts it.
const DefaultIdentity = "system:serviceaccount:" + v1alpha1.OperatorNamespace + ":" + v1alpha1.OperatorName

// Object is a typed admission policy or binding. It is what clients call an Object.
type Object interface {
	metav1.Object
	runtime.Object
}

// identityPattern admits the user names of service accounts, certificates and identity providers, and nothing that could
// end the string literal it is put into.
var identityPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._@/+=,-]{0,253}$`)

// Load returns the shipped policies and bindings, ordered by name, each policy before its binding. Wherever the files
// exempt DefaultIdentity, identity takes its place; it is the user name the API server knows the operator by.
func Load(identity string) ([]Object, error) { return load(policies.Files, identity) }

func load(files fs.FS, identity string) ([]Object, error) {
	if err := checkIdentity(identity); err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var objects []Object
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		found, err := Decode(bytes.ReplaceAll(text, []byte(DefaultIdentity), []byte(identity)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, found...)
	}
	slices.SortStableFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(rank(a), rank(b)))
	})
	return objects, nil
}

func checkIdentity(identity string) error {
	if !identityPattern.MatchString(identity) {
		return fmt.Errorf("expected a user name such as %s for the operator, found %q: use letters, digits and :._@/+=,- only", DefaultIdentity, identity)
	}
	return nil
}

// Decode reads a stream of policies and bindings in YAML.
func Decode(text []byte) ([]Object, error) {
	var objects []Object
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return nil, err
		}
		object := blank(kind)
		if object == nil {
			return nil, fmt.Errorf("expected policies and bindings of %s, found kind %q of %q", admissionv1.SchemeGroupVersion, kind.Kind, kind.APIVersion)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func blank(kind metav1.TypeMeta) Object {
	if kind.APIVersion != admissionv1.SchemeGroupVersion.String() {
		return nil
	}
	for _, object := range []Object{
		&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{},
		&admissionv1.MutatingAdmissionPolicy{}, &admissionv1.MutatingAdmissionPolicyBinding{},
	} {
		if kindOf(object) == kind.Kind {
			return object
		}
	}
	return nil
}

// kindOf goes by the Go type: objects that come out of a list carry no kind.
func kindOf(object Object) string {
	switch object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		return "ValidatingAdmissionPolicy"
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		return "ValidatingAdmissionPolicyBinding"
	case *admissionv1.MutatingAdmissionPolicy:
		return "MutatingAdmissionPolicy"
	case *admissionv1.MutatingAdmissionPolicyBinding:
		return "MutatingAdmissionPolicyBinding"
	}
	return ""
}

func rank(object Object) int {
	switch object.(type) {
	case *admissionv1.ValidatingAdmissionPolicyBinding, *admissionv1.MutatingAdmissionPolicyBinding:
		return 1
	}
	return 0
}
