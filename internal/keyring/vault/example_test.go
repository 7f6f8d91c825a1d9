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

// openDataKey returns the 32 bytes of the primary version of a data key. The keyset is the content of keyset.json,
// namespace is the one this program runs in, decrypt makes the KMS call.
func openDataKey(keyset []byte, namespace, name string, decrypt kmsDecrypt) ([]byte, error) {
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
		// 3. One KMS call gives the wrapping key.
		wrappingKey, err := decrypt(key.KeyRef, key.Wrapped, []byte(key.Binding))
		if err != nil {
			return nil, err
		}
		// 4. AES-256-GCM: 12 bytes of nonce, then ciphertext and tag; the binding is the additional data.
		block, err := aes.NewCipher(wrappingKey)
		if err != nil {
			return nil, err
		}
		gcm, err := cipher.NewGCMWithRandomNonce(block) // takes the nonce from the front, also in FIPS 140-3 mode
		if err != nil {
			return nil, err
		}
		return gcm.Open(nil, nil, key.Sealed, []byte(key.Binding))
	}
	return nil, fmt.Errorf("no primary version of key %s", name)
}

// kmsDecrypt asks the KMS to decrypt what it wrapped, with the binding as context.
type kmsDecrypt func(keyRef string, wrapped, binding []byte) ([]byte, error)

// vaultDecrypt does so with Vault: keyRef is <mount>/<key>, wrapped is Vault's ciphertext.
func vaultDecrypt(ctx context.Context, address, token string) kmsDecrypt {
	return func(keyRef string, wrapped, binding []byte) ([]byte, error) {
		i := strings.LastIndex(keyRef, "/")
		body, err := json.Marshal(map[string]string{
			"ciphertext": string(wrapped),
			"context":    base64.StdEncoding.EncodeToString(binding),
		})
		if err != nil {
			return nil, err
		}
		url := address + "/v1/" + keyRef[:i] + "/decrypt" + keyRef[i:]
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Vault-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var answer struct {
			Data struct{ Plaintext []byte } // standard base64 in JSON
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("vault answered %s", resp.Status)
		}
		return answer.Data.Plaintext, nil
	}
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
	app, err := openDataKey(out.Keysets["acme-app"], "acme-app", "default", vaultDecrypt(t.Context(), v.Address, v.Root))
	if err != nil || len(app) != 32 {
		t.Fatalf("%d bytes, error %v; expected a data key", len(app), err)
	}
	data, err := openDataKey(out.Keysets["acme-data"], "acme-data", "default", vaultDecrypt(t.Context(), v.Address, v.Root))
	if err != nil || !bytes.Equal(app, data) {
		t.Errorf("error %v; expected both namespaces to hold the same data key", err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"copied to another namespace": func() ([]byte, error) {
			return openDataKey(out.Keysets["acme-app"], "acme-data", "default", vaultDecrypt(t.Context(), v.Address, v.Root))
		},
		"binding rewritten": func() ([]byte, error) {
			forged := bytes.ReplaceAll(out.Keysets["acme-app"], []byte("acme-app"), []byte("acme-data"))
			return openDataKey(forged, "acme-data", "default", vaultDecrypt(t.Context(), v.Address, v.Root))
		},
		"without permission": func() ([]byte, error) {
			return openDataKey(out.Keysets["acme-app"], "acme-app", "default", vaultDecrypt(t.Context(), v.Address, "nobody"))
		},
		"unknown data key": func() ([]byte, error) {
			return openDataKey(out.Keysets["acme-app"], "acme-app", "records", vaultDecrypt(t.Context(), v.Address, v.Root))
		},
		"no keyset": func() ([]byte, error) {
			return openDataKey([]byte("{}"), "acme-app", "default", vaultDecrypt(t.Context(), v.Address, v.Root))
		},
	} {
		if key, err := open(); err == nil {
			t.Errorf("%s: opened %d bytes; expected an error", name, len(key))
		}
	}
}

// The page shows the very code that is tested here: everything from openDataKey to the end of vaultDecrypt.
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
	from, to := 0, 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		switch {
		case ok && f.Name.Name == "openDataKey":
			from = files.Position(f.Doc.Pos()).Offset
		case ok && f.Name.Name == "vaultDecrypt":
			to = files.Position(f.End()).Offset
		}
	}
	want := "```go\n" + string(source[from:to]) + "\n```"
	if from == 0 || !strings.Contains(string(page), want) {
		t.Errorf("docs/keyset.md does not show the example as it is in example_test.go; copy it there:\n%s", want)
	}
}
