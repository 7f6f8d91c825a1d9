package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/helper/jsonutil"
	"github.com/hashicorp/vault/sdk/logical"
)

// What Vault says word for word.
const (
	noRoute = `no handler for route "PATH". route entry not found.`
	denied  = "1 error occurred:\n\t* permission denied\n\n"
)

// multierror is an error with the line breaks Vault's own lists of errors have.
type multierror string

func (e multierror) Error() string { return string(e) }

// vault routes /v1/<mount>/<path> to the engine mounted there, after a check of X-Vault-Token.
type vault struct {
	engines  map[string]*engine
	auth     *engine
	policies policies
	tokens   tokens
}

// authPath is where the Kubernetes auth method is enabled.
const authPath = "auth/kubernetes"

func newVault(ctx context.Context, mounts []string) (*vault, error) {
	v := &vault{engines: map[string]*engine{}, policies: policies{byName: map[string][]rule{}}}
	for _, mount := range mounts {
		e, err := newEngine(ctx, transit.Factory)
		if err != nil {
			return nil, fmt.Errorf("mount %q: %w", mount, err)
		}
		v.engines[mount] = e
	}
	var err error
	if v.auth, err = newEngine(ctx, kubeauth.Factory); err != nil {
		return nil, fmt.Errorf("the Kubernetes auth method: %w", err)
	}
	v.engines[authPath] = v.auth
	return v, nil
}

// ServeHTTP answers as Vault does: data in {"data":...}, refusals in {"errors":[...]}, Vault's own status codes.
func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		logical.RespondError(w, http.StatusNotFound, errors.New("unsupported path"))
		return
	}
	body, err := decode(r)
	if err != nil {
		logical.RespondError(w, http.StatusBadRequest, err)
		return
	}
	switch policy, isPolicy := strings.CutPrefix(path, "sys/policies/acl/"); {
	case path == "sys/health":
		respond(w, map[string]any{"initialized": true, "sealed": false})
	case path == authPath+"/login":
		v.login(r.Context(), w, body)
	case path == "auth/token/revoke-self":
		v.tokens.revoke(r.Header.Get("X-Vault-Token"))
		w.WriteHeader(http.StatusNoContent)
	case isPolicy:
		v.writePolicy(w, r, policy, body)
	default:
		v.engine(w, r, path, body)
	}
}

// writePolicy is what `vault policy write` asks for.
func (v *vault) writePolicy(w http.ResponseWriter, r *http.Request, name string, body map[string]any) {
	text, _ := body["policy"].(string)
	switch {
	case r.Header.Get("X-Vault-Token") != v.tokens.root:
		logical.RespondError(w, http.StatusForbidden, multierror(denied))
	case text == "":
		logical.RespondError(w, http.StatusBadRequest, errors.New("'policy' parameter not supplied or empty"))
	default:
		if err := v.policies.write(name, text); err != nil {
			logical.RespondError(w, http.StatusBadRequest, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (v *vault) engine(w http.ResponseWriter, r *http.Request, path string, body map[string]any) {
	mount, rest := v.split(path)
	e := v.engines[mount]
	if e == nil {
		logical.RespondError(w, http.StatusNotFound, errors.New(strings.ReplaceAll(noRoute, "PATH", path)))
		return
	}
	req := &logical.Request{Operation: operation(r), Path: rest, Data: body, Storage: e.storage}
	if req.Operation == logical.UpdateOperation {
		if found, exists, err := e.backend.HandleExistenceCheck(r.Context(), req); err == nil && found && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	if !v.allow(r.Header.Get("X-Vault-Token"), req.Operation, path) {
		logical.RespondError(w, http.StatusForbidden, multierror(denied))
		return
	}
	resp, err := e.backend.HandleRequest(r.Context(), req)
	if code, err := logical.RespondErrorCommon(req, resp, err); code != 0 || err != nil {
		logical.RespondError(w, code, err)
		return
	}
	if resp == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	respond(w, logical.LogicalResponseToHTTPResponse(resp))
}

// allow gives the root token everything, and an issued token what its policies say.
func (v *vault) allow(token string, op logical.Operation, path string) bool {
	if token != "" && token == v.tokens.root {
		return true
	}
	is, ok := v.tokens.of(token)
	return ok && v.policies.allow(is.policies, op, path)
}

// split finds the longest mount that begins the path.
func (v *vault) split(path string) (mount, rest string) {
	for m := range v.engines {
		if r, ok := strings.CutPrefix(path, m+"/"); ok && len(m) > len(mount) {
			mount, rest = m, r
		}
	}
	return mount, rest
}

func operation(r *http.Request) logical.Operation {
	switch r.Method {
	case http.MethodGet:
		return logical.ReadOperation
	case http.MethodDelete:
		return logical.DeleteOperation
	case "LIST":
		return logical.ListOperation
	}
	return logical.UpdateOperation
}

func decode(r *http.Request) (map[string]any, error) {
	body := map[string]any{}
	if r.Method == http.MethodGet || r.ContentLength == 0 {
		return body, nil
	}
	err := jsonutil.DecodeJSONFromReader(io.LimitReader(r.Body, 1<<20), &body)
	return body, err
}

func respond(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// engine is one mounted backend with storage of its own.
type engine struct {
	backend logical.Backend
	storage logical.Storage
}

func newEngine(ctx context.Context, factory logical.Factory) (*engine, error) {
	storage := &logical.InmemStorage{}
	b, err := factory(ctx, &logical.BackendConfig{
		StorageView: storage,
		System:      logical.StaticSystemView{DefaultLeaseTTLVal: time.Hour, MaxLeaseTTLVal: 24 * time.Hour},
	})
	if err != nil {
		return nil, err
	}
	if err := b.Initialize(ctx, &logical.InitializationRequest{Storage: storage}); err != nil {
		return nil, err
	}
	return &engine{backend: b, storage: storage}, nil
}
