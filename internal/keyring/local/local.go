// Package local wraps data keys with a software key kept in a Secret of the operator's namespace.
//
// It is for laptops and tests. Whoever can read that Secret, or a backup of etcd, can open every data key
// wrapped with it; the assurance says so.
package local

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: local://<name>.
const Scheme = "local"

// SecretPrefix and the name of the key are the name of the Secret.
const SecretPrefix = "hipaa-local-kek-"

const (
	// keySize of the software key in bytes: AES-256.
	keySize = 32
	// idSize of the key id that stands in front of what was wrapped, in bytes.
	idSize = 8
	// remember is how long a key read from the store is used again. Long enough that a thousand new tenants cost a
	// handful of reads, short enough that a replaced Secret is noticed.
	remember = 10 * time.Second
)

// Store keeps software keys. Errors are *keyring.Error of kind Unreachable or Refused.
type Store interface {
	// Get returns the key and true, or false when there is no such Secret.
	Get(ctx context.Context, name string) ([]byte, bool, error)
	// Create stores a new key, and never replaces one. When the Secret is there already, it returns nil and leaves
	// it as it is: the caller reads it to learn which key counts.
	Create(ctx context.Context, name string, key []byte) error
	// Delete removes the Secret. One that is gone already is no error.
	Delete(ctx context.Context, name string) error
}

// Provider implements keyring.Provider.
type Provider struct {
	store Store
	clock clock.PassiveClock

	mu   sync.Mutex
	keys map[string]softwareKey
}

// softwareKey is a key as last read.
type softwareKey struct {
	id     [idSize]byte
	bytes  []byte
	readAt time.Time
}

// New returns a provider that keeps its keys in the store.
func New(store Store, c clock.PassiveClock) *Provider {
	return &Provider{store: store, clock: c, keys: map[string]softwareKey{}}
}

// Scheme is "local".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is SoftwareKey.
func (p *Provider) Assurance() string { return v1alpha1.ReasonSoftwareKey }

// Endpoint is the same for all keys: the API server of this cluster.
func (p *Provider) Endpoint(keyring.KeyRef) string { return "" }

// Describe reads the key's Secret. A missing one is not an error: the first Wrap makes it.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	info := keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionCluster, Derived: true}
	k, found, err := p.get(ctx, ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	defer clear(k.bytes)
	if found {
		info.Exists = true
		info.Version = hex.EncodeToString(k.id[:])
	}
	return info, nil
}

// Wrap encrypts with AES-256-GCM, the binding as additional data. The result is the id of the software key (8 bytes),
// nonce (12), ciphertext and tag (16). The version is the id in hexadecimal. The first Wrap makes the key.
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, binding keyring.Binding) ([]byte, string, error) {
	k, found, err := p.get(ctx, ref)
	if err == nil && !found {
		k, err = p.create(ctx, ref)
	}
	if err != nil {
		return nil, "", err
	}
	defer clear(k.bytes)
	//nolint:gosec // no nonce is passed because this cipher makes a random one itself
	wrapped := gcm(k.bytes).Seal(k.id[:], nil, plaintext, binding.Bytes())
	return wrapped, hex.EncodeToString(k.id[:]), nil
}

// Unwrap decrypts what Wrap returned. Refused when the Secret is gone. Foreign when another software key was used: the bytes
// belong to another tenant's key, or the Secret was replaced; the message tells both keys' ids.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, error) {
	k, found, err := p.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, keyring.Errorf(keyring.Refused, "Secret %s is gone; restore it from a backup, nothing wrapped with it can be opened without it", secretName(ref))
	}
	defer clear(k.bytes)
	if len(wrapped) < idSize {
		return nil, keyring.Errorf(keyring.Foreign, "%d bytes are too few to be a wrapped key", len(wrapped))
	}
	if used := [idSize]byte(wrapped); used != k.id {
		return nil, keyring.Errorf(keyring.Foreign, "it was wrapped with software key %x, and Secret %s holds %x; if that Secret was replaced, restore it",
			used, secretName(ref), k.id)
	}
	plaintext, err := gcm(k.bytes).Open(nil, nil, wrapped[idSize:], binding.Bytes())
	if err != nil {
		return nil, keyring.Errorf(keyring.Foreign, "it was not wrapped for this binding")
	}
	return plaintext, nil
}

