package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/awskeys"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/azurekeys"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/gcpkeys"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// find reads the keysets, and returns whom to ask for their keys.
func (o *unwrapOptions) find(ctx context.Context) ([]keyset.Document, keyset.ByProvider, error) {
	google, err := gcpkeys.New()
	if err != nil {
		return nil, nil, err
	}
	kms := keyset.ByProvider{
		"vault":  notReady{"set --vault-address or $VAULT_ADDR, and $VAULT_TOKEN or --vault-token-file"},
		"awskms": awskeys.New(), "azurekeyvault": azurekeys.New(), "gcpkms": google,
	}
	if o.vault.Address != "" {
		v, err := vaultkeys.New(o.vault)
		if err != nil {
			return nil, nil, err
		}
		kms["vault"] = v
	}
	if o.file != "" {
		kms[local.Scheme] = notReady{"its software key is in a cluster: leave --filename out"}
		raw, err := os.ReadFile(o.file)
		if err != nil {
			return nil, nil, err
		}
		d, err := keyset.Parse(raw)
		return []keyset.Document{d}, kms, err
	}
	config, err := o.config()
	if err != nil {
		return nil, nil, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	kms[local.Scheme] = keyring.Unwrapper{Provider: local.New(local.NewSecrets(clients, o.operatorNamespace), clock.RealClock{})}
	documents, err := o.read(ctx, config, clients)
	return documents, kms, err
}

// read reads the keyset of one namespace, or those of all of a tenant's, and checks that they belong there.
func (o *unwrapOptions) read(ctx context.Context, config *rest.Config, clients kubernetes.Interface) ([]keyset.Document, error) {
	if o.namespace != "" {
		d, err := readKeyset(ctx, clients, keyset.Identity{Namespace: o.namespace})
		return []keyset.Document{d}, err
	}
	tenants, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	object, err := tenants.Resource(v1alpha1.SchemeGroupVersion.WithResource("hipaatenants")).Get(ctx, o.tenant, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	var t v1alpha1.HIPAATenant
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &t); err != nil {
		return nil, err
	}
	if len(t.Status.Namespaces) == 0 {
		return nil, fmt.Errorf("tenant %s has no namespaces yet", o.tenant)
	}
	var out []keyset.Document
	for _, n := range t.Status.Namespaces {
		d, err := readKeyset(ctx, clients, keyset.Identity{Namespace: n.Name, Tenant: o.tenant, TenantUID: string(t.UID)})
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func readKeyset(ctx context.Context, clients kubernetes.Interface, expect keyset.Identity) (keyset.Document, error) {
	secret, err := clients.CoreV1().Secrets(expect.Namespace).Get(ctx, v1alpha1.SecretKeyset, metav1.GetOptions{})
	if err != nil {
		return keyset.Document{}, err
	}
	d, err := keyset.Parse(secret.Data[v1alpha1.KeysetKey])
	if err == nil {
		err = d.Check(expect)
	}
	if err != nil {
		return keyset.Document{}, fmt.Errorf("keyset of namespace %s: %w", expect.Namespace, err)
	}
	return d, nil
}

// notReady says what is missing to ask a KMS.
type notReady struct{ missing string }

func (n notReady) UnwrapKey(context.Context, string, string, []byte, []byte) ([]byte, error) {
	return nil, errors.New(n.missing)
}
