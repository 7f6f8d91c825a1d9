package vault

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// defaultJWTFile is where Kubernetes puts a pod's service account token.
const defaultJWTFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// tokenSource gives the token for the next request.
type tokenSource interface {
	token(ctx context.Context) (string, error)
	// drop forgets a token Vault refused. It returns true when asking again may give another one.
	drop(ctx context.Context, token string) bool
}

func newTokenSource(cfg Config, v *client, c clock.PassiveClock) (tokenSource, error) {
	k := cfg.Kubernetes
	switch {
	case ways(cfg) != 1:
		return nil, errors.New("vault login: expected exactly one of a token, a token file and a Kubernetes role")
	case cfg.Token != "":
		return fixedToken(cfg.Token), nil
	case k == nil:
		return tokenFile(cfg.TokenFile), nil
	case k.Role == "":
		return nil, errors.New("vault login: the Kubernetes auth method needs a role")
	}
	auth := &kubernetesLogin{client: v, clock: c, role: k.Role, jwtFile: k.JWTFile, mount: k.Mount, turn: make(chan struct{}, 1)}
	if auth.jwtFile == "" {
		auth.jwtFile = defaultJWTFile
	}
	if auth.mount == "" {
		auth.mount = "kubernetes"
	}
	for segment := range strings.SplitSeq(auth.mount, "/") {
		if !namePattern.MatchString(segment) {
			return nil, errors.New("vault login: the mount of the Kubernetes auth method must be a path such as kubernetes")
		}
	}
	return auth, nil
}

// ways counts how often the configuration says how to log in.
func ways(cfg Config) int {
	n := 0
	for _, given := range []bool{cfg.Token != "", cfg.TokenFile != "", cfg.Kubernetes != nil} {
		if given {
			n++
		}
	}
	return n
}

// fixedToken is what a program was given.
type fixedToken string

func (f fixedToken) token(context.Context) (string, error) {
	if strings.ContainsAny(string(f), "\r\n \t") {
		return "", keyring.Errorf(keyring.Refused, "the Vault token: expected one line without spaces")
	}
	return string(f), nil
}

func (f fixedToken) drop(context.Context, string) bool { return false }

// tokenFile is read for every request.
type tokenFile string

func (f tokenFile) token(context.Context) (string, error) {
	return readSecret("Vault token", string(f))
}

func (f tokenFile) drop(context.Context, string) bool { return false }

// kubernetesLogin trades a service account token for a Vault token and keeps that for two thirds of its life.
type kubernetesLogin struct {
	client  *client
	clock   clock.PassiveClock
	role    string
	jwtFile string
	mount   string

	// turn is held by whoever looks at or replaces the token, so that many tenants log in once.
	turn   chan struct{}
	held   string
	expiry time.Time
}

func (k *kubernetesLogin) token(ctx context.Context) (string, error) {
	if err := k.wait(ctx); err != nil {
		return "", err
	}
	defer k.leave()
	if k.held != "" && k.clock.Now().Before(k.expiry) {
		return k.held, nil
	}
	jwt, err := readSecret("service account token", k.jwtFile)
	if err != nil {
		return "", err
	}
	in := struct {
		Role string `json:"role"`
		JWT  string `json:"jwt"`
	}{k.role, jwt}
	var out struct {
		Auth struct {
			Token string `json:"client_token"`
			Lease int64  `json:"lease_duration"`
		} `json:"auth"`
	}
	asked := k.clock.Now()
	err = k.client.send(ctx, request{http.MethodPost, "auth/" + k.mount + "/login", "", in}, &out)
	if a, ok := errors.AsType[*answer](err); ok {
		a.reason = "to the login as role " + k.role + ": " + strings.ReplaceAll(a.reason, jwt, "[jwt]")
		return "", a
	}
	if err != nil {
		return "", err
	}
	if out.Auth.Token == "" {
		return "", keyring.Errorf(keyring.Refused, "login as role %s gave no token", keyring.Quote(k.role))
	}
	k.held, k.expiry = out.Auth.Token, asked.Add(time.Duration(out.Auth.Lease)*time.Second*2/3)
	return k.held, nil
}

func (k *kubernetesLogin) drop(ctx context.Context, token string) bool {
	if k.wait(ctx) != nil {
		return false
	}
	defer k.leave()
	if k.held == token {
		k.held = ""
	}
	return true
}

// wait for the turn, no longer than ctx.
func (k *kubernetesLogin) wait(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *kubernetesLogin) leave() { <-k.turn }

// readSecret reads a one-line file. Its content goes nowhere but into the request.
func readSecret(what, file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", refuse(err, "cannot read the %s: expected it in %s: %s", what, file, keyring.Quote(err.Error()))
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsAny(text, "\r\n \t") {
		return "", keyring.Errorf(keyring.Refused, "the %s in %s: expected one line without spaces", what, file)
	}
	return text, nil
}
