package cluster_test

import (
	"bytes"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

const clearText = "plaintext that etcd must or must not hold"

// stored writes a Secret and returns what etcd then holds of it.
func stored(t *testing.T, c *cluster.Cluster, name string) []byte {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, StringData: map[string]string{"x": clearText}}
	eventually(t, 30*time.Second, func() error {
		_, err := client(t, c.Config()).CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{})
		return err
	})
	values, err := c.Stored(t.Context(), "/registry/secrets/default/"+name)
	if err != nil || len(values) != 1 {
		t.Fatalf("etcd holds %d values of Secret %s, error %v; expected 1", len(values), name, err)
	}
	return values["/registry/secrets/default/"+name]
}

// A cluster goes through the three states of encryption at rest; etcd shows which one it is in.
func TestEncryptionAtRest(t *testing.T) {
	plugin := keyringtest.StartKMSPlugin(t)
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	restart := func(config string) {
		t.Helper()
		if err := c.StopComponent(cluster.APIServer); err != nil {
			t.Fatal(err)
		}
		if err := c.SetEncryptionConfig(config); err != nil {
			t.Fatal(err)
		}
		if err := c.StartComponent(t.Context(), cluster.APIServer); err != nil {
			t.Fatal(err)
		}
	}
	// From clear text to ciphertext: the other way round the API server could not read what it stored, and not start.
	if raw := stored(t, c, "none"); !bytes.Contains(raw, []byte(clearText)) {
		t.Errorf("no configuration: etcd holds %q; expected clear text", raw)
	}
	restart(cluster.IdentityFirst(plugin.Socket))
	if raw := stored(t, c, "identity"); !bytes.Contains(raw, []byte(clearText)) {
		t.Errorf("identity first: etcd holds %q; expected clear text", raw)
	}
	restart(cluster.KMSFirst(plugin.Socket))
	prefix := []byte("k8s:enc:kms:v2:test:")
	if raw := stored(t, c, "kms"); !bytes.HasPrefix(raw, prefix) || bytes.Contains(raw, []byte(clearText)) {
		t.Errorf("KMS first: etcd holds %q; expected ciphertext that begins with %s", raw, prefix)
	}
	for _, name := range []string{"none", "identity", "kms"} {
		got, err := client(t, c.Config()).CoreV1().Secrets("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || string(got.Data["x"]) != clearText {
			t.Errorf("Secret %s: %q, error %v; expected the API server to give back what was written", name, got.Data["x"], err)
		}
	}
}
