package keyring

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Describe asks the KMS about a key without using it, within the limits of every call. Errors are *Error.
func (r *Ring) Describe(ctx context.Context, ref KeyRef) (KeyInfo, error) {
	var info KeyInfo
	err := r.call(ctx, ref, "describe", func(ctx context.Context, p Provider) (err error) {
		info, err = p.Describe(ctx, ref)
		return err
	})
	r.looks.heard(ref.URI(), info, err)
	return info, err
}

// Destroy has the KMS destroy a key, within the limits of every call. It may be repeated. After an error of kind Refused
// or Unsupported the key stands; after any other nobody knows. The caller has made sure that the key serves one tenant
// alone, whose data is to be shredded: nothing here asks again.
func (r *Ring) Destroy(ctx context.Context, ref KeyRef) (Destruction, error) {
	var done Destruction
	err := r.call(ctx, ref, "destroy", func(ctx context.Context, p Provider) (err error) {
		done, err = p.Destroy(ctx, ref)
		return err
	})
	return done, err
}

// Opens tells whether an entry opens with the key it names, for the place it says it belongs to; the caller has checked
// that. Errors are *Error, Foreign when it is another key.
func (r *Ring) Opens(ctx context.Context, e Entry) error {
	b, err := document.ParseBinding(e.Binding)
	if err != nil {
		return Errorf(Foreign, "%s", err)
	}
	dek, err := r.open(ctx, e, b)
	clear(dek)
	return err
}

// Assurance of keys of a scheme, see Provider.
func (r *Ring) Assurance(scheme string) string { return r.assurance(scheme) }
