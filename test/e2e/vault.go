package main

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
	"github.com/hipaatenant/hipaa-tenant-operator/test/transit"
)

const (
	// vaultPort is where Vault listens, at the address of the sandbox.
	vaultPort = 8200
	// vaultCA is the name of what holds the certificate of Vault's authority, in the operator's and in tenants' namespaces.
	vaultCA = "vault-ca"
)

// startVault runs Vault outside the cluster, where pods reach it, and sets it up with the commands of the pages.
func (w *world) startVault(ctx context.Context) (err error) {
	w.vault, err = transit.Start(transit.Options{Listen: fmt.Sprintf("%s:%d", node.Gateway, vaultPort), Hosts: []string{node.Gateway}, Dir: w.Dir})
	if err != nil {
		return err
	}
	reviewer, err := w.cluster.ServiceAccount(ctx, "vault", "vault")
	if err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "vault"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "vault", Name: "vault"}},
	}
	return errors.Join(
		w.admin.Create(ctx, binding),
		w.vault.Review(ctx, reviewer),
		w.vault.AllowOperator(ctx, v1alpha1.OperatorName),
		w.vault.Run(ctx, "docs/keyset.md", "(`vault.kubernetesRole` of the chart)"),
		w.vault.Run(ctx, "docs/keyset.md", "## Vault: what to set up"),
		w.vault.Run(ctx, "config/samples/keyset-consumer/README.md", "2. Vault:"),
	)
}
