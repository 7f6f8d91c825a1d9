package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// sealed is a tenant on Vault's real engine: its keysets, and its data keys by name.
type sealed struct {
	vault   *keyringtest.Vault
	keysets map[string][]byte
	keys    map[string][]byte
}

func seal(t *testing.T) sealed {
	t.Helper()
	s := sealed{vault: keyringtest.StartVault(t), keys: map[string][]byte{}}
	s.vault.CreateKey(t, "transit", "acme")
	p, err := vault.New(vault.Config{Address: s.vault.Address, Token: s.vault.Root}, clock.RealClock{})
	must(t, err)
	out, err := keyring.New(clock.RealClock{}, p).Ensure(t.Context(), keyring.Request{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: "vault://transit/acme", RotationPeriod: time.Hour,
		DataKeys: []string{"default", "records"}, Namespaces: []string{"acme-app", "acme-data"},
	})
	must(t, err)
	s.keysets = out.Keysets
	u, err := vaultkeys.New(vaultkeys.Config{Address: s.vault.Address, Token: s.vault.Root})
	must(t, err)
	k, err := keyset.Open(t.Context(), s.keysets["acme-app"], keyset.Options{Unwrapper: u, Expect: keyset.Identity{Namespace: "acme-app"}})
	must(t, err)
	t.Cleanup(k.Close)
	for _, name := range []string{"default", "records"} {
		key, err := k.Primary(name)
		must(t, err)
		s.keys[name] = key.Bytes
	}
	t.Setenv("VAULT_ADDR", s.vault.Address)
	t.Setenv("VAULT_TOKEN", s.vault.Root)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s sealed) file(t *testing.T, raw []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keyset.json")
	must(t, os.WriteFile(file, raw, 0o600))
	return file
}

// reveals fails when text holds a data key or the token.
func (s sealed) reveals(t *testing.T, text string) {
	t.Helper()
	for name, key := range s.keys {
		if keyringtest.Reveals(text, key) {
			t.Errorf("data key %s stands in %q", name, text)
		}
	}
	if keyringtest.Reveals(text, []byte(s.vault.Root)) {
		t.Errorf("the token stands in %q", text)
	}
}

func TestUnwrapSaysWhatOpens(t *testing.T) {
	s := seal(t)
	good := s.file(t, s.keysets["acme-app"])
	for name, test := range map[string]struct {
		args  []string
		lines []string
	}{
		"all":  {nil, []string{"NAMESPACE", "acme-app default 1 Primary vault://transit/acme yes " + fingerprint(s.keys["default"]), "acme-app records 1 Primary vault://transit/acme yes " + fingerprint(s.keys["records"])}},
		"one":  {[]string{"--name", "records", "--version=1"}, []string{"NAMESPACE", "acme-app records 1 Primary vault://transit/acme yes " + fingerprint(s.keys["records"])}},
		"json": {[]string{"-o", "json", "--name", "default"}, []string{`"opens": true`, `"fingerprint": "` + fingerprint(s.keys["default"]) + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := run(append([]string{"unwrap", "-f", good}, test.args...)...)
			must(t, err)
			s.reveals(t, text)
			plain := strings.Join(strings.Fields(text), " ")
			for _, line := range test.lines {
				if !strings.Contains(plain, line) {
					t.Errorf("expected %q in:\n%s", line, text)
				}
			}
			if rows := strings.Count(text, "\n"); test.args == nil && rows != len(test.lines) {
				t.Errorf("%d lines; expected %d", rows, len(test.lines))
			}
		})
	}
}

func TestUnwrapSaysWhatDoesNotOpen(t *testing.T) {
	s := seal(t)
	forged := s.file(t, bytes.ReplaceAll(s.keysets["acme-app"], []byte("acme-app"), []byte("acme-dat")))
	t.Run("forged", func(t *testing.T) {
		text, err := run("unwrap", "-f", forged, "-o", "json")
		if code(err) != 2 {
			t.Errorf("%v with code %d; expected 2", err, code(err))
		}
		s.reveals(t, text)
		var answer struct{ Keys []keyReport }
		must(t, json.Unmarshal([]byte(text), &answer))
		for _, k := range answer.Keys {
			if k.Opens || k.Reason == "" || k.Fingerprint != "" {
				t.Errorf("%+v; expected it not to open, for a reason", k)
			}
		}
	})
	t.Run("without permission", func(t *testing.T) {
		t.Setenv("VAULT_TOKEN", "token-of-a-stranger")
		text, err := run("unwrap", "-f", s.file(t, s.keysets["acme-app"]))
		if code(err) != 2 || !strings.Contains(text, " no ") || !strings.Contains(text, "403") || strings.Contains(text, "stranger") {
			t.Errorf("code %d, %q", code(err), text)
		}
	})
	t.Run("without an address", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", "")
		text, err := run("unwrap", "-f", s.file(t, s.keysets["acme-app"]))
		if code(err) != 2 || !strings.Contains(text, "$VAULT_ADDR") {
			t.Errorf("code %d, %q; expected what is missing", code(err), text)
		}
	})
}

