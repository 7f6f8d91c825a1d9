package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

// AdmissionReconciler keeps the admission policies as shipped, or only watches them, and says in State what is wrong
// with them. The policies enforce inside the API server whether or not the operator runs.
type AdmissionReconciler struct {
	Client client.Client
	State  *ClusterState
	// Identity is the user name the policies exempt: the operator's own.
	Identity string
	// Namespace of the operator, on which events about the cluster as a whole are recorded.
	Namespace string
	// Manage applies what is missing or altered; otherwise it is reported only.
	Manage   bool
	Recorder events.EventRecorder
	Clock    clock.PassiveClock

	lastTrouble time.Time // when a problem was last seen; read and written by the one worker
}

// Reconcile looks at all policies and bindings, whichever of them changed.
func (r *AdmissionReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	shipped, err := admission.Load(r.Identity)
	if err != nil {
		return ctrl.Result{}, err
	}
	standing, err := r.list(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	problems := admission.Compare(shipped, standing)
	alteredPolicies.Set(float64(len(problems)))
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	calm := r.Clock.Now().Sub(r.lastTrouble) > settle
	wait := r.settling(standing, len(problems) > 0)
	if wait > 0 && len(lines) == 0 {
		lines = []string{"the admission policies were written a moment ago and may not have reached every API server yet"}
	}
	r.State.setAdmission(lines)
	if !r.Manage {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	if calm {
		noteRestored(standing, problems)
	}
	return ctrl.Result{RequeueAfter: wait}, r.restore(ctx, shipped, standing, problems)
}

// settle is how long a policy counts as not in force after it came to stand: API servers look for changed policies once
// a second.
const settle = 3 * time.Second

// settling is the time left until policies that stand count as in force.
func (r *AdmissionReconciler) settling(standing []admission.Object, trouble bool) time.Duration {
	now := r.Clock.Now()
	if trouble {
		r.lastTrouble = now
	}
	youngest := r.lastTrouble
	for _, object := range standing {
		if made := object.GetCreationTimestamp().Time; made.After(youngest) {
			youngest = made
		}
	}
	return max(0, settle-now.Sub(youngest))
}

func (r *AdmissionReconciler) list(ctx context.Context) ([]admission.Object, error) {
	var (
		policies         admissionv1.ValidatingAdmissionPolicyList
		bindings         admissionv1.ValidatingAdmissionPolicyBindingList
		mutating         admissionv1.MutatingAdmissionPolicyList
		mutatingBindings admissionv1.MutatingAdmissionPolicyBindingList
		out              []admission.Object
	)
	for _, list := range []client.ObjectList{&policies, &bindings, &mutating, &mutatingBindings} {
		if err := r.Client.List(ctx, list); err != nil {
			return nil, err
		}
	}
	for i := range policies.Items {
		out = append(out, &policies.Items[i])
	}
	for i := range bindings.Items {
		out = append(out, &bindings.Items[i])
	}
	for i := range mutating.Items {
		out = append(out, &mutating.Items[i])
	}
	for i := range mutatingBindings.Items {
		out = append(out, &mutatingBindings.Items[i])
	}
	return out, nil
}

// restore creates what is missing and replaces what was altered, whole, so that nothing added by others stays. Each
// write starts another round, which tells whether it helped. What is missing comes first: where a new version moves a rule from
// one policy to another that it adds, the rule is not taken out of the one before the other stands.
func (r *AdmissionReconciler) restore(ctx context.Context, shipped, standing []admission.Object, problems []admission.Problem) error {
	var errs []error
	first := len(standing) == 0
	missing, others := split(problems)
	for _, p := range slices.Concat(missing, others) {
		want := admission.Find(shipped, p)
		if want == nil || p.Reason == admission.NotAccepted {
			continue
		}
		if err := r.put(ctx, want, admission.Find(standing, p)); err != nil {
			errs = append(errs, fmt.Errorf("restoring %s %s: %w", p.Kind, p.Name, err))
			continue
		}
		r.tell(want, p, first)
	}
	return errors.Join(errs...)
}

// split parts problems into what is missing, and the others.
func split(problems []admission.Problem) (missing, others []admission.Problem) {
	for _, p := range problems {
		if p.Reason == admission.Missing {
			missing = append(missing, p)
		} else {
			others = append(others, p)
		}
	}
	return missing, others
}

// tell records that a policy was written: a warning where somebody had removed or altered it, and no more than a note
// when the operator is installed. The policy is named as the related object, so that each has events of its own.
func (r *AdmissionReconciler) tell(policy admission.Object, p admission.Problem, first bool) {
	if first {
		r.Recorder.Eventf(operatorAsObject(r.Namespace), policy, corev1.EventTypeNormal, "AdmissionPolicyInstalled", "Install", "%s %s", p.Kind, p.Name)
		return
	}
	// Events of one action on one object become a series that keeps the first note: a removal and an alteration are told apart.
	action := "Replace"
	if p.Reason == admission.Missing {
		action = "Recreate"
	}
	r.Recorder.Eventf(operatorAsObject(r.Namespace), policy, corev1.EventTypeWarning, "AdmissionPolicyRestored", action, "%s", p.String())
}

func (r *AdmissionReconciler) put(ctx context.Context, want, standing admission.Object) error {
	obj, ok := want.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", want)
	}
	owner := client.FieldOwner(v1alpha1.OperatorName)
	if standing != nil {
		obj.SetResourceVersion(standing.GetResourceVersion())
		return r.Client.Update(ctx, obj, owner)
	}
	err := r.Client.Create(ctx, obj, owner)
	if apierrors.IsAlreadyExists(err) {
		return r.relabel(ctx, obj)
	}
	return err
}

// relabel takes an object that exists without the operator's label, and so outside the cache, back under it.
func (r *AdmissionReconciler) relabel(ctx context.Context, obj client.Object) error {
	obj.SetResourceVersion("")
	return r.Client.Patch(ctx, obj, client.Merge, client.FieldOwner(v1alpha1.OperatorName))
}

// operatorAsObject is what events about the cluster as a whole are recorded on.
func operatorAsObject(namespace string) client.Object {
	ns := &corev1.Namespace{}
	ns.Name = namespace
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ns
}

// SetupWithManager registers the controller. All policies share one request.
func (r *AdmissionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	b := ctrl.NewControllerManagedBy(mgr).Named("admission").WatchesRawSource(startUp{})
	for _, kind := range admissionKinds() {
		b = b.Watches(kind, all)
	}
	return b.Complete(r)
}

func admissionKinds() []client.Object {
	return []client.Object{
		&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{},
		&admissionv1.MutatingAdmissionPolicy{}, &admissionv1.MutatingAdmissionPolicyBinding{},
	}
}

// startUp asks for one reconcile when the controller starts: where there is no policy yet, no watch would.
type startUp struct{}

// Start adds the request.
func (startUp) Start(_ context.Context, q queue) error {
	q.Add(reconcile.Request{})
	return nil
}
