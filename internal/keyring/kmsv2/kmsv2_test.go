package kmsv2

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// These tests run against a real plugin process over a PKCS#11 token (test/kmsplugin), but for what a sound plugin never
// answers: see faults_test.go.

// above is a provider for the sockets of all plugins of a test: their directories stand side by side.
func above(t *testing.T, socket string) *Provider {
	t.Helper()
	p, err := New(filepath.Dir(filepath.Dir(socket)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func uri(socket string) string { return Scheme + "://" + socket }

// silent reaches, in place of every plugin, somebody who takes connections and never answers.
func silent(t *testing.T, socket string) *Provider {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(filepath.Dir(socket), "silent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := above(t, socket)
	p.plugins.dial = func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}
	return p
}

func TestContract(t *testing.T) {
	acme, globex := keyringtest.StartKMSPlugin(t), keyringtest.StartKMSPlugin(t)
	dir := filepath.Dir(acme.Socket)
	keyringtest.Contract(t, keyringtest.Harness{
		Provider: above(t, acme.Socket), Usable: uri(acme.Socket), Other: uri(globex.Socket),
		// Its token has no key of that id.
		Unknown: uri(globex.Socket),
		Malformed: []string{
			"kmsv2+unix://relative/kms.sock", "kmsv2+unix:///run/containerd/containerd.sock", uri(filepath.Dir(dir)),
			uri(acme.Socket) + "?timeout=3s", uri(filepath.Dir(dir) + "-other/kms.sock"),
		},
		Dead:   silent(t, acme.Socket),
		Rotate: func(t *testing.T) { acme.Rotate(t) },
		// The API of plugins neither binds nor destroys.
		KMSIgnoresContext: true, Doomed: "",
	})
}

func TestTraits(t *testing.T) {
	p, err := New("/run/kms")
	if err != nil {
		t.Fatal(err)
	}
	if p.Scheme() != "kmsv2+unix" || p.Assurance() != v1alpha1.ReasonKMSWrapped {
		t.Errorf("scheme %q, assurance %q", p.Scheme(), p.Assurance())
	}
	a, b := keyringtest.Ref(t, "kmsv2+unix:///run/kms/a.sock"), keyringtest.Ref(t, "kmsv2+unix:///run/kms/b.sock")
	if p.Endpoint(a) == p.Endpoint(b) {
		t.Error("two plugins share an endpoint; expected one to fail without the other")
	}
	for _, dir := range []string{"", "/", "run/kms", "/run/../run/kms", "/run/kms/", "."} {
		if _, err := New(dir); err == nil {
			t.Errorf("directory %q was taken", dir)
		}
	}
}

// The key id of the plugin is the version; the plugin's own words are kept and given back.
func TestKeyVersions(t *testing.T) {
	plugin := keyringtest.StartKMSPlugin(t)
	p, ref := above(t, plugin.Socket), keyringtest.Ref(t, uri(plugin.Socket))
	key := bytes.Repeat([]byte{7}, 32)
	old, version, err := p.Wrap(t.Context(), ref, key, keyringtest.Binding())
	if err != nil || version != plugin.KeyID {
		t.Fatalf("version %q, error %v; expected %q", version, err, plugin.KeyID)
	}
	plugin.Rotate(t)
	info, err := p.Describe(t.Context(), ref)
	if want := (keyring.KeyInfo{Exists: true, Enabled: true, Version: plugin.KeyID}); err != nil || info != want {
		t.Errorf("after rotation: %+v, error %v; expected %+v", info, err, want)
	}
	// The plugin has ended in between and finds its keys on the token.
	plugin.Stop(t)
	plugin.Resume(t)
	if got, err := p.Unwrap(t.Context(), ref, old, keyringtest.Binding()); err != nil || !bytes.Equal(got, key) {
		t.Errorf("what the old key wrapped: %d bytes, error %v; expected the key", len(got), err)
	}
}

// Each part of what was wrapped is needed, and none of them can be changed.
func TestDamagedParts(t *testing.T) {
	plugin := keyringtest.StartKMSPlugin(t)
	p, ref := above(t, plugin.Socket), keyringtest.Ref(t, uri(plugin.Socket))
	wrapped, _, err := p.Wrap(t.Context(), ref, bytes.Repeat([]byte{7}, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*envelope)
		want   keyring.Kind
	}{
		"flipped ciphertext":  {func(e *envelope) { e.Ciphertext[0] ^= 1 }, keyring.Foreign},
		"short ciphertext":    {func(e *envelope) { e.Ciphertext = e.Ciphertext[:4] }, keyring.Foreign},
		"no annotations":      {func(e *envelope) { e.Annotations = nil }, keyring.Foreign},
		"changed annotations": {func(e *envelope) { e.Annotations["nonce.kms-plugin.hipaatenant.dev"][0] ^= 1 }, keyring.Foreign},
		"unknown key id":      {func(e *envelope) { e.KeyID = "0000" }, keyring.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := decode(wrapped)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(&e)
			_, err = p.Unwrap(t.Context(), ref, e.encode(), keyringtest.Binding())
			keyringtest.Expect(t, err, tc.want)
		})
	}
}

func TestPluginAway(t *testing.T) {
	plugin := keyringtest.StartKMSPlugin(t)
	p, ref := above(t, plugin.Socket), keyringtest.Ref(t, uri(plugin.Socket))
	expect := func(say string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := p.Describe(ctx, ref)
		keyringtest.Expect(t, err, keyring.Unreachable)
		if err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("%v; expected it to say %q", err, say)
		}
	}
	plugin.SetHealth(t, "token locked")
	expect(`not healthy: "token locked"`)
	plugin.SetHealth(t, "ok")
	plugin.Hang(t)
	expect("no answer")
	plugin.Wake(t)
	plugin.Stop(t)
	expect("no answer")
	plugin.Resume(t)
	deadline, tick := time.Now().Add(10*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		_, err := p.Describe(t.Context(), ref)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the plugin is back, and %v", err)
		}
		<-tick.C
	}
}

// A plugin that hangs costs one deadline and then, by the circuit, nothing; the tenant of another plugin does not notice.
func TestOnePluginHangs(t *testing.T) {
	hung, well := keyringtest.StartKMSPlugin(t), keyringtest.StartKMSPlugin(t)
	ring := keyring.New(clocktesting.NewFakePassiveClock(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)), above(t, hung.Socket))
	hung.Hang(t)
	request := func(socket string) keyring.Request {
		return keyring.Request{
			ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: uri(socket), RotationPeriod: time.Hour,
			DataKeys: []string{"default"}, Namespaces: []string{"acme-app"},
		}
	}
	_, err := ring.Ensure(t.Context(), request(hung.Socket))
	keyringtest.Expect(t, err, keyring.Unreachable)
	out, err := ring.Ensure(t.Context(), request(well.Socket))
	if err != nil || len(out.Keysets) != 1 || out.Keys[0].KMSKeyVersion != well.KeyID || out.Keys[0].Assurance != v1alpha1.ReasonKMSWrapped {
		t.Errorf("%+v, error %v; expected a keyset wrapped with key %s", out.Keys, err, well.KeyID)
	}
}
