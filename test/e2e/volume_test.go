package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A text is found in any file of a volume, in base64 wherever it begins, and an empty volume shows nothing.
func TestUnreadable(t *testing.T) {
	for _, row := range []struct{ name, stored, want string }{
		{"ciphertext", "\x01\x02\x03", ""},
		{"plain text", "note: " + secret + "\n", "expected no plain text"},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret)), "expected no plain text"},
		{"base64, one byte on", base64.StdEncoding.EncodeToString([]byte("x" + secret + "yz")), "expected no plain text"},
		{"base64, two bytes on", base64.RawURLEncoding.EncodeToString([]byte("xx" + secret + "y")), "expected no plain text"},
		{"nothing", "", "found nothing"},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "deep", "down"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "deep", "down", "other"), []byte(row.stored), 0o600); err != nil {
			t.Fatal(err)
		}
		size, err := unreadable(dir, secret)
		if row.want == "" && (err != nil || size != len(row.stored)) || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %d bytes, %v, expected %q", row.name, size, err, row.want)
		}
	}
}
