package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

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
	engines map[string]*engine
	tokens  tokens
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
	switch path {
	case "sys/health":
		respond(w, map[string]any{"initialized": true, "sealed": false})
	case "auth/kubernetes/login":
		v.tokens.login(w, body)
	case "auth/token/revoke-self":
		v.tokens.revoke(r.Header.Get("X-Vault-Token"))
		w.WriteHeader(http.StatusNoContent)
	default:
		v.engine(w, r, path, body)
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
	if !v.tokens.allow(r.Header.Get("X-Vault-Token"), req.Operation, rest) {
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

// engine is one mounted transit backend with storage of its own.
type engine struct {
	backend logical.Backend
	storage logical.Storage
}

func newEngine(ctx context.Context) (*engine, error) {
	storage := &logical.InmemStorage{}
	b, err := transit.Factory(ctx, &logical.BackendConfig{
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
