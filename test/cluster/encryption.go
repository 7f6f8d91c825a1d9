package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// KMSFirst is an EncryptionConfiguration whose Secrets are written through the KMS v2 plugin on the socket. Those
// written before, in clear text, can still be read.
func KMSFirst(socket string) string {
	return encryptionHead + kmsProvider(socket) + identityProvider
}

// IdentityFirst is an EncryptionConfiguration that looks like one and encrypts nothing: identity writes, and the KMS v2
// plugin on the socket is there to read what was written through it before.
func IdentityFirst(socket string) string {
	return encryptionHead + identityProvider + kmsProvider(socket)
}

const (
	encryptionHead = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
`
	identityProvider = "  - identity: {}\n"
)

func kmsProvider(socket string) string {
	return fmt.Sprintf("  - kms: {apiVersion: v2, name: test, endpoint: %q, timeout: 3s}\n", "unix://"+socket)
}

// encryptionFile is where Options.EncryptionConfig is kept.
const encryptionFile = "encryption.yaml"

// SetEncryptionConfig replaces Options.EncryptionConfig; empty takes the flag away. The API server follows when it is
// started next: see StopComponent and StartComponent. It does not become ready while etcd holds Secrets that the new
// configuration cannot read.
func (c *Cluster) SetEncryptionConfig(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.EncryptionConfig = text
	if err := c.writeEncryptionConfig(); err != nil {
		return err
	}
	return c.saveState()
}

func (c *Cluster) writeEncryptionConfig() error {
	return os.WriteFile(c.path(encryptionFile), []byte(c.opts.EncryptionConfig), 0o600)
}

// Stored returns what etcd holds under the keys that begin with a prefix, such as "/registry/secrets/default/", byte for
// byte as the API server wrote it.
func (c *Cluster) Stored(ctx context.Context, prefix string) (map[string][]byte, error) {
	if prefix == "" {
		return nil, fmt.Errorf("read etcd: expected a prefix, such as /registry/secrets/")
	}
	end := []byte(prefix)
	end[len(end)-1]++ // the first key that does not begin with the prefix
	ask, err := json.Marshal(map[string][]byte{"key": []byte(prefix), "range_end": end})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.EtcdEndpoint()+"/v3/kv/range", bytes.NewReader(ask))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read etcd: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read etcd: expected 200, found %s: %s", resp.Status, text)
	}
	var found struct {
		KVs []struct{ Key, Value []byte }
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, fmt.Errorf("read etcd: %w", err)
	}
	values := map[string][]byte{}
	for _, kv := range found.KVs {
		values[string(kv.Key)] = kv.Value
	}
	return values, nil
}
