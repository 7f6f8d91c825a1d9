package leak

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/localkeys"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// collector knows every key, because it opens every keyset as only an auditor with all rights could.
type collector struct {
	mu      sync.Mutex
	secrets map[string]secret
	inner   keyset.Unwrapper
}

func newCollector() *collector {
	c := &collector{secrets: map[string]secret{}}
	c.add("Vault token", []byte(vault.Root), "")
	c.add("Vault JWT", []byte(vault.JWT), "")
	return c
}

func (c *collector) add(name string, b []byte, home string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.secrets {
		if bytes.Equal(s.bytes, b) {
			return
		}
	}
	c.secrets[fmt.Sprintf("%s #%d", name, len(c.secrets))] = secret{bytes.Clone(b), home}
}

// UnwrapKey remembers the wrapping keys.
func (c *collector) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	key, err := c.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
	if err == nil {
		c.add("wrapping key of "+string(binding), key, "")
	}
	return key, err
}

// collect opens every keyset that stands and returns the providers of its entries by namespace. What is not bound to
// where it stands, because a test moved it, is left out.
func (c *collector) collect(ctx context.Context) map[string]string {
	GinkgoHelper()
	software := localkeys.Unwrapper{}
	var secrets corev1.SecretList
	Expect(admin.List(ctx, &secrets, client.InNamespace(v1alpha1.OperatorNamespace))).To(Succeed())
	for _, s := range secrets.Items {
		if name, ok := bytes.CutPrefix([]byte(s.Name), []byte(local.SecretPrefix)); ok {
			software[string(name)] = s.Data["kek"]
			c.add("software key "+string(name), s.Data["kek"], "/registry/secrets/"+s.Namespace+"/"+s.Name)
		}
	}
	onVault, err := vaultkeys.New(vaultkeys.Config{Address: vault.Address, Token: vault.Root})
	Expect(err).NotTo(HaveOccurred())
	c.inner = keyset.ByProvider{"vault": onVault, "local": software}
	providers := map[string]string{}
	Expect(admin.List(ctx, &secrets)).To(Succeed())
	for _, s := range secrets.Items {
		if s.Name != v1alpha1.SecretKeyset {
			continue
		}
		d, err := keyset.Parse(s.Data[v1alpha1.KeysetKey])
		Expect(err).NotTo(HaveOccurred())
		for _, e := range d.Entries {
			key, err := d.Unwrap(ctx, c, e.Name, e.Version)
			Expect(err).NotTo(HaveOccurred(), "%s: %s %d", s.Namespace, e.Name, e.Version)
			c.add(fmt.Sprintf("data key %s %d of %s", e.Name, e.Version, d.Identity.Tenant), key, "")
			providers[s.Namespace] = e.Provider + "://" + e.KeyRef
		}
	}
	return providers
}
