package attack

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

var ourPolicy = regexp.MustCompile(`ValidatingAdmissionPolicy 'hipaatenant-([a-z-]+)' with binding 'hipaatenant-[a-z-]+' denied request: `)

// judge tells who refused a request; nobody when it was let through.
func judge(err error) string {
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "resulted in error"): // the policy is broken: it would refuse lawful requests too
		return "a broken policy"
	case ourPolicy.MatchString(err.Error()):
		return "policy " + ourPolicy.FindStringSubmatch(err.Error())[1]
	case strings.Contains(err.Error(), "violates PodSecurity"):
		return bySecurity
	case strings.Contains(err.Error(), "exceeded quota"):
		return byQuota
	case apierrors.IsForbidden(err) && (strings.Contains(err.Error(), `User "`) && strings.Contains(err.Error(), " cannot ") ||
		strings.Contains(err.Error(), "attempting to grant RBAC permissions not currently held")):
		return byRBAC
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), strings.Contains(err.Error(), "failed to create typed patch object"):
		return byRules
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return byAbsence
	}
	return "somebody else"
}

// matches says whether the refusal is the one that was asked for.
func (r refusal) matches(err error) bool {
	return err != nil && r.who == judge(err) && !slices.ContainsFunc(r.parts, func(part string) bool { return !strings.Contains(err.Error(), part) })
}

// verdict is how an attempt ended.
type verdict int

const (
	leaked verdict = iota // the zero value, so that nothing forgotten counts as a refusal
	refused
	repairedLater
	inapplicable
)

// decide judges an attempt by its answer and by what stands before and after.
func decide(ctx context.Context, t *trial) (verdict, error) {
	accepted := slices.Concat(t.attack.By, t.way.also)
	if t.actor != administrator && t.actor != root {
		accepted = append(accepted, accessControl())
	}
	if t.err != nil {
		if !slices.ContainsFunc(accepted, func(r refusal) bool { return r.matches(t.err) }) {
			return leaked, fmt.Errorf("refused, but by %s: %w", judge(t.err), t.err)
		}
		if changed := t.difference(); changed != "" {
			return leaked, fmt.Errorf("refused, and yet %s", changed)
		}
		return refused, nil
	}
	if t.way.template {
		return t.judgePods(ctx, accepted)
	}
	for _, r := range t.attack.By {
		switch {
		case r.within > 0:
			return t.awaitRepair(ctx, r)
		case r.check != nil:
			if err := r.check(ctx, t); err != nil {
				return leaked, err
			}
			return refused, nil
		}
	}
	if t.way.silent && t.difference() == "" {
		return refused, nil
	}
	return leaked, errors.Join(errors.New("it was allowed"), errorOf(t.difference()))
}

func errorOf(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// difference says what is different from before; for a dry run, what would be.
func (t *trial) difference() string {
	switch {
	case t.before == nil && t.after == nil:
		return ""
	case t.before == nil:
		return t.after.GetKind() + " " + t.after.GetName() + " stands, which did not before"
	case t.after == nil:
		return t.before.GetKind() + " " + t.before.GetName() + " is gone"
	}
	a, b := normal(t.before), normal(t.after)
	if slices.ContainsFunc(t.attack.By, func(r refusal) bool { return r.within > 0 }) { // what was deleted comes back as another
		for _, o := range []map[string]any{a, b} {
			unstructured.RemoveNestedField(o, "metadata", "uid")
			unstructured.RemoveNestedField(o, "metadata", "creationTimestamp")
		}
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("%s %s changed: %s", t.before.GetKind(), t.before.GetName(), encode(mergePatch(a, b)))
	}
	// Controllers write status all the time; only the harm itself counts there.
	if status, ok := t.harm["status"]; ok && reflect.DeepEqual(merged(t.after.Object["status"], status), t.after.Object["status"]) &&
		!reflect.DeepEqual(merged(t.before.Object["status"], status), t.before.Object["status"]) {
		return fmt.Sprintf("status of %s %s is as the attacker wants it", t.before.GetKind(), t.before.GetName())
	}
	return ""
}

// byControllers are annotations that controllers write on what is new.
var byControllers = []string{"deployment.kubernetes.io/", "deprecated.daemonset.template.generation", "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/"}

// normal is an object without what changes by itself.
func normal(o *unstructured.Unstructured) map[string]any {
	out := runtime.DeepCopyJSON(o.Object)
	delete(out, "status")
	meta, _ := out["metadata"].(map[string]any)
	for _, k := range []string{"managedFields", "resourceVersion", "generation"} {
		delete(meta, k)
	}
	annotations, _ := meta["annotations"].(map[string]any)
	for k := range annotations {
		if slices.ContainsFunc(byControllers, func(p string) bool { return strings.HasPrefix(k, p) }) {
			delete(annotations, k)
		}
	}
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return out
}
