// Package transit runs Vault's real transit engine and its real Kubernetes auth method (test/vault), and sets them up as an
// administrator does.
package transit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/aside"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
)

var program = aside.Program{Name: "vault-transit", Source: "vault", Note: "Vault's transit engine: about 90 s the first time, 5 s later", CGO: "0"}

// Options of a server.
type Options struct {
	// Listen is the address, such as 10.0.0.1:8200. Default: a free port of 127.0.0.1.
	Listen string
	// Hosts are the names and addresses of a certificate to serve https with, by an authority of the server's own. Without
	// any, http is served, which clients take from loopback addresses alone.
	Hosts []string
	// Dir is for the certificates. Needed with Hosts.
	Dir string
	// Role and JWT log in without a review of the token, for tests without an API server. The role's tokens have the policy of
	// its name.
	Role, JWT string
}

// Vault is a running server, with transit engines mounted at "transit" and "team-a/transit" and the Kubernetes auth method
// at "kubernetes". Everything is in memory.
type Vault struct {
	// Address is its URL.
	Address string
	// Root is a token that may do everything.
	Root string
	// CAFile is the PEM certificate of its authority; empty where it serves http.
	CAFile string

	http   *http.Client
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
}

// Start builds the server if need be and runs it until Stop. It also ends when this process does.
func Start(o Options) (*Vault, error) {
	path, err := program.Path()
	if err != nil {
		return nil, err
	}
	v := &Vault{Root: "root-token-of-the-test", http: &http.Client{Timeout: time.Minute}}
	args := []string{"-mounts", "transit,team-a/transit", "-token", v.Root, "-role", o.Role, "-jwt", o.JWT}
	if o.Listen != "" {
		args = append(args, "-listen", o.Listen)
	}
	if len(o.Hosts) > 0 {
		files, err := v.certify(o)
		if err != nil {
			return nil, err
		}
		args = append(args, files...)
	}
	v.cmd = exec.Command(path, args...)
	v.cmd.Env = aside.Environment()
	v.cmd.Stderr = &v.stderr
	if v.stdin, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		v.Stop()
		return nil, fmt.Errorf("vault-transit printed no address: %w\n%s", err, v.stderr.String())
	}
	v.Address = strings.TrimSpace(line)
	return v, nil
}

// certify makes an authority and a certificate, and returns the arguments that name them.
func (v *Vault) certify(o Options) ([]string, error) {
	ca, err := pki.NewCA("vault-ca")
	if err != nil {
		return nil, err
	}
	pair, err := ca.Server("vault", o.Hosts...)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(ca.Pair().Write(o.Dir, "vault-ca"), pair.Write(o.Dir, "vault")); err != nil {
		return nil, err
	}
	v.CAFile = filepath.Join(o.Dir, "vault-ca.crt")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Pair().Cert)
	v.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}
	return []string{"-tls-cert", filepath.Join(o.Dir, "vault.crt"), "-tls-key", filepath.Join(o.Dir, "vault.key")}, nil
}

// Stop ends the server.
func (v *Vault) Stop() {
	_ = v.stdin.Close()
	kill := time.AfterFunc(5*time.Second, func() { _ = v.cmd.Process.Kill() })
	defer kill.Stop()
	_ = v.cmd.Wait()
}

// Write sends a request as root, as "vault write" would, and returns the data of the answer.
func (v *Vault) Write(ctx context.Context, path string, body map[string]any) (map[string]any, error) {
	return v.request(ctx, http.MethodPost, path, body)
}

// Delete sends a request as root, as "vault delete" would.
func (v *Vault) Delete(ctx context.Context, path string) error {
	_, err := v.request(ctx, http.MethodDelete, path, nil)
	return err
}

// CreateKey makes a transit key fit for the operator.
func (v *Vault) CreateKey(ctx context.Context, mount, key string) error {
	_, err := v.Write(ctx, mount+"/keys/"+key, map[string]any{"type": "aes256-gcm96", "derived": true})
	return err
}

// Login returns the token that the Kubernetes auth method gives a service account's token in a role.
func (v *Vault) Login(ctx context.Context, role, jwt string) (string, error) {
	_, answer, err := v.send(ctx, http.MethodPost, "auth/kubernetes/login", "", map[string]any{"role": role, "jwt": jwt})
	var out struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &out)
	}
	if err == nil && out.Auth.ClientToken == "" {
		err = fmt.Errorf("no login as %s: %s", role, answer)
	}
	return out.Auth.ClientToken, err
}

// Try sends a request with a token, and returns the status of the answer.
func (v *Vault) Try(ctx context.Context, token, path string, body map[string]any) (int, error) {
	status, _, err := v.send(ctx, http.MethodPost, path, token, body)
	return status, err
}

func (v *Vault) request(ctx context.Context, method, path string, body map[string]any) (map[string]any, error) {
	status, answer, err := v.send(ctx, method, path, v.Root, body)
	if err != nil {
		return nil, err
	}
	if status >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, status, answer)
	}
	var out struct {
		Data map[string]any `json:"data"`
	}
	if len(answer) > 0 {
		err = json.Unmarshal(answer, &out)
	}
	return out.Data, err
}

// send sends a request with a token, and returns status and text of the answer.
func (v *Vault) send(ctx context.Context, method, path, token string, body map[string]any) (int, []byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, v.Address+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := v.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// readFile of the repository.
func readFile(path string) (string, error) {
	root, err := aside.Root()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	return string(text), err
}
