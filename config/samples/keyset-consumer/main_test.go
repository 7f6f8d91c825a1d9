package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// bed is the application's binary on a mounted keyset that the operator's Ring made, with Vault's real engine.
type bed struct {
	t       *testing.T
	vault   *keyringtest.Vault
	ring    *keyring.Ring
	mount   string
	records string
	url     string
	// log has a line for each line of the application.
	log chan string
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func request() keyring.Request {
	return keyring.Request{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: "vault://transit/acme", RotationPeriod: time.Hour,
		DataKeys: []string{"records"}, Namespaces: []string{"acme-app"},
	}
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, vault: keyringtest.StartVault(t), mount: t.TempDir(), records: t.TempDir(), log: make(chan string, 1000)}
	b.vault.CreateKey(t, "transit", "acme")
	p, err := vault.New(vault.Config{Address: b.vault.Address, Token: b.vault.Root}, clock.RealClock{})
	must(t, err)
	b.ring = keyring.New(clock.RealClock{}, p)
	return b
}

// ensure has the Ring make what is missing.
func (b *bed) ensure(req keyring.Request) document.Keyset {
	b.t.Helper()
	out, err := b.ring.Ensure(b.t.Context(), req)
	must(b.t, err)
	k, err := document.Parse(out.Keysets["acme-app"])
	must(b.t, err)
	return k
}

// write changes the mounted file as the kubelet does: at once.
func (b *bed) write(k document.Keyset) {
	b.t.Helper()
	must(b.t, os.WriteFile(filepath.Join(b.mount, "new"), k.Encode(), 0o600))
	must(b.t, os.Rename(filepath.Join(b.mount, "new"), filepath.Join(b.mount, document.Key)))
}

// start builds and runs the application until the test ends.
func (b *bed) start() {
	b.t.Helper()
	binary := filepath.Join(b.t.TempDir(), "keyset-consumer")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	jwt := filepath.Join(b.t.TempDir(), "token")
	must(b.t, os.WriteFile(jwt, []byte(b.vault.JWT), 0o600))
	app := exec.Command(binary)
	app.Env = append(os.Environ(), "KEYSET_FILE="+filepath.Join(b.mount, document.Key), "POD_NAMESPACE=acme-app", "HIPAA_TENANT=acme",
		"VAULT_ADDR="+b.vault.Address, "VAULT_ROLE="+b.vault.Role, "VAULT_JWT_FILE="+jwt, "STORE="+b.records, "LISTEN=127.0.0.1:0", "RELOAD_EVERY=20ms")
	stderr, err := app.StderrPipe()
	must(b.t, err)
	must(b.t, app.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			b.log <- lines.Text()
		}
	}()
	b.t.Cleanup(func() {
		_ = app.Process.Signal(os.Interrupt)
		<-ended
		if err := app.Wait(); err != nil {
			b.t.Errorf("the application ended with %v", err)
		}
	})
	_, address, _ := strings.Cut(b.await("listening on "), "listening on ")
	b.url = "http://" + address + "/records/"
}

// await waits for a line of the application's log.
func (b *bed) await(text string) string {
	b.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line := <-b.log:
			if strings.Contains(line, text) {
				return line
			}
		case <-deadline:
			b.t.Fatalf("the application did not say %q", text)
		}
	}
}

func (b *bed) ask(method, id, body string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+id, strings.NewReader(body))
	must(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	must(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return resp.StatusCode, string(text)
}

func (b *bed) expect(method, id, body string, code int, want string) {
	b.t.Helper()
	if got, text := b.ask(method, id, body); got != code || !strings.Contains(text, want) {
		b.t.Errorf("%s %s: %d %q; expected %d %q", method, id, got, text, code, want)
	}
}

// The example encrypts, the keyset is rotated under it, and it goes on.
func TestTheExampleOutlivesARotation(t *testing.T) {
	b := newBed(t)
	first := b.ensure(request())
	b.write(first)
	b.start()
	const patient = "blood group AB negative"
	b.expect("PUT", "4711", patient, http.StatusNoContent, "")
	b.expect("GET", "4711", "", http.StatusOK, patient)
	b.expect("GET", "none", "", http.StatusNotFound, "")
	b.expect("PUT", "Not_A_Name", patient, http.StatusBadRequest, "expected")

	next := request()
	next.PrimaryVersions = map[string]int64{"records": 1}
	second := b.ensure(next)
	second.Keys = append(second.Keys, first.Keys...)
	second.Keys[1].State = document.DecryptOnly
	b.write(second)
	b.await("took the changed keyset")
	b.expect("GET", "4711", "", http.StatusOK, patient)
	b.expect("PUT", "4712", patient, http.StatusNoContent, "")
	b.expect("GET", "4712", "", http.StatusOK, patient)
	for id, version := range map[string]byte{"4711": 1, "4712": 2} {
		record, err := os.ReadFile(filepath.Join(b.records, id))
		must(t, err)
		if bytes.Contains(record, []byte("blood")) || record[4] != version {
			t.Errorf("record %s is under version %d, or in the clear; expected version %d", id, record[4], version)
		}
	}

	b.write(first)
	b.await("the keys in use stay")
	b.expect("GET", "4712", "", http.StatusOK, patient)
	must(t, os.Rename(filepath.Join(b.records, "4712"), filepath.Join(b.records, "renamed")))
	b.expect("GET", "renamed", "", http.StatusInternalServerError, "does not open")
}

// What the manifest tells the application is what the application asks for.
func TestTheManifestNamesEveryVariable(t *testing.T) {
	source, err := os.ReadFile("main.go")
	must(t, err)
	manifest, err := os.ReadFile("deployment.yaml")
	must(t, err)
	optional := []string{"VAULT_NAMESPACE", "RELOAD_EVERY", "HIPAA_TENANT"} // the last one comes with the tenant's config
	for _, part := range strings.Split(string(source), `os.Getenv("`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if !slices.Contains(optional, name) && !strings.Contains(string(manifest), "name: "+name+"\n") {
			t.Errorf("deployment.yaml sets no %s", name)
		}
	}
}
