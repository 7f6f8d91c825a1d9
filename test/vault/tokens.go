package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// tokens knows the root token and those issued by the Kubernetes login.
type tokens struct {
	root, role, jwt string
	lease           time.Duration

	mu     sync.Mutex
	issued map[string]time.Time
}

// allow gives the root token everything and an issued token the policy the operator's documentation asks for:
// read keys, update encrypt and decrypt. It lacks "create", so encrypting under a key that does not exist is
// refused instead of making one.
func (t *tokens) allow(token string, op logical.Operation, path string) bool {
	if token == "" {
		return false
	}
	if token == t.root {
		return true
	}
	t.mu.Lock()
	expires, ok := t.issued[token]
	t.mu.Unlock()
	if !ok || time.Now().After(expires) {
		return false
	}
	verb, _, _ := strings.Cut(path, "/")
	switch verb {
	case "keys":
		config := strings.HasSuffix(path, "/config")
		return op == logical.UpdateOperation && config || strings.Count(path, "/") == 1 && op != logical.CreateOperation && op != logical.UpdateOperation
	case "encrypt", "decrypt", "rewrap":
		return op == logical.UpdateOperation
	}
	return false
}

func (t *tokens) login(w http.ResponseWriter, body map[string]any) {
	if body["role"] != t.role {
		logical.RespondError(w, http.StatusBadRequest, fmt.Errorf("invalid role name %q", body["role"]))
		return
	}
	if t.jwt == "" || body["jwt"] != t.jwt {
		logical.RespondError(w, http.StatusForbidden, errors.New("permission denied"))
		return
	}
	token := "hvs." + rand.Text()
	t.mu.Lock()
	t.issued[token] = time.Now().Add(t.lease)
	t.mu.Unlock()
	respond(w, logical.LogicalResponseToHTTPResponse(&logical.Response{Auth: &logical.Auth{
		ClientToken:  token,
		LeaseOptions: logical.LeaseOptions{TTL: t.lease, Renewable: true},
	}}))
}

func (t *tokens) revoke(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.issued, token)
}
