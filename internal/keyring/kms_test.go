package keyring_test

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
)

// kms is a software KMS under a scheme of its own, that can be watched and disturbed.
type kms struct {
	*versioned
	scheme string

	mu sync.Mutex
	// calls made so far, such as "Wrap acme".
	calls []string
	// disturb runs before each call; its error is the answer.
	disturb func(ctx context.Context, call string) error
	// shared lets all keys fail together, as they do behind one address. Otherwise each key is an endpoint.
	shared bool
	// disabled is what Describe says.
	disabled bool
	// plaintexts are the very slices that went in and came out, secrets are copies of their content.
	plaintexts, secrets [][]byte
}

func newKMS(scheme string, clock *clocktesting.FakePassiveClock) *kms {
	keys := &versioned{Provider: local.New(keyringtest.NewShelf(), clock), current: map[string]int{}}
	return &kms{versioned: keys, scheme: scheme}
}

func (k *kms) Scheme() string { return k.scheme }

func (k *kms) Endpoint(ref keyring.KeyRef) string {
	if k.shared {
		return ""
	}
	return ref.ID()
}

func (k *kms) before(ctx context.Context, call string) error {
	k.mu.Lock()
	k.calls = append(k.calls, call)
	disturb := k.disturb
	k.mu.Unlock()
	if disturb == nil {
		return nil
	}
	return disturb(ctx, call)
}

func (k *kms) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	if err := k.before(ctx, "Describe "+ref.Path); err != nil {
		return keyring.KeyInfo{}, err
	}
	info, err := k.versioned.Describe(ctx, ref)
	info.Exists, info.Enabled = true, !k.disabled
	return info, err
}

func (k *kms) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, b keyring.Binding) ([]byte, string, error) {
	k.watch(plaintext)
	if err := k.before(ctx, "Wrap "+ref.Path); err != nil {
		return nil, "", err
	}
	return k.versioned.Wrap(ctx, ref, plaintext, b)
}

func (k *kms) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, error) {
	if err := k.before(ctx, "Unwrap "+ref.Path); err != nil {
		return nil, err
	}
	plaintext, err := k.versioned.Unwrap(ctx, ref, wrapped, b)
	k.watch(plaintext)
	return plaintext, err
}

func (k *kms) watch(plaintext []byte) {
	if len(plaintext) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.plaintexts = append(k.plaintexts, plaintext)
	k.secrets = append(k.secrets, bytes.Clone(plaintext))
}

func (k *kms) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, string, error) {
	if err := k.before(ctx, "Rewrap "+ref.Path); err != nil {
		return nil, "", err
	}
	return k.versioned.Rewrap(ctx, ref, wrapped, b)
}

// versioned gives software keys versions: each is a software key of its own, and its number stands in front of what it
// wrapped.
type versioned struct {
	keyring.Provider
	region string

	mu      sync.Mutex
	current map[string]int
}

// rotate gives a key a new version.
func (v *versioned) rotate(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.current[path] = max(1, v.current[path]) + 1
}

func (v *versioned) version(ref keyring.KeyRef) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strconv.Itoa(max(1, v.current[ref.Path]))
}

func at(ref keyring.KeyRef, version string) keyring.KeyRef {
	ref.Path += "-v" + version
	return ref
}

func (v *versioned) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	info, err := v.Provider.Describe(ctx, at(ref, v.version(ref)))
	info.Version, info.Region = v.version(ref), v.region
	return info, err
}

func (v *versioned) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, b keyring.Binding) ([]byte, string, error) {
	version := v.version(ref)
	wrapped, _, err := v.Provider.Wrap(ctx, at(ref, version), plaintext, b)
	return append([]byte(version+":"), wrapped...), version, err
}

func (v *versioned) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, error) {
	version, inner, found := bytes.Cut(wrapped, []byte(":"))
	if !found {
		return nil, keyring.Errorf(keyring.Foreign, "no version in front")
	}
	return v.Provider.Unwrap(ctx, at(ref, string(version)), inner, b)
}

func (v *versioned) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, string, error) {
	return keyring.RewrapHere(ctx, v, ref, wrapped, b)
}
