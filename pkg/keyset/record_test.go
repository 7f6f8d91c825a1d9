package keyset_test

import (
	"bytes"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
)

func TestRecords(t *testing.T) {
	w := newWorld(t)
	k := w.open(w.make(request()))
	for _, size := range []int{0, 1, 15, 16, 17, 1 << 16} {
		plaintext := bytes.Repeat([]byte("x"), size)
		record, err := k.Encrypt("default", plaintext, []byte("row"))
		if err != nil {
			t.Fatal(err)
		}
		if len(record) != size+keyset.Overhead {
			t.Errorf("%d bytes became %d; expected %d more", size, len(record), keyset.Overhead)
		}
		got, err := k.Decrypt("default", record, []byte("row"))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes, error %v; expected the %d that were encrypted", len(got), err, size)
		}
		if again, _ := k.Encrypt("default", plaintext, []byte("row")); bytes.Equal(record, again) {
			t.Error("the same record twice; expected fresh salt and nonce")
		}
	}
}

// No bit of a record may be changed, and it opens nowhere else.
func TestRecordTampering(t *testing.T) {
	w := newWorld(t)
	k := w.open(w.rotated(request(), w.make(request())))
	record, err := k.Encrypt("default", []byte("hello"), []byte("row 1"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range record {
		for bit := range 8 {
			changed := bytes.Clone(record)
			changed[i] ^= 1 << bit
			if _, err := k.Decrypt("default", changed, []byte("row 1")); err == nil {
				t.Fatalf("byte %d, bit %d: opened", i, bit)
			}
		}
	}
	for n := range record {
		if _, err := k.Decrypt("default", record[:n], []byte("row 1")); err == nil {
			t.Fatalf("the first %d bytes opened", n)
		}
	}
	_, err = k.Decrypt("default", record, []byte("row 2"))
	want(t, err, keyset.ErrRecord)
	_, err = k.Decrypt("default", record, nil)
	want(t, err, keyset.ErrRecord)
	_, err = k.Decrypt("records", record, []byte("row 1"))
	want(t, err, keyset.ErrRecord)
	_, err = k.Decrypt("unknown", record, []byte("row 1"))
	want(t, err, keyset.ErrNoKey)
	_, err = k.Encrypt("unknown", nil, nil)
	want(t, err, keyset.ErrNoKey)
	dek, err := k.Primary("default")
	if err != nil || keyringtest.Reveals(string(record), dek.Bytes) {
		t.Errorf("error %v, or the record holds the data key", err)
	}
}
