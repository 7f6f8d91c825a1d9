package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// tokens knows the root token and those issued by the Kubernetes login.
type tokens struct {
	root, role, jwt string
	lease           time.Duration

	mu     sync.Mutex
	issued map[string]issued
}

// issued is a token: until when it is taken, and its policies.
type issued struct {
	expires  time.Time
	policies []string
}

// of a token that is taken.
func (t *tokens) of(token string) (issued, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, ok := t.issued[token]
	return is, ok && time.Now().Before(is.expires)
}

func (t *tokens) revoke(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.issued, token)
}

// login issues a token to whom the auth method takes for one of its roles, or to the one service account token that needs no
// review.
func (v *vault) login(ctx context.Context, w http.ResponseWriter, body map[string]any) {
	if v.tokens.jwt != "" && body["role"] == v.tokens.role {
		if body["jwt"] != v.tokens.jwt {
			logical.RespondError(w, http.StatusForbidden, errors.New("permission denied"))
			return
		}
		v.tokens.issue(w, &logical.Auth{Policies: []string{v.tokens.role}})
		return
	}
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "login", Data: body, Storage: v.auth.storage}
	resp, err := v.auth.backend.HandleRequest(ctx, req)
	if code, err := logical.RespondErrorCommon(req, resp, err); code != 0 || err != nil {
		logical.RespondError(w, code, err)
		return
	}
	v.tokens.issue(w, resp.Auth)
}

// issue completes what the auth method gave.
func (t *tokens) issue(w http.ResponseWriter, auth *logical.Auth) {
	if auth.TTL == 0 {
		auth.TTL = t.lease
	}
	auth.ClientToken, auth.Renewable = "hvs."+rand.Text(), true
	t.mu.Lock()
	t.issued[auth.ClientToken] = issued{expires: time.Now().Add(auth.TTL), policies: auth.Policies}
	t.mu.Unlock()
	respond(w, logical.LogicalResponseToHTTPResponse(&logical.Response{Auth: auth}))
}
