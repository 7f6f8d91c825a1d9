package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/pkcs11"
)

// module finds SoftHSM2 as the tests of the operator do.
func module(t *testing.T) string {
	t.Helper()
	for _, path := range []string{os.Getenv("SOFTHSM2_MODULE"), "/usr/lib/softhsm/libsofthsm2.so", "../../bin/softhsm/usr/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("SoftHSM2 is missing: run `make softhsm`, or install softhsm2")
	return ""
}

// One process has one SoftHSM2, so one test tells the whole life of a token.
func TestToken(t *testing.T) {
	dir, lib := filepath.Join(t.TempDir(), "token"), module(t)
	tok, err := openToken(lib, dir)
	if err != nil {
		t.Fatal(err)
	}
	first, nonce, data := tok.newest(), make([]byte, nonceSize), []byte("thirty-two bytes of a data key..")
	sealed, err := tok.encrypt(first, nonce, data)
	if err != nil || len(sealed) != len(data)+tagBits/8 || bytes.Contains(sealed, data[:8]) {
		t.Fatalf("encrypt: %d bytes, error %v", len(sealed), err)
	}
	if _, err := tok.ctx.GetAttributeValue(tok.session, first.handle, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)) {
		t.Errorf("reading the key: error %v; expected CKR_ATTRIBUTE_SENSITIVE", err)
	}
	second, err := tok.generate()
	if err != nil || second.id == first.id || tok.newest().id != second.id {
		t.Fatalf("rotated from %q to %q, error %v", first.id, second.id, err)
	}
	if _, err := tok.decrypt(second, nonce, sealed); err == nil {
		t.Error("the new key opened what the old one sealed")
	}
	tok.close()

	if tok, err = openToken(lib, dir); err != nil {
		t.Fatal(err)
	}
	defer tok.close()
	again, found := tok.find(first.id)
	if got, err := tok.decrypt(again, nonce, sealed); !found || err != nil || !bytes.Equal(got, data) {
		t.Errorf("after opening the token again: found %t, error %v; expected the old key to open what it sealed", found, err)
	}
	if tok.newest().id != second.id {
		t.Errorf("newest key %q; expected %q, as before", tok.newest().id, second.id)
	}
}
