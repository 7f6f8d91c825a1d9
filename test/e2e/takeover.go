package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// takeoverWithin is the life of a lease that nobody gives back, and a little time to notice.
const takeoverWithin = 25 * time.Second

// takeover kills the leader in the midst of its work, as a crash does, and expects the other replica to finish it.
func (w *world) takeover(ctx context.Context) (string, error) {
	settled := clinics()[:5]
	if err := w.addTenants(ctx, settled...); err != nil {
		return "", err
	}
	var newcomers []string
	for i := range 10 {
		newcomers = append(newcomers, fmt.Sprintf("newcomer-%02d", i+1))
	}
	var took time.Duration
	var made int
	figures, err := w.besieged(ctx, settled, func(ctx context.Context) error {
		leader, err := w.leader(ctx)
		if err != nil {
			return err
		}
		if err := w.createTenants(ctx, newcomers...); err != nil {
			return err
		}
		if took, made, err = w.killAtWork(ctx, leader, newcomers); err != nil {
			return err
		}
		return w.awaitTenants(ctx, append(newcomers, settled...)...)
	})
	figures = fmt.Sprintf("taken_over_after=%.1fs made_before=%d of=%d %s", took.Seconds(), made, len(newcomers), figures)
	if err != nil {
		return figures, err
	}
	if made == len(newcomers) {
		return figures, fmt.Errorf("expected the leader to be killed in the midst of its work, found all %d tenants Ready by then, and nothing left to finish", made)
	}
	lost, err := w.lost(ctx, settled[0], newcomers...)
	figures += fmt.Sprintf(" writes_lost=%d", len(lost))
	if err != nil || len(lost) > 0 {
		return figures, fmt.Errorf("not as in tenant %s: %w", settled[0], errors.Join(err, errors.New(strings.Join(lost, ", "))))
	}
	_, err = w.shell(ctx, "kubectl -n hipaa-system rollout status deployment/hipaa-tenant-operator --timeout=60s && kubectl -n hipaa-system get pods -o wide")
	return figures, err
}

// leader is the pod that holds the operator's lease. What follows the pod's name in the lease tells one start of it from the next.
func (w *world) leader(ctx context.Context) (*corev1.Pod, error) {
	lease, err := w.api.CoordinationV1().Leases(v1alpha1.OperatorNamespace).Get(ctx, v1alpha1.OperatorName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return nil, errors.New("nobody holds the lease")
	}
	name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return w.api.CoreV1().Pods(v1alpha1.OperatorNamespace).Get(ctx, name, metav1.GetOptions{})
}

// killAtWork kills the leader once it has begun with the tenants, and waits until the other replica leads. It returns how long that
// took, and how many tenants were Ready before. All the while the kubelet stands still: it would start the container again within a
// second, and with a leader that comes back in time nobody can tell whether the other one ever could.
func (w *world) killAtWork(ctx context.Context, leader *corev1.Pod, tenants []string) (took time.Duration, ready int, err error) {
	n, err := w.nodeOf(leader)
	if err != nil {
		return 0, 0, err
	}
	err = await(ctx, 10*time.Second, func(ctx context.Context) error {
		_, err := w.api.CoreV1().Namespaces().Get(ctx, tenants[0], metav1.GetOptions{})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, n.Signal(node.Kubelet, syscall.SIGCONT)) }()
	if err := errors.Join(n.Signal(node.Kubelet, syscall.SIGSTOP), n.Kill(leader)); err != nil {
		return 0, 0, err
	}
	killed := time.Now()
	fmt.Printf("killed %s on %s, whose kubelet stands still\n", leader.Name, n.Name)
	waiting, err := w.notReady(ctx, tenants...)
	if err != nil {
		return 0, 0, err
	}
	err = await(ctx, takeoverWithin, func(ctx context.Context) error {
		now, err := w.leader(ctx)
		if err == nil && now.Name == leader.Name {
			err = fmt.Errorf("expected another pod than %s to take the lease over", leader.Name)
		}
		return err
	})
	return time.Since(killed), len(tenants) - len(waiting), err
}

// lost lists what tenants do not have of what another one has. The status of a tenant names its objects; each must be there.
func (w *world) lost(ctx context.Context, like string, tenants ...string) (lost []string, err error) {
	want, err := w.owned(ctx, like)
	if err != nil {
		return nil, err
	}
	for _, name := range tenants {
		have, err := w.owned(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, one := range want {
			if !slices.Contains(have, one) {
				lost = append(lost, name+" "+one)
			}
		}
		if len(have) != len(want) {
			lost = append(lost, fmt.Sprintf("%s: %d objects instead of %d", name, len(have), len(want)))
		}
	}
	return lost, nil
}

// owned lists the objects of a tenant that are there, with * for its name.
func (w *world) owned(ctx context.Context, name string) (all []string, err error) {
	t := &v1alpha1.HIPAATenant{}
	if err := w.admin.Get(ctx, client.ObjectKey{Name: name}, t); err != nil {
		return nil, err
	}
	for _, ref := range t.Status.Inventory {
		mapping, err := w.admin.RESTMapper().RESTMapping(schema.ParseGroupKind(ref.Kind))
		if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(mapping.GroupVersionKind)
		if err := w.admin.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, o); err != nil {
			return nil, fmt.Errorf("%s of tenant %s: %w", ref.Kind, name, err)
		}
		all = append(all, strings.ReplaceAll(fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name), name, "*"))
	}
	return all, nil
}