func TestUnwrapReveals(t *testing.T) {
	s := seal(t)
	good := s.file(t, s.keysets["acme-app"])
	var out, stderr bytes.Buffer
	c := root()
	c.SetOut(&out)
	c.SetErr(&stderr)
	c.SetArgs([]string{"unwrap", "-f", good, "--name", "records", "--reveal"})
	must(t, c.Execute())
	if want := base64.StdEncoding.EncodeToString(s.keys["records"]) + "\n"; out.String() != want {
		t.Errorf("printed %d bytes; expected the key in base64 alone", out.Len())
	}
	if !strings.Contains(stderr.String(), "warning") {
		t.Errorf("%q; expected a warning", stderr.String())
	}
	s.reveals(t, stderr.String())
	_, err := run("unwrap", "-f", good, "--name", "nothing", "--reveal")
	if code(err) != 1 || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("%v with code %d; expected 1", err, code(err))
	}
	device, err := os.OpenFile("/dev/null", os.O_WRONLY, 0) // a character device, as terminals are
	must(t, err)
	defer device.Close()
	for args, refused := range map[string]bool{"--reveal": true, "--reveal --force": false} {
		c := root()
		c.SetOut(device)
		c.SetErr(&stderr)
		c.SetArgs(append([]string{"unwrap", "-f", good}, strings.Fields(args)...))
		if err := c.Execute(); (err != nil) != refused {
			t.Errorf("%s to a terminal: %v", args, err)
		}
	}
}

func TestUnwrapRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing":            {nil, "exactly one"},
		"two sources":        {[]string{"acme", "-n", "acme-app"}, "exactly one"},
		"other output":       {[]string{"acme", "-o", "yaml"}, "-o json"},
		"negative version":   {[]string{"acme", "--version=-1"}, "--version"},
		"reveal of a tenant": {[]string{"acme", "--reveal"}, "--namespace"},
		"reveal as JSON":     {[]string{"-n", "acme-app", "--reveal", "-o", "json"}, "-o"},
		"force alone":        {[]string{"-n", "acme-app", "--force"}, "--reveal"},
		"no file":            {[]string{"-f", "/there/is/none"}, "no such file"},
		"no kubeconfig":      {[]string{"-n", "acme-app", "--kubeconfig", "/there/is/none"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := run(append([]string{"unwrap"}, test.args...)...)
			if code(err) != 1 || err == nil || !strings.Contains(err.Error(), test.want) || text != "" {
				t.Errorf("printed %q, error %v; want one with %q and nothing printed", text, err, test.want)
			}
		})
	}
}

// fakeCluster answers for one tenant and its Secrets, and is no API server beyond that.
func fakeCluster(t *testing.T, s sealed) (kubeconfig string) {
	t.Helper()
	answer := func(w http.ResponseWriter, object any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/apis/hipaatenant.dev/v1alpha1/hipaatenants/acme", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, v1alpha1.HIPAATenant{
			TypeMeta:   metav1.TypeMeta{APIVersion: "hipaatenant.dev/v1alpha1", Kind: "HIPAATenant"},
			ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "t1"},
			Status:     v1alpha1.HIPAATenantStatus{Namespaces: []v1alpha1.NamespaceStatus{{Name: "acme-app"}, {Name: "acme-data"}}},
		})
	})
	mux.HandleFunc("/api/v1/namespaces/{namespace}/secrets/hipaa-keyset", func(w http.ResponseWriter, r *http.Request) {
		raw, ok := s.keysets[r.PathValue("namespace")]
		if !ok {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			answer(w, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404, Message: "no such Secret"})
			return
		}
		answer(w, corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Data: map[string][]byte{v1alpha1.KeysetKey: raw}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s.file(t, []byte(`{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: "`+server.URL+`"}}]}`))
}

func TestUnwrapReadsTheCluster(t *testing.T) {
	s := seal(t)
	kubeconfig := fakeCluster(t, s)
	text, err := run("unwrap", "acme", "--kubeconfig", kubeconfig)
	must(t, err)
	if n := strings.Count(text, fingerprint(s.keys["records"])); n != 2 || strings.Count(text, "yes") != 4 {
		t.Errorf("expected four keys that open, and the same one in two namespaces:\n%s", text)
	}
	s.reveals(t, text)
	text, err = run("unwrap", "-n", "acme-data", "--kubeconfig", kubeconfig)
	must(t, err)
	if strings.Contains(text, "acme-app") || strings.Count(text, "yes") != 2 {
		t.Errorf("expected two keys of acme-data:\n%s", text)
	}
	_, err = run("unwrap", "-n", "other", "--kubeconfig", kubeconfig)
	if code(err) != 1 || !strings.Contains(err.Error(), "no such Secret") {
		t.Errorf("%v with code %d", err, code(err))
	}
	s.keysets["acme-data"] = s.keysets["acme-app"]
	_, err = run("unwrap", "acme", "--kubeconfig", kubeconfig)
	if code(err) != 1 || !strings.Contains(err.Error(), "another namespace") {
		t.Errorf("%v with code %d; expected the copy to be found out", err, code(err))
	}
}
