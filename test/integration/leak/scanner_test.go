package leak

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// secret is what must not be found.
type secret struct {
	bytes []byte
	// home is the one place it belongs: the key in etcd. Empty for what belongs nowhere in a cluster.
	home string
}

// needle is one form of one secret.
type needle struct{ name, form string }

// scanner looks for many secrets at once, each in every form of keyringtest.Forms. A place is looked at where the first
// eight bytes of a form stand.
type scanner struct {
	heads map[uint64][]needle
	// pairs of bytes that begin a form: nearly every place of a file is passed by with this alone.
	pairs [1 << 16]bool
}

const head = 8

func newScanner(secrets map[string]secret) *scanner {
	s := &scanner{heads: map[uint64][]needle{}}
	for name, sec := range secrets {
		for _, form := range keyringtest.Forms(sec.bytes) {
			if len(form) < head {
				panic(fmt.Sprintf("secret %s is too short to look for", name))
			}
			s.pairs[binary.LittleEndian.Uint16([]byte(form))] = true
			h := binary.LittleEndian.Uint64([]byte(form))
			s.heads[h] = append(s.heads[h], needle{name, form})
		}
	}
	return s
}

// dumped matches a line of hex.Dump, the way client libraries log binary bodies.
var dumped = regexp.MustCompile(`[0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2}){1,16})[ |]`)

// undump puts the bytes of all dumps in a text together.
func undump(text []byte) []byte {
	var out []byte
	for _, m := range dumped.FindAllSubmatch(text, -1) {
		line, err := hex.DecodeString(strings.ReplaceAll(string(m[1]), " ", ""))
		if err != nil {
			panic(err) // the pattern takes pairs of digits alone
		}
		out = append(out, line...)
	}
	return out
}

// find returns the names of the secrets that stand in the data.
func (s *scanner) find(data []byte) []string {
	found := map[string]bool{}
	for i := 0; i+head <= len(data); i++ {
		if !s.pairs[uint16(data[i])|uint16(data[i+1])<<8] {
			continue
		}
		for _, n := range s.heads[binary.LittleEndian.Uint64(data[i:])] {
			if len(data)-i >= len(n.form) && string(data[i:i+len(n.form)]) == n.form {
				found[n.name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// The scanner agrees with Reveals, at every offset and in every form.
func TestScanner(t *testing.T) {
	key, other := []byte("\x00\xff0123456789\"abcdefghijklmnopq\n\xfe\x01"), []byte(strings.Repeat("\x7f\x00", 16))
	s := newScanner(map[string]secret{"key": {bytes: key}, "other": {bytes: other}})
	for _, form := range keyringtest.Forms(key) {
		for offset := range 10 {
			text := strings.Repeat("A", offset) + form + strings.Repeat("A", offset)
			if got := s.find([]byte(text)); len(got) != 1 || got[0] != "key" || !keyringtest.Reveals(text, key) {
				t.Errorf("%q: found %v", text, got)
			}
		}
		if got := s.find([]byte(form[:len(form)-1])); len(got) > 0 {
			t.Errorf("all but the last byte of %q: found %v", form, got)
		}
	}
	if got := s.find(append(key, other...)); len(got) != 2 {
		t.Errorf("found %v; expected both", got)
	}
	if got := s.find([]byte("short")); got != nil {
		t.Errorf("found %v in nothing", got)
	}
}

func TestUndump(t *testing.T) {
	for n := range 70 {
		want := bytes.Repeat([]byte("a \x00|1"), n)[:n]
		text := "body: " + strings.ReplaceAll(hex.Dump(want), "\n", `\n`) + " end"
		if got := undump([]byte(text)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %q from %s", n, got, text)
		}
	}
}
