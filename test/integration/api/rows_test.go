package api_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// row is one object and the server's answer to it.
type row struct {
	variant variant
	name    string
	mutate  change
	// want is empty when the object is accepted, else what the refusal says about the field.
	want string
	// field is the field the refusal names.
	field string
	// value is what the refusal repeats, unless nil.
	value any
	// status is true when the change is one of the status subresource.
	status bool
}

// good is a row that is accepted with the field at path set to value.
func good(path string, value any) row {
	return row{name: path + " = " + brief(value), mutate: set(path, value), status: strings.HasPrefix(path, "status")}
}

// accept is a row that is accepted after any change.
func accept(name string, mutate change) row { return row{name: name, mutate: mutate} }

// bad is a row that is refused with the field at path set to value; the refusal names the field, repeats the value
// and says want.
func bad(path string, value any, want string) row {
	r := good(path, value)
	r.want, r.field, r.value = want, path, value
	return r
}

// missing are rows that are refused because a field is not there.
func missing(paths ...string) []row {
	rows := make([]row, 0, len(paths))
	for _, path := range paths {
		rows = append(rows, bad(path, absent{}, "Required value"))
	}
	return rows
}

// at says which field the refusal names, when it is not the changed one.
func (r row) at(field string) row {
	r.field, r.value = field, nil
	return r
}

// refused turns an accepted row into one that is refused when, in addition, the field at path is set to value.
func (r row) refused(path string, value any, want string) row {
	last := bad(path, value, want)
	last.name, last.mutate = r.name, all(r.mutate, last.mutate)
	return last
}

// of puts rows in front of a variant.
func (v variant) of(tables ...[]row) []row {
	rows := slices.Concat(tables...)
	for i := range rows {
		rows[i].variant = v
	}
	return rows
}

func (r row) title() string {
	verb := "accepts"
	if r.want != "" {
		verb = "refuses"
	}
	return fmt.Sprintf("%s %s %s", r.variant.kind, verb, r.name)
}

func brief(value any) string {
	if _, gone := value.(absent); gone {
		return "(absent)"
	}
	words := fmt.Sprintf("%#v", value)
	words = strings.NewReplacer("map[string]interface {}", "", "[]interface {}", "").Replace(words)
	if len(words) > 60 {
		words = fmt.Sprintf("%s... (%d)", words[:40], len(words))
	}
	return words
}

var (
	accepted, refused int
	// causes are all reasons the server gave for refusing something, by kind.
	causes = map[string][]metav1.StatusCause{}
	// agreed are all objects the server accepted, by kind.
	agreed = map[string][]object{}
)

// check puts the row in front of the server.
func (r row) check(ctx context.Context) {
	manifest, err := r.variant.object()
	Expect(err).NotTo(HaveOccurred())
	r.mutate(manifest)
	sent, err := sendable(manifest)
	Expect(err).NotTo(HaveOccurred())
	answer := sent.DeepCopy()
	if r.status {
		err = sendStatus(ctx, answer)
	} else {
		unstructured.RemoveNestedField(sent.Object, "status")
		unstructured.RemoveNestedField(answer.Object, "status")
		err = kube.Create(ctx, answer, client.DryRunAll)
	}
	if r.want == "" {
		r.expectAccepted(err, sent, answer)
		return
	}
	r.expectRefused(err)
}

// sendStatus writes the status of an object that exists.
func sendStatus(ctx context.Context, o *unstructured.Unstructured) error {
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(o.GroupVersionKind())
	if err := kube.Get(ctx, client.ObjectKey{Name: storedName}, stored); err != nil {
		return err
	}
	o.SetName(storedName)
	o.SetResourceVersion(stored.GetResourceVersion())
	return kube.Status().Update(ctx, o, client.DryRunAll)
}

// expectAccepted also expects that the server dropped nothing and added nothing: unknown fields and schema defaults
// would both make a GitOps tool see a difference for ever.
func (r row) expectAccepted(err error, sent, answer *unstructured.Unstructured) {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	part := "spec"
	if r.status {
		part = "status"
	}
	Expect(cmp.Diff(sent.Object[part], answer.Object[part])).To(BeEmpty(), "(-sent +stored)")
	agreed[r.variant.kind] = append(agreed[r.variant.kind], sent.Object)
	accepted++
}

func (r row) expectRefused(err error) {
	GinkgoHelper()
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "expected a refusal that says %q, found %v", r.want, err)
	var answer apierrors.APIStatus
	Expect(errors.As(err, &answer)).To(BeTrue())
	given := answer.Status().Details.Causes
	causes[r.variant.kind] = append(causes[r.variant.kind], given...)
	Expect(slices.ContainsFunc(given, r.isMeantBy)).To(BeTrue(), "expected %s to be refused with %q, found:\n%v", r.field, r.want, err)
	refused++
}

// isMeantBy says whether the cause names the field, repeats the value and states the rule. The server itself leaves
// the value out where it is absent, too long, too many or of the wrong type.
func (r row) isMeantBy(cause metav1.StatusCause) bool {
	if cause.Field != r.field || !strings.Contains(cause.Message, r.want) {
		return false
	}
	switch cause.Type {
	case metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeFieldValueNotSupported, metav1.CauseTypeFieldValueDuplicate:
		return repeats(cause.Message, r.value)
	default:
		return true
	}
}

func repeats(message string, value any) bool {
	switch value := value.(type) {
	case string:
		return strings.Contains(message, fmt.Sprintf("%q", value)) || strings.Contains(message, value)
	case int, bool:
		return strings.Contains(message, fmt.Sprint(value))
	default:
		return true
	}
}
