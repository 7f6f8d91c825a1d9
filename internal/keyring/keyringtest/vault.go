package keyringtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var transit = binary{name: "vault-transit", source: "vault", note: "Vault's transit engine: about 90 s the first time, 5 s later", cgo: "0"}

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
	cmd := exec.Command(transit.path(t), "-mounts", "transit,team-a/transit", "-token", v.Root, "-role", v.Role, "-jwt", v.JWT)
	cmd.Env = plainEnvironment()
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
