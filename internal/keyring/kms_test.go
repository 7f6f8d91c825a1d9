package keyring_test

import (
	"bytes"
	"context"
	"sync"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
)

// kms is a software KMS under a scheme of its own, that can be watched and disturbed.
type kms struct {
	keyring.Provider
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
	return &kms{Provider: local.New(&store{keys: map[string][]byte{}}, clock), scheme: scheme}
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
	info, err := k.Provider.Describe(ctx, ref)
	info.Exists, info.Enabled = true, !k.disabled
	return info, err
}

func (k *kms) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, b keyring.Binding) ([]byte, string, error) {
	k.watch(plaintext)
	if err := k.before(ctx, "Wrap "+ref.Path); err != nil {
		return nil, "", err
	}
	return k.Provider.Wrap(ctx, ref, plaintext, b)
}

func (k *kms) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, error) {
	if err := k.before(ctx, "Unwrap "+ref.Path); err != nil {
		return nil, err
	}
	plaintext, err := k.Provider.Unwrap(ctx, ref, wrapped, b)
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

// store of software keys in memory.
type store struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (s *store) Get(_ context.Context, name string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := s.keys[name]
	return bytes.Clone(key), ok, nil
}

func (s *store) Create(_ context.Context, name string, key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[name]; !ok {
		s.keys[name] = bytes.Clone(key)
	}
	return nil
}

func (s *store) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, name)
	return nil
}
