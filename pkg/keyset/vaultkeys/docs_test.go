package vaultkeys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// page is what stands in docs/keyset.md between ```<language> and ```, after a heading.
func page(t *testing.T, heading, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/keyset.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## "+heading+"\n")
	_, code, found := strings.Cut(section, "\n```"+language+"\n")
	code, _, closed := strings.Cut(code, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/keyset.md has no %s after %q", language, heading)
	}
	return code + "\n"
}

// program is a reader from the documentation, with a main of the test that prints the data key in base64.
type program struct {
	needs   []string
	sources map[string]string
	build   []string
	run     []string
}

// The readers of the documentation, in every language that this machine has, open what the operator sealed with Vault's real
// engine, and only where it belongs.
func TestDocumentedReaders(t *testing.T) {
	v := keyringtest.StartVault(t)
	raw := sealed(t, v, "acme")
	k, err := open(t, raw, vaultkeys.Config{Address: v.Address, Token: v.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	key, err := k.Primary("default")
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.ReplaceAll(raw, []byte("acme-app"), []byte("acme-dat"))
	for language, p := range readers(t) {
		t.Run(language, func(t *testing.T) {
			dir := p.make(t)
			ask := func(document []byte, namespace, token string) (string, error) {
				return p.ask(t, dir, []string{v.Address, token, namespace}, document)
			}
			got, err := ask(raw, "acme-app", v.Root)
			if err != nil || got != base64.StdEncoding.EncodeToString(key.Bytes) {
				t.Errorf("error %v; expected the data key", err)
			}
			for name, attempt := range map[string]func() (string, error){
				"copied to another namespace": func() (string, error) { return ask(raw, "acme-dat", v.Root) },
				"binding rewritten":           func() (string, error) { return ask(forged, "acme-dat", v.Root) },
				"without permission":          func() (string, error) { return ask(raw, "acme-app", "nobody") },
			} {
				if got, err := attempt(); err == nil || got != "" {
					t.Errorf("%s: opened", name)
				}
			}
		})
	}
}

func readers(t *testing.T) map[string]program {
	return map[string]program{
		"python": {
			needs: []string{"python3", "-c", "import cryptography"},
			sources: map[string]string{"main.py": page(t, "In Python, with Vault", "python") + `
import sys
key = open_data_key(sys.stdin.read(), sys.argv[3], "default", vault_decrypt(sys.argv[1], sys.argv[2]))
sys.stdout.write(base64.b64encode(key).decode())
`},
			run: []string{"python3", "main.py"},
		},
		"java": {
			needs: []string{"javac", "-version"},
			sources: map[string]string{"DataKeys.java": page(t, "In Java, with Vault", "java"), "Main.java": `
public class Main {
    public static void main(String[] a) throws Exception {
        byte[] key = DataKeys.open(a[2], "default", a[3], a[4], a[5], a[6], DataKeys.vault(a[0], a[1]));
        System.out.print(java.util.Base64.getEncoder().encodeToString(key));
    }
}
`},
			build: []string{"javac", "DataKeys.java", "Main.java"},
			run:   []string{"java", "-cp", ".", "Main"},
		},
	}
}

func (p program) make(t *testing.T) string {
	t.Helper()
	if out, err := exec.Command(p.needs[0], p.needs[1:]...).CombinedOutput(); err != nil {
		t.Skipf("this machine has no %v: %v %s", p.needs, err, out) //nolint:forbidigo // the language is not a requirement of the project
	}
	dir := t.TempDir()
	for name, text := range p.sources {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p.build != nil {
		build := exec.Command(p.build[0], p.build[1:]...)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", p.build, err, out)
		}
	}
	return dir
}

// ask runs the program on a document, which it reads itself or gets field by field.
func (p program) ask(t *testing.T, dir string, args []string, raw []byte) (string, error) {
	t.Helper()
	var doc struct {
		Keys []struct{ KeyRef, Binding, Sealed, Wrapped string }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	e := doc.Keys[0]
	command := exec.Command(p.run[0], append(append(p.run[1:len(p.run):len(p.run)], args...), e.KeyRef, e.Binding, e.Sealed, e.Wrapped)...)
	command.Dir, command.Stdin = dir, bytes.NewReader(raw)
	out, err := command.Output()
	return string(out), err
}

// The page shows the very code that is compiled here: the body of example, without what only the test needs.
func TestDocumentationShowsThePackage(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "[]byte) ([]byte, error) {\n")
	body, _, _ = strings.Cut(body, "}\n\nvar _")
	want := strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n")
	if got := page(t, "In Go, with package keyset", "go"); got != want || want == "" {
		t.Errorf("docs/keyset.md shows\n%s\nexpected, from example_test.go,\n%s", got, want)
	}
}

var _ keyset.Unwrapper = (*vaultkeys.Unwrapper)(nil)
