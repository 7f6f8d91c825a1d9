package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// askForRoots makes the test's own program print how the system's roots are.
const askForRoots = "HIPAA_TEST_ROOTS"

// TestRoots: where the machine has no certificate authorities the program's own count, and where it has some they alone. A process
// reads them once, so each case is one.
func TestRoots(t *testing.T) {
	if own := os.Getenv(askForRoots); own != "" {
		sayRoots(own)
		return
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	own := filepath.Join(dir, "own.pem")
	if err := os.WriteFile(own, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{filepath.Join(dir, "none.pem"): "others", own: "own"} {
		self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRoots$")
		self.Env = append(os.Environ(), askForRoots+"="+own, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+filepath.Join(dir, "none"))
		out, err := self.CombinedOutput()
		if err != nil || !bytes.HasPrefix(out, []byte("roots: "+want+"\n")) {
			t.Errorf("SSL_CERT_FILE=%s: %s, error %v; expected %s", filepath.Base(file), out, err, want)
		}
	}
}

func sayRoots(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	own := x509.NewCertPool()
	own.AppendCertsFromPEM(text)
	pool, err := x509.SystemCertPool()
	switch {
	case err != nil || pool.Equal(x509.NewCertPool()):
		println("roots: none", err)
	case pool.Equal(own):
		println("roots: own")
	default:
		println("roots: others")
	}
}
