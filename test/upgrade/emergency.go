package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// What the previous version does not know: an emergency access, which ends by the operator alone, and a field of the profile.
const (
	accessName = "inc-4711"
	accessLife = time.Minute
	newField   = "Evict"
	// accessTooWide is what the previous version says of a tenant with bindings it did not make.
	accessTooWide = v1alpha1.ReasonAccessTooWide
)

// useWhatIsNew lets somebody into the first tenant for a minute, and sets a field of the profile that is new.
func (w *world) useWhatIsNew(ctx context.Context) error {
	if err := merge(ctx, w.admin, &v1alpha1.HIPAAProfile{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultProfile}},
		`{"spec":{"onDisabledChannel":"`+newField+`"}}`); err != nil {
		return err
	}
	access := &v1alpha1.EmergencyAccess{ObjectMeta: metav1.ObjectMeta{Name: accessName}, Spec: v1alpha1.EmergencyAccessSpec{
		Tenant: v1alpha1.Name(w.tenants[0]), Role: "Operator", Reason: "INC-4711 restore the claims queue", Duration: "1m",
	}}
	asker, err := operator.NewClient(w.cluster.User("omar@acme.example", "system:masters"))
	if err != nil {
		return err
	}
	officer, err := operator.NewClient(w.cluster.User("sam@acme.example", "security-officers", "system:masters"))
	if err != nil {
		return err
	}
	if err := asker.Create(ctx, access); err != nil {
		return err
	}
	if err := merge(ctx, officer, access, `{"metadata":{"annotations":{"hipaatenant.dev/approve":"true"}}}`); err != nil {
		return err
	}
	w.granted = time.Now()
	return w.until(ctx, "an approved emergency access has bindings", func(n int) bool { return n > 0 })
}

func merge(ctx context.Context, c client.Client, o client.Object, patch string) error {
	return c.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// bindings of emergency accesses that stand in the first tenant.
func (w *world) bindings(ctx context.Context) (int, error) {
	var list rbacv1.RoleBindingList
	err := w.admin.List(ctx, &list, client.InNamespace(w.tenants[0]))
	n := 0
	for _, b := range list.Items {
		if strings.HasPrefix(b.Name, v1alpha1.EmergencyBindingPrefix) {
			n++
		}
	}
	return n, err
}

func (w *world) until(ctx context.Context, what string, enough func(int) bool) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, w.limit, true, func(ctx context.Context) (bool, error) {
		n, err := w.bindings(ctx)
		return enough(n), err
	})
	if err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}

// mailbox says whether the first tenant's mailbox is open. It is wider than this version lets one be.
func (w *world) mailbox(ctx context.Context) (string, error) {
	p := &networkingv1.NetworkPolicy{}
	err := w.admin.Get(ctx, client.ObjectKey{Namespace: w.tenants[0], Name: v1alpha1.PolicyAllowMailbox}, p)
	switch {
	case apierrors.IsNotFound(err):
		return "closed", nil
	case err != nil:
		return "", err
	}
	return "open", nil
}

// outlive waits until the emergency access should have ended, under the version that does not know it, and counts what stands.
func (w *world) outlive(ctx context.Context) error {
	timer := time.NewTimer(time.Until(w.granted.Add(accessLife + 5*time.Second)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	var err error
	w.outlived, err = w.bindings(ctx)
	return err
}

// closeWhatWasLeft looks whether this version ends what the previous one left, and finds what was told to it.
func (w *world) closeWhatWasLeft(ctx context.Context) error {
	err := w.until(ctx, "an emergency access that is over has no bindings", func(n int) bool { return n == 0 })
	profile := &v1alpha1.HIPAAProfile{}
	err = errors.Join(err, w.admin.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultProfile}, profile))
	report.Line("helm: emergency-access granted=1 bindings_past_its_end_under_the_previous_version=%d told_as=%s bindings_after_upgrade=0 new_profile_field_kept=%t",
		w.outlived, accessTooWide, profile.Spec.OnDisabledChannel == newField)
	return err
}
