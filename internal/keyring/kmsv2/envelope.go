package kmsv2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxEnvelope in bytes: what a keyset takes as a wrapped key. The API would let a plugin attach more than that.
const maxEnvelope = 16 << 10

// envelope is everything a plugin wants to see again to decrypt. As JSON it is the field wrapped of a keyset, so that a
// program in any language can give it back; docs/keyset.md describes it.
type envelope struct {
	KeyID       string            `json:"keyID"`
	Ciphertext  []byte            `json:"ciphertext"`
	Annotations map[string][]byte `json:"annotations,omitempty"`
}

func (e envelope) encode() []byte {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and bytes only: cannot fail
	}
	return raw
}

func (e envelope) check() error {
	if err := checkKeyID(e.KeyID); err != nil {
		return err
	}
	if len(e.Ciphertext) == 0 {
		return errors.New("no ciphertext")
	}
	if n := len(e.encode()); n > maxEnvelope {
		return fmt.Errorf("key id, ciphertext and annotations make %d bytes; expected at most %d", n, maxEnvelope)
	}
	return nil
}

// decode takes what encode made and nothing else.
func decode(raw []byte) (envelope, error) {
	if len(raw) > maxEnvelope {
		return envelope{}, fmt.Errorf("%d bytes; expected at most %d", len(raw), maxEnvelope)
	}
	var e envelope
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return envelope{}, errors.New("expected JSON with keyID, ciphertext and annotations")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return envelope{}, errors.New("expected one JSON object and nothing behind it")
	}
	return e, e.check()
}
