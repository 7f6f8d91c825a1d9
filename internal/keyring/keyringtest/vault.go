package keyringtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Vault is a running bin/vault-transit: Vault's real transit engine, mounted at "transit" and "team-a/transit".
type Vault struct {
	Address string
	// Root is a token that may do everything.
	Root string
	// Role and JWT make the Kubernetes login succeed; its tokens have the policy the documentation asks for.
	Role, JWT string
}

// StartVault builds the server if need be and runs it until the test ends. It also ends when the test process does.
func StartVault(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{Root: "root-token-of-the-test", Role: "hipaa-tenant-operator", JWT: "jwt-of-the-test"}
	cmd := exec.Command(vaultBinary(t), "-mounts", "transit,team-a/transit", "-token", v.Root, "-role", v.Role, "-jwt", v.JWT)
	// The engine is not built for what GODEBUG may ask of the tests, such as fips140=only.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") })
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("vault-transit printed no address: %v\n%s", err, stderr.String())
	}
	v.Address = strings.TrimSpace(line)
	return v
}

// Write sends a request as root, as "vault write" would, and returns the data of the answer.
func (v *Vault) Write(t testing.TB, path string, body map[string]any) map[string]any {
	t.Helper()
	return v.request(t, http.MethodPost, path, body)
}

// Delete sends a request as root, as "vault delete" would.
func (v *Vault) Delete(t testing.TB, path string) {
	t.Helper()
	v.request(t, http.MethodDelete, path, nil)
}

// CreateKey makes a transit key fit for the operator.
func (v *Vault) CreateKey(t testing.TB, mount, key string) {
	t.Helper()
	v.Write(t, mount+"/keys/"+key, map[string]any{"type": "aes256-gcm96", "derived": true})
}

func (v *Vault) request(t testing.TB, method, path string, body map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, v.Address+"/v1/"+path, bytes.NewReader(raw))
	must(t, err)
	req.Header.Set("X-Vault-Token", v.Root)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	var out struct {
		Data map[string]any `json:"data"`
	}
	if len(answer) > 0 {
		must(t, json.Unmarshal(answer, &out))
	}
	return out.Data
}

// vaultBinary returns bin/vault-transit, built anew when it is missing or older than its sources. A lock lets test
// processes that run side by side build it once.
func vaultBinary(t testing.TB) string {
	t.Helper()
	root := moduleRoot(t)
	source, binary := filepath.Join(root, "test", "vault"), filepath.Join(root, "bin", "vault-transit")
	must(t, os.MkdirAll(filepath.Dir(binary), 0o755))
	lock, err := os.OpenFile(binary+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	must(t, err)
	defer func() { _ = lock.Close() }()
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if upToDate(t, binary, source) {
		return binary
	}
	began := time.Now()
	fmt.Fprintln(os.Stderr, "building bin/vault-transit (Vault's transit engine): about 90 s the first time, 5 s later")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary+".new", ".")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building bin/vault-transit in test/vault: %v\n%s", err, out)
	}
	must(t, os.Rename(binary+".new", binary))
	fmt.Fprintf(os.Stderr, "built bin/vault-transit in %s\n", time.Since(began).Round(time.Second))
	return binary
}

// upToDate compares times of change, as make does.
func upToDate(t testing.TB, binary, source string) bool {
	built, err := os.Stat(binary)
	if err != nil {
		return false
	}
	entries, err := os.ReadDir(source)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.ModTime().After(built.ModTime()) {
			return false
		}
	}
	return true
}

// moduleRoot is the nearest directory above the test that holds go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the working directory of the test")
		}
		dir = filepath.Dir(dir)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
