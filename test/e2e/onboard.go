package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
	"github.com/hipaatenant/hipaa-tenant-operator/test/traffic"
)

// The tenant of the stories, and its one namespace.
const (
	acme    = "acme-health"
	acmeApp = "acme-health-app"
)

//go:embed manifests/acme.yaml
var acmeValues string

// storageClass is where tenants keep data. Nobody provisions: volumes are made by hand.
const storageClass = traffic.Encrypted

// onboard makes a customer a tenant, with the chart for it.
func (w *world) onboard(ctx context.Context) (string, error) {
	if err := w.ceiling(ctx); err != nil {
		return "", err
	}
	values := filepath.Join(w.Dir, "acme.yaml")
	if err := os.WriteFile(values, []byte(acmeValues), 0o600); err != nil {
		return "", err
	}
	began := time.Now()
	if _, err := w.shell(ctx, "helm install acme-health charts/hipaa-tenant -n hipaa-onboarding --create-namespace -f "+values+" | sed '/^NOTES:/,$d'"); err != nil {
		return "", err
	}
	if _, err := w.shell(ctx, "kubectl wait --for=condition=Ready hipaatenant/acme-health --timeout=60s"); err != nil {
		return "", err
	}
	figures := fmt.Sprintf("ready_after=%.1fs", time.Since(began).Seconds())
	_, err := w.shell(ctx, "kubectl get hipaatenant acme-health && kubectl get networkpolicies,secrets,configmaps,rolebindings -n acme-health-app")
	return figures, err
}

// ceiling makes what no tenant may exceed, and the vendor that keeps the keys. Both may be there from the upgrade.
func (w *world) ceiling(ctx context.Context) error {
	for _, o := range []client.Object{
		class(storageClass),
		class(traffic.Plain),
		fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.StorageClasses = &v1alpha1.StorageClassRules{Allowed: []string{storageClass}}
			p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{MaxDuration: "4h", Approvers: []v1alpha1.Subject{{Kind: "Group", Name: "security-officers"}}}
		}),
		fixture.Associate("vault", func(a *v1alpha1.BusinessAssociate) {
			a.Spec.DisplayName = "Operator of Vault"
			a.Spec.Endpoints = []v1alpha1.Endpoint{{
				CIDRs: []v1alpha1.CIDR{node.Gateway + "/32"}, Ports: []v1alpha1.Port{{Port: vaultPort, Protocol: "TCP"}},
			}}
		}),
	} {
		if err := w.admin.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: %w", o.GetName(), err)
		}
	}
	return nil
}

// class of volumes that are made by hand, and bound to a claim where its pod is to run.
func class(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "kubernetes.io/no-provisioner",
		VolumeBindingMode: new(storagev1.VolumeBindingWaitForFirstConsumer),
	}
}
