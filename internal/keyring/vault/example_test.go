package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// openDataKey returns the 32 bytes of the primary version of a data key. The keyset is the content of keyset.json;
// namespace is the one this program runs in. It handles keys wrapped by Vault.
func openDataKey(ctx context.Context, keyset []byte, namespace, name, vaultAddress, vaultToken string) ([]byte, error) {
	// 1. Find the primary version.
	var doc struct {
		Schema string
		Keys   []struct {
			Name, State, KeyRef, Binding string
			Sealed, Wrapped              []byte // standard base64 in JSON
		}
	}
	if err := json.Unmarshal(keyset, &doc); err != nil || doc.Schema != "hipaatenant.dev/keyset/v1" {
		return nil, errors.New("not a keyset of schema hipaatenant.dev/keyset/v1")
	}
	for _, key := range doc.Keys {
		if key.Name != name || key.State != "Primary" {
			continue
		}

		// 2. Is it meant for us? The binding is authenticated below, so a lie here does not open.
		var binding struct{ Namespace, Key string }
		if err := json.Unmarshal([]byte(key.Binding), &binding); err != nil || binding.Namespace != namespace || binding.Key != name {
			return nil, fmt.Errorf("key %s is bound to %s", name, key.Binding)
		}

		// 3. One KMS call gives the wrapping key. For Vault, "wrapped" is its ciphertext and the context is the binding.
		i := strings.LastIndex(key.KeyRef, "/")
		mount, transitKey := key.KeyRef[:i], key.KeyRef[i+1:]
		body, err := json.Marshal(map[string]string{
			"ciphertext": string(key.Wrapped),
			"context":    base64.StdEncoding.EncodeToString([]byte(key.Binding)),
		})
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, vaultAddress+"/v1/"+mount+"/decrypt/"+transitKey, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Vault-Token", vaultToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var answer struct {
			Data struct{ Plaintext []byte }
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("vault answered %s", resp.Status)
		}

		// 4. AES-256-GCM: 12 bytes of nonce, then ciphertext and tag; the binding is the additional data.
		block, err := aes.NewCipher(answer.Data.Plaintext)
		if err != nil {
			return nil, err
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil || len(key.Sealed) < gcm.NonceSize() {
			return nil, errors.New("field sealed is too short")
		}
		nonce, sealed := key.Sealed[:gcm.NonceSize()], key.Sealed[gcm.NonceSize():]
		return gcm.Open(nil, nonce, sealed, []byte(key.Binding))
	}
	return nil, fmt.Errorf("no primary version of key %s", name)
}

// The example of docs/keyset.md opens what the operator made, on the real engine, and only where it belongs.
func TestDocumentedExample(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "team-a/transit", "acme")
	ring := keyring.New(newClock(), asOperator(t, v))
	req := tenant("vault://team-a/transit/acme", "acme-app", "acme-data")
	out, err := ring.Ensure(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	app, err := openDataKey(t.Context(), out.Keysets["acme-app"], "acme-app", "default", v.Address, v.Root)
	if err != nil || len(app) != 32 {
		t.Fatalf("%d bytes, error %v; expected a data key", len(app), err)
	}
	data, err := openDataKey(t.Context(), out.Keysets["acme-data"], "acme-data", "default", v.Address, v.Root)
	if err != nil || !bytes.Equal(app, data) {
		t.Errorf("error %v; expected both namespaces to hold the same data key", err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"copied to another namespace": func() ([]byte, error) {
			return openDataKey(t.Context(), out.Keysets["acme-app"], "acme-data", "default", v.Address, v.Root)
		},
		"binding rewritten": func() ([]byte, error) {
			forged := bytes.ReplaceAll(out.Keysets["acme-app"], []byte("acme-app"), []byte("acme-data"))
			return openDataKey(t.Context(), forged, "acme-data", "default", v.Address, v.Root)
		},
		"without permission": func() ([]byte, error) {
			return openDataKey(t.Context(), out.Keysets["acme-app"], "acme-app", "default", v.Address, "nobody")
		},
		"unknown data key": func() ([]byte, error) {
			return openDataKey(t.Context(), out.Keysets["acme-app"], "acme-app", "records", v.Address, v.Root)
		},
		"no keyset": func() ([]byte, error) {
			return openDataKey(t.Context(), []byte("{}"), "acme-app", "default", v.Address, v.Root)
		},
	} {
		if key, err := open(); err == nil {
			t.Errorf("%s: opened %d bytes; expected an error", name, len(key))
		}
	}
}

// The page shows the very code that is tested here.
func TestDocumentationShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/keyset.md")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "example_test.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "openDataKey" {
			code := source[files.Position(f.Doc.Pos()).Offset:files.Position(f.End()).Offset]
			if !bytes.Contains(page, append([]byte("```go\n"), append(code, "\n```"...)...)) {
				t.Errorf("docs/keyset.md does not show openDataKey as it is in example_test.go; copy it there")
			}
		}
	}
}
