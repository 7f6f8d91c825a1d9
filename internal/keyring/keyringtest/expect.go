package keyringtest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Expect fails unless err is an *Error of the kind, worded, bounded, on one line, and without any of the secrets.
func Expect(t testing.TB, err error, want keyring.Kind, secrets ...[]byte) {
	t.Helper()
	e, ok := errors.AsType[*keyring.Error](err)
	if !ok || e.Kind != want {
		t.Errorf("error %v of kind %q; expected kind %s", err, keyring.KindOf(err), want)
		return
	}
	if text := err.Error(); e.Reason == "" || len(text) > 1500 || strings.ContainsAny(text, "\r\n\t") {
		t.Errorf("error %.300q of %d bytes; expected one line of at most 1500 that gives a reason", text, len(text))
	}
	for _, secret := range secrets {
		if Reveals(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

// Reveals tells whether text holds the secret, of 8 bytes or more, in one of its Forms.
func Reveals(text string, secret []byte) bool {
	return slices.ContainsFunc(Forms(secret), func(form string) bool { return strings.Contains(text, form) })
}

// Forms are the ways a secret of 8 bytes or more gets into text: raw, quoted, in hexadecimal, in base64 at any alignment, and
// as a list of bytes the way Go and JSON print one.
func Forms(secret []byte) []string {
	quoted := strconv.Quote(string(secret))
	list := strings.Trim(fmt.Sprintf("%d", secret), "[]")
	forms := []string{
		string(secret), quoted[1 : len(quoted)-1], hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		list, strings.ReplaceAll(list, " ", ","), strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte"),
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// A secret inside a longer text may begin at any of three positions of a base64 group; the first and
			// the last characters then depend on the neighbours.
			encoded := enc.EncodeToString(append(make([]byte, shift), secret...))
			forms = append(forms, encoded[4:len(encoded)-4])
		}
	}
	return slices.DeleteFunc(forms, func(form string) bool { return form == "" })
}
