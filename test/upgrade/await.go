package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// quiet is how long the operator must have written nothing: longer than it waits for policies to reach API servers.
const quiet = 6 * time.Second

// state at the beginning of a phase, and what was seen since.
type state struct {
	began  time.Time
	leader string // who held the lease at the beginning
	// unwell is when something was last seen that is not as it must be in the end, and what.
	unwell time.Time
	why    string
}

// await looks until the phase has ended.
func (w *world) await(ctx context.Context, p phase, s state, f *figures) error {
	s.unwell = s.began
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, w.limit, true, func(ctx context.Context) (bool, error) {
		if err := errors.Join(w.replica.check(), w.audit.read()); err != nil {
			return false, err
		}
		why, err := w.unwell(ctx, p, s.leader, f)
		if err != nil {
			return false, err
		}
		if why != "" {
			s.unwell, s.why = time.Now(), why
			return false, nil
		}
		if p.version == "" {
			return time.Since(s.unwell) > stay, nil
		}
		return time.Since(s.unwell) > quiet && time.Since(w.audit.writes.last) > quiet, nil
	})
	f.ready = s.unwell.Sub(s.began)
	if wait.Interrupted(err) {
		return fmt.Errorf("expected an end within %s; last seen: %s; %d writes, the last at %s: %s", w.limit, s.why, w.audit.writes.all, w.audit.writes.last, w.audit.writes.text())
	}
	return err
}

// unwell says what is not as it must be in the end; empty when everything is.
func (w *world) unwell(ctx context.Context, p phase, before string, f *figures) (string, error) {
	var tenants v1alpha1.HIPAATenantList
	if err := w.admin.List(ctx, &tenants); err != nil {
		return "", err
	}
	notReady := len(w.tenants)
	last := "there are fewer tenants than were made"
	for i := range tenants.Items {
		t := &tenants.Items[i]
		if w.asMeant(t, p) {
			notReady--
		} else {
			last = fmt.Sprintf("%s: %+v", t.Name, t.Status.Conditions)
		}
	}
	f.notReady = max(f.notReady, notReady)
	if runs := w.replica.runs(); runs != p.version {
		return fmt.Sprintf("the operator of version %q runs, not of %q", runs, p.version), nil
	}
	if p.version == "" {
		return "", nil
	}
	if now, err := leader(ctx, w.api); err != nil || now == "" || now == before {
		return "the new operator does not hold the lease yet", err
	}
	if notReady > 0 {
		return fmt.Sprintf("%d tenants are not Ready, such as %s", notReady, last), nil
	}
	return w.unchecked(ctx)
}

// asMeant says whether a tenant is Ready, or says why it is not, when that is what it must say.
func (w *world) asMeant(t *v1alpha1.HIPAATenant, p phase) bool {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || t.Status.ObservedGeneration != t.Generation {
		return false
	}
	if t.Name == w.tenants[0] && p.tells != "" {
		return c.Reason == p.tells
	}
	return c.Status == metav1.ConditionTrue
}

// unchecked names a policy that the control plane has not type-checked.
func (w *world) unchecked(ctx context.Context) (string, error) {
	var policies admissionv1.ValidatingAdmissionPolicyList
	if err := w.admin.List(ctx, &policies); err != nil {
		return "", err
	}
	for _, p := range policies.Items {
		if p.Status.ObservedGeneration < p.Generation {
			return "policy " + p.Name + " is not type-checked yet", nil
		}
	}
	return "", nil
}
