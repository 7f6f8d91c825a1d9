package keyring_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

func TestQuote(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{"two\nlines\tand  spaces ", `"two lines and spaces"`},
		{" \n leading", `"leading"`},
		{`say "no"`, `"say 'no'"`},
		{"bell\x07 and \u202e turn", `"bell and turn"`},
		{"ünï", `"ünï"`},
		{"\xff\xfe", `"` + "\ufffd\ufffd" + `"`},
		{strings.Repeat("a", 200), `"` + strings.Repeat("a", 200) + `"`},
		{strings.Repeat("a", 201), `"` + strings.Repeat("a", 200) + `..."`},
	} {
		if got := keyring.Quote(tc.in); got != tc.want {
			t.Errorf("Quote(%.40q) = %.60q; expected %.60q", tc.in, got, tc.want)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("a b\nc")
	f.Add(strings.Repeat("ü ", 300))
	f.Fuzz(func(t *testing.T, text string) {
		got := keyring.Quote(text)
		if n := utf8.RuneCountInString(got); n > 206 || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\t\x00") {
			t.Errorf("%d characters: %q; expected one valid line of at most 206", n, got)
		}
		if inner := got[1 : len(got)-1]; strings.Contains(inner, `"`) {
			t.Errorf("%q ends its quotation early", got)
		}
	})
}

func TestKindOf(t *testing.T) {
	refused := keyring.Errorf(keyring.Refused, "no %s", "permission")
	for _, tc := range []struct {
		name string
		err  error
		want keyring.Kind
	}{
		{"nil", nil, ""},
		{"of another package", io.EOF, ""},
		{"direct", refused, keyring.Refused},
		{"wrapped", fmt.Errorf("reconcile: %w", refused), keyring.Refused},
		{"joined", errors.Join(io.EOF, refused), keyring.Refused},
	} {
		if got := keyring.KindOf(tc.err); got != tc.want {
			t.Errorf("%s: kind %q; expected %q", tc.name, got, tc.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := keyring.Errorf(keyring.Refused, "no %s", "permission")
	if got := e.Error(); got != "no permission" {
		t.Errorf("%q; expected the reason alone", got)
	}
	e.Subject, e.Err = "vault://transit/acme", io.EOF
	if got := e.Error(); got != "vault://transit/acme: no permission" || !errors.Is(e, io.EOF) {
		t.Errorf("%q; expected subject and reason, and the cause to be found", got)
	}
}
