package keyringtest

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/aside" //nolint:depguard // nothing that ships imports keyringtest
)

var plugin = aside.Program{Name: "kms-plugin", Source: "kmsplugin", Note: "a KMS v2 plugin over PKCS#11: about 10 s", CGO: "1"}

// KMSPlugin is bin/kms-plugin: a KMS v2 plugin process whose keys never leave a SoftHSM2 token. Its methods may not be
// called concurrently.
type KMSPlugin struct {
	// Socket it serves. The path stays the same when the plugin is stopped and started again.
	Socket string
	// KeyID that Encrypt uses now.
	KeyID string

	token  string
	module string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// StartKMSPlugin builds the plugin if need be and runs it, with a token of its own, until the test ends. It also ends
// when the test process does.
func StartKMSPlugin(t testing.TB) *KMSPlugin {
	t.Helper()
	//nolint:usetesting // the path of a socket may have 107 characters, and t.TempDir spells out the test's name
	dir, err := os.MkdirTemp("", "kms-")
	must(t, err)
	p := &KMSPlugin{Socket: filepath.Join(dir, "kms.sock"), token: filepath.Join(dir, "token"), module: softHSM(t)}
	t.Cleanup(func() {
		p.stop()
		_ = os.RemoveAll(dir)
	})
	p.Resume(t)
	return p
}

// Rotate makes a new key. The plugin encrypts with it from now on, and still decrypts with the ones before.
func (p *KMSPlugin) Rotate(t testing.TB) {
	t.Helper()
	p.KeyID = p.command(t, "rotate")
}

// SetHealth has Status say the word; "ok" is the only healthy one.
func (p *KMSPlugin) SetHealth(t testing.TB, word string) {
	t.Helper()
	p.command(t, "health "+word)
}

// Hang has the plugin take calls and answer none, until Wake.
func (p *KMSPlugin) Hang(t testing.TB) {
	t.Helper()
	p.command(t, "hang")
}

// Wake lets the plugin answer again.
func (p *KMSPlugin) Wake(t testing.TB) {
	t.Helper()
	p.command(t, "wake")
}

// Stop ends the plugin as a crash would: the socket is left, and nobody listens.
func (p *KMSPlugin) Stop(t testing.TB) {
	t.Helper()
	if p.cmd == nil {
		t.Fatal("the plugin does not run")
	}
	p.stop()
}

// Resume starts the plugin again, on the same socket and with the same keys.
func (p *KMSPlugin) Resume(t testing.TB) {
	t.Helper()
	if p.cmd != nil {
		t.Fatal("the plugin runs already")
	}
	cmd := exec.Command(path(t, plugin), "-module", p.module, "-token", p.token, "-socket", p.Socket)
	// Unpacked instead of installed, the library has its own libraries beside it.
	root := strings.TrimSuffix(p.module, "/softhsm/libsofthsm2.so")
	found, _ := filepath.Glob(root + "/*-linux-gnu*")
	cmd.Env = append(aside.Environment(), "LD_LIBRARY_PATH="+strings.Join(found, ":"))
	p.stderr.Reset()
	cmd.Stderr = &p.stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	p.cmd, p.in, p.out = cmd, in, bufio.NewReader(out)
	p.KeyID = p.line(t)
}

func (p *KMSPlugin) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// command sends one line and returns the answer.
func (p *KMSPlugin) command(t testing.TB, line string) string {
	t.Helper()
	if p.cmd == nil {
		t.Fatalf("%s: the plugin does not run", line)
	}
	_, err := io.WriteString(p.in, line+"\n")
	must(t, err)
	return p.line(t)
}

func (p *KMSPlugin) line(t testing.TB) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.stop()
		t.Fatalf("kms-plugin ended: %v\n%s", err, p.stderr.String())
	}
	return strings.TrimSpace(line)
}

// softHSM finds the PKCS#11 library, installed or unpacked by make softhsm.
func softHSM(t testing.TB) string {
	t.Helper()
	for _, path := range []string{
		os.Getenv("SOFTHSM2_MODULE"),
		"/usr/lib/softhsm/libsofthsm2.so",
		filepath.Join(moduleRoot(t), "bin", "softhsm", "usr", "lib", "softhsm", "libsofthsm2.so"),
	} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("SoftHSM2 is missing: run `make softhsm`, install softhsm2, or point SOFTHSM2_MODULE at libsofthsm2.so")
	return ""
}
