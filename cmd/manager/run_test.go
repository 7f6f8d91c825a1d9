package main

import (
	"crypto/fips140"
	"io"
	"os"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/gcpkms"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// printed runs the command and returns what it wrote to the two outputs.
func printed(t *testing.T, args ...string) (out, errors string, err error) {
	t.Helper()
	files := [2]*os.File{os.Stdout, os.Stderr}
	var readers [2]*os.File
	var writers [2]*os.File
	for i := range files {
		var pipeErr error
		if readers[i], writers[i], pipeErr = os.Pipe(); pipeErr != nil {
			t.Fatal(pipeErr)
		}
	}
	os.Stdout, os.Stderr = writers[0], writers[1]
	defer func() { os.Stdout, os.Stderr = files[0], files[1] }()
	var texts [2]chan string
	for i := range readers {
		texts[i] = make(chan string, 1)
		go func() {
			text, readErr := io.ReadAll(readers[i])
			if readErr != nil {
				text = []byte(readErr.Error())
			}
			texts[i] <- string(text)
		}()
	}
	err = run(t.Context(), args)
	for _, w := range writers {
		if closeErr := w.Close(); closeErr != nil {
			t.Error(closeErr)
		}
	}
	return <-texts[0], <-texts[1], err
}

// TestQuestionsAreAnswered without a cluster, and end well.
func TestQuestionsAreAnswered(t *testing.T) {
	t.Setenv("KUBECONFIG", "/there/is/none")
	out, _, err := printed(t, "--version")
	if err != nil || out != "hipaa-tenant-operator "+buildinfo.Read().Version+"\n" {
		t.Errorf("--version prints %q, error %v", out, err)
	}
	for _, flag := range []string{"--help", "-h"} {
		_, text, err := printed(t, flag)
		if err != nil {
			t.Errorf("%s ends with %v", flag, err)
		}
		for _, name := range []string{"--admission-policies", "--namespace", "--leader-elect", "--concurrency", "--vault-address", "--zap-log-level", "VAULT_ADDR"} {
			if !strings.Contains(text, "  "+name) {
				t.Errorf("%s does not explain %s:\n%s", flag, name, text)
			}
		}
	}
}

// TestTheProbeNeedsNoCluster: its two ends are this program, too.
func TestTheProbeNeedsNoCluster(t *testing.T) {
	t.Setenv("KUBECONFIG", "/there/is/none")
	if _, text, err := printed(t, "probe", "--help"); err != nil || !strings.Contains(text, "manager probe listen --run ID") {
		t.Errorf("error %v, prints %q", err, text)
	}
	if _, _, err := printed(t, "probe", "serve"); err == nil || !strings.Contains(err.Error(), `expected listen or connect, found "serve"`) {
		t.Errorf("error %v", err)
	}
}

// TestBadValuesAreNamed: every refusal names the flag and what was found.
func TestBadValuesAreNamed(t *testing.T) {
	t.Setenv("KUBECONFIG", "/there/is/none")
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"--namespace="}, []string{"--namespace", `""`}},
		{[]string{"--admission-policies=Manage"}, []string{"--admission-policies", `"Manage"`, "manage or verify"}},
		{[]string{"--concurrency=-1"}, []string{"--concurrency", "-1", "1 to 256"}},
		{[]string{"--concurrency=257"}, []string{"--concurrency", "257"}},
		{[]string{"--concurrency=many"}, []string{"-concurrency", `"many"`}},
		{[]string{"--leader-elect=perhaps"}, []string{"-leader-elect", `"perhaps"`}},
		{[]string{"--zap-log-level=loud"}, []string{"-zap-log-level", `"loud"`}},
		{[]string{"--version", "--concurrency=0"}, []string{"--concurrency", "0"}},
		{[]string{"--leader-elect", "false"}, []string{"expected only flags", `"false"`}},
	} {
		_, _, err := printed(t, tc.args...)
		if err == nil {
			t.Errorf("%v: no error", tc.args)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %q does not contain %q", tc.args, err, want)
			}
		}
	}
}

func TestConcurrencyHasLimits(t *testing.T) {
	for _, good := range []string{"1", "256"} {
		if _, err := parse([]string{"--concurrency=" + good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// TestNoClusterIsAnError, not a wait.
func TestNoClusterIsAnError(t *testing.T) {
	t.Setenv("KUBECONFIG", "/there/is/none")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", t.TempDir())
	if _, _, err := printed(t, "--leader-elect=false"); err == nil {
		t.Error("no kubeconfig, and no error")
	}
}

// TestAnAPIServerThatDoesNotAnswerIsAnError, so that the container is started again.
func TestAnAPIServerThatDoesNotAnswerIsAnError(t *testing.T) {
	o, err := parse([]string{"--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newManager(&rest.Config{Host: "http://127.0.0.1:1"}, o); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error is %v, want one that names the address", err)
	}
}

// TestProviders: Vault where an address is given, plugins where a directory is, and then fit to be used; the others always.
func TestProviders(t *testing.T) {
	api := fake.NewClientset()
	for name, tc := range map[string]struct {
		options options
		fails   string
	}{
		"none":                 {options{}, ""},
		"an address":           {options{vault: vault.Config{Address: "https://vault.example:8200", TokenFile: "token"}}, ""},
		"no address":           {options{vault: vault.Config{Address: "vault"}}, "vault address"},
		"a CA that is no file": {options{vault: vault.Config{Address: "https://vault.example:8200", TokenFile: "token", CAFile: "/there/is/none"}}, "vault CA file"},
		"no Google endpoint":   {options{gcp: gcpkms.Config{Endpoint: "kms"}}, "gcpkms endpoint"},
		"plugins":              {options{kmsPlugins: "/run/kms"}, ""},
		"plugins of anybody":   {options{kmsPlugins: "/"}, "--kms-plugin-dir"},
	} {
		tc.options.namespace = "hipaa-system"
		ring, err := providers(api, tc.options)
		if tc.fails == "" && (err != nil || ring == nil) {
			t.Errorf("%s: ring %v, error %v", name, ring != nil, err)
		}
		if tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
			t.Errorf("%s: error %v; want one that names %s", name, err, tc.fails)
		}
	}
}

func TestFIPSIsReportedAsItIs(t *testing.T) {
	mode := map[bool]string{true: "on", false: "off"}[fips140.Enabled()]
	if fips140.Enforced() {
		mode = "only"
	}
	if want := mode + ", module " + fips140.Version(); fips() != want {
		t.Errorf("fips %q, want %q", fips(), want)
	}
}