// Rewrap changes the nonce only: a software key has one version for as long as it lives.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	return keyring.RewrapHere(ctx, p, ref, wrapped, binding)
}

// Destroy deletes the key's Secret. Backups of etcd still hold it.
func (p *Provider) Destroy(ctx context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	k, found, err := p.get(ctx, ref)
	if err != nil {
		return keyring.Destruction{}, err
	}
	clear(k.bytes)
	name := secretName(ref)
	if !found {
		return keyring.Destruction{Method: "there is no Secret " + name + " any more"}, nil
	}
	if err := p.store.Delete(ctx, name); err != nil {
		return keyring.Destruction{}, err
	}
	p.drop(name)
	return keyring.Destruction{EffectiveAt: p.clock.Now(), Method: "Secret " + name + " deleted"}, nil
}

// create makes the key, or takes the one somebody else made in the same moment.
func (p *Provider) create(ctx context.Context, ref keyring.KeyRef) (softwareKey, error) {
	fresh := make([]byte, keySize)
	defer clear(fresh)
	_, _ = rand.Read(fresh)
	if err := p.store.Create(ctx, secretName(ref), fresh); err != nil {
		return softwareKey{}, err
	}
	k, found, err := p.get(ctx, ref)
	if err == nil && !found {
		err = keyring.Errorf(keyring.Unreachable, "Secret %s was created and cannot be read yet", secretName(ref))
	}
	return k, err
}

// namePattern keeps the Secret's name within 253 characters and valid.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// get returns a copy of the key, which the caller clears.
func (p *Provider) get(ctx context.Context, ref keyring.KeyRef) (softwareKey, bool, error) {
	if !namePattern.MatchString(ref.Path) || len(ref.Query) > 0 {
		return softwareKey{}, false, keyring.Errorf(keyring.Unsupported, "expected local://<name>, the name being a DNS label without parameters but scope")
	}
	name := secretName(ref)
	if k, ok := p.remembered(name); ok {
		return k, true, nil
	}
	raw, found, err := p.store.Get(ctx, name)
	if err != nil || !found {
		return softwareKey{}, false, err
	}
	defer clear(raw)
	if len(raw) != keySize {
		return softwareKey{}, false, keyring.Errorf(keyring.Refused, "Secret %s holds a key of %d bytes; expected %d: restore it from a backup", name, len(raw), keySize)
	}
	return p.keep(name, raw), true, nil
}

// remembered returns a copy of a key read a short while ago. An older one is cleared.
func (p *Provider) remembered(name string) (softwareKey, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.keys[name]
	if !ok {
		return softwareKey{}, false
	}
	if age := p.clock.Since(k.readAt); age < 0 || age >= remember {
		clear(k.bytes)
		delete(p.keys, name)
		return softwareKey{}, false
	}
	return k.copy(), true
}

// drop forgets a key that was deleted.
func (p *Provider) drop(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.keys[name].bytes)
	delete(p.keys, name)
}

// keep remembers a key that was just read and returns a copy.
func (p *Provider) keep(name string, raw []byte) softwareKey {
	k := softwareKey{id: keyID(raw), bytes: append([]byte(nil), raw...), readAt: p.clock.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.keys[name]; ok {
		clear(old.bytes)
	}
	p.keys[name] = k
	return k.copy()
}

func (k softwareKey) copy() softwareKey {
	k.bytes = append([]byte(nil), k.bytes...)
	return k
}

// keyID tells software keys apart without giving anything of them away: the first bytes of a SHA-256 over the key and
// a label of its own.
func keyID(key []byte) [idSize]byte {
	h := sha256.New()
	h.Write([]byte("hipaatenant.dev/local-key-id/v1\x00"))
	h.Write(key)
	return [idSize]byte(h.Sum(nil))
}

func secretName(ref keyring.KeyRef) string { return SecretPrefix + ref.Path }

// gcm is AES-256-GCM with a random nonce in front. Both steps fail only for a key of the wrong length.
func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}
