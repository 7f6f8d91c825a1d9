package keyring

import (
	"context"
	"crypto/rand"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// newKey returns 32 random bytes. crypto/rand never fails and never returns short.
func newKey() []byte {
	key := make([]byte, document.KeySize)
	_, _ = rand.Read(key)
	return key
}

// envelope is one data key, readable only by who may use the KMS key.
type envelope struct {
	sealed     []byte
	wrapped    []byte
	kmsVersion string
}

// seal puts a data key into an envelope: AES-256-GCM under a wrapping key made for this one envelope, with the
// binding as additional data; the wrapping key itself is wrapped by the KMS.
func (r *Ring) seal(ctx context.Context, ref KeyRef, dek []byte, b Binding) (envelope, error) {
	kek := newKey()
	defer clear(kek)
	//nolint:gosec // no nonce is passed because this cipher makes a random one itself
	sealed := document.GCM(kek).Seal(nil, nil, dek, b.Bytes())
	var env envelope
	err := r.call(ctx, ref, "wrap", func(ctx context.Context, p Provider) error {
		wrapped, version, err := p.Wrap(ctx, ref, kek, b)
		env = envelope{sealed: sealed, wrapped: wrapped, kmsVersion: version}
		return err
	})
	if err != nil {
		return envelope{}, err
	}
	if n := len(env.wrapped); n == 0 || n > document.MaxWrapped {
		return envelope{}, about(ref.URI(), Errorf(Refused, "wrapping 32 bytes gave %d; expected 1 to %d", n, document.MaxWrapped))
	}
	return env, nil
}

// open takes the data key out. The caller clears it.
func (r *Ring) open(ctx context.Context, e Entry, b Binding) ([]byte, error) {
	ref, err := e.Ref()
	if err != nil {
		return nil, err
	}
	var kek []byte
	err = r.call(ctx, ref, "unwrap", func(ctx context.Context, p Provider) (err error) {
		kek, err = p.Unwrap(ctx, ref, e.Wrapped, b)
		return err
	})
	defer clear(kek)
	if err != nil {
		return nil, err
	}
	if len(kek) != document.KeySize {
		return nil, Errorf(Foreign, "the wrapping key has %d bytes; expected %d", len(kek), document.KeySize)
	}
	dek, err := document.GCM(kek).Open(nil, nil, e.Sealed, b.Bytes())
	if err != nil {
		return nil, Errorf(Foreign, "field sealed does not open under its wrapping key and binding")
	}
	return dek, nil
}
