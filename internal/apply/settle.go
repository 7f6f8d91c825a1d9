package apply

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// settlement is what the API server made of an object of an optional kind.
type settlement struct {
	want, live string // digests
}

// same says that what stands is what is wanted: to the letter, or as the API server last left it after filling in defaults.
func (a *Applier) same(want desired, digest string) bool {
	if digest == want.digest {
		return true
	}
	s, known := a.settled.Load(want.ref)
	return known && digest != "" && s.(settlement) == settlement{want: want.digest, live: digest}
}

// settle takes what the API server answered to a replace for what is wanted, when it holds all of it and what is more was
// filled in: another release of a project's CustomResourceDefinition may have defaults this operator knows nothing of. It
// is remembered, or the object would be written again and again.
func (a *Applier) settle(want desired, live client.Object) bool {
	w, ok := want.object.(*unstructured.Unstructured)
	l, both := live.(*unstructured.Unstructured)
	if !ok || !both || !holds(body(l), body(w)) || !holds(asAny(ownedOnly(live.GetLabels())), asAny(ownedOnly(want.object.GetLabels()))) {
		return false
	}
	a.settled.Store(want.ref, settlement{want: want.digest, live: Digest(live)})
	return true
}

// holds says that live has everything want has. Lists are as long as they were: an entry more is no default.
func holds(live, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		for k, v := range w {
			found, has := l[k]
			ok = ok && has && holds(found, v)
		}
		return ok
	case []any:
		l, ok := live.([]any)
		ok = ok && len(l) == len(w)
		for i := 0; ok && i < len(w); i++ {
			ok = holds(l[i], w[i])
		}
		return ok
	}
	return reflect.DeepEqual(live, want)
}

func asAny(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}
