package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// estate is what must outlive a tenant: by its UID, and the record by what lies on the volume.
type estate struct {
	namespace, claim, volume, keyset types.UID
	record                           [sha256.Size]byte
}

// offboard deletes the tenant: its pods, once ended, do not come back, and everything it kept is there, on the volume, too. The customer comes
// back, and the record opens.
func (w *world) offboard(ctx context.Context) (string, error) {
	pod, err := w.appPod(ctx)
	if err != nil {
		return "", err
	}
	if err := w.keep(ctx, pod); err != nil {
		return "", err
	}
	before, err := w.estate(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if _, err := w.shell(ctx, "kubectl delete hipaatenant acme-health --timeout=60s"); err != nil {
		return "", err
	}
	figures := fmt.Sprintf("deleted_after=%.1fs", time.Since(began).Seconds())
	if _, err := w.shell(ctx, "kubectl delete pods --all -n acme-health-app && kubectl get namespace acme-health-app -o jsonpath='{.metadata.annotations.hipaatenant\\.dev/admission}{\"\\n\"}'"+
		" && kubectl get pv,pvc,secrets,networkpolicies -n acme-health-app"); err != nil {
		return figures, err
	}
	if err := w.deserted(ctx); err != nil {
		return figures, err
	}
	if err := w.intact(ctx, before); err != nil {
		return figures, err
	}
	figures += " pods=0 containers=0 data=kept"
	began = time.Now()
	if _, err := w.shell(ctx, "helm upgrade acme-health charts/hipaa-tenant -n hipaa-onboarding -f "+filepath.Join(w.Dir, "acme.yaml")+" | sed '/^NOTES:/,$d'"); err != nil {
		return figures, err
	}
	if _, err := w.shell(ctx, "kubectl wait --for=create --timeout=30s hipaatenant/acme-health && kubectl wait --for=condition=Ready hipaatenant/acme-health --timeout=60s"); err != nil {
		return figures, err
	}
	if pod, err = w.appPod(ctx); err != nil {
		return figures, err
	}
	if err := w.kept(ctx, pod); err != nil {
		return figures, fmt.Errorf("the record, after the customer came back: %w", err)
	}
	return figures + fmt.Sprintf(" back_after=%.1fs record=opens", time.Since(began).Seconds()), nil
}

// deserted says that the namespace stays without pods, although a Deployment asks for one.
func (w *world) deserted(ctx context.Context) error {
	if err := pause(ctx, 10*time.Second); err != nil {
		return err
	}
	var list corev1.PodList
	if err := w.admin.List(ctx, &list, client.InNamespace(acmeApp)); err != nil {
		return err
	}
	if len(list.Items) > 0 {
		return fmt.Errorf("expected no pod in the namespace of a deleted tenant, found %d, such as %s, %s", len(list.Items), list.Items[0].Name, list.Items[0].Status.Phase)
	}
	// A kubelet sweeps what has ended off its runtime once a minute.
	return await(ctx, 2*time.Minute, func(ctx context.Context) error {
		for _, n := range w.nodes {
			all, err := n.Containers(ctx)
			if err != nil {
				return err
			}
			if strings.Contains(all, acmeApp) {
				return fmt.Errorf("expected no container of the deleted tenant's namespace on node %s, found some", n.Name)
			}
		}
		return nil
	})
}

// intact compares what the tenant kept with what is there.
func (w *world) intact(ctx context.Context, before estate) error {
	now, err := w.estate(ctx)
	if err == nil && now != before {
		err = fmt.Errorf("expected everything the tenant kept as it was, %+v, found %+v", before, now)
	}
	return err
}

func (w *world) estate(ctx context.Context) (e estate, err error) {
	for _, o := range []struct {
		object client.Object
		key    client.ObjectKey
		uid    *types.UID
	}{
		{&corev1.Namespace{}, client.ObjectKey{Name: acmeApp}, &e.namespace},
		{&corev1.PersistentVolumeClaim{}, client.ObjectKey{Namespace: acmeApp, Name: "records"}, &e.claim},
		{&corev1.PersistentVolume{}, client.ObjectKey{Name: "acme-records"}, &e.volume},
		{&corev1.Secret{}, client.ObjectKey{Namespace: acmeApp, Name: v1alpha1.SecretKeyset}, &e.keyset},
	} {
		if err := w.admin.Get(ctx, o.key, o.object); err != nil {
			return estate{}, err
		}
		if o.object.GetDeletionTimestamp() != nil {
			return estate{}, fmt.Errorf("%s is being deleted", o.key)
		}
		*o.uid = o.object.GetUID()
	}
	text, err := os.ReadFile(filepath.Join(w.volumeDir(), record))
	e.record = sha256.Sum256(text)
	return e, err
}
