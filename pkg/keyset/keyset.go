// Package keyset gives an application the data keys of its tenant. The operator keeps them in Secret hipaa-keyset of the
// tenant's namespaces, each sealed under a wrapping key that only the tenant's KMS key opens; docs/keyset.md describes the
// format. The application asks the KMS under its own identity:
//
//	vault, err := vaultkeys.New(vaultkeys.Config{Address: "https://vault.vault:8200", KubernetesRole: "acme-app"})
//	...
//	keys, err := keyset.Watch(ctx, "/var/run/hipaa/keyset.json", keyset.Options{
//		Unwrapper: vault,
//		Expect:    keyset.Identity{Namespace: keyset.PodNamespace(), Tenant: "acme-health"},
//	})
//	...
//	defer keys.Close()
//	record, err := keys.Encrypt("default", plaintext, []byte("patients/4711"))
//	plaintext, err := keys.Decrypt("default", record, []byte("patients/4711"))
//
// A rotation needs nothing of the application: what it encrypts is under the primary version by then, and what it
// decrypts says which version it needs.
//
// This package needs the standard library alone. Each KMS has a package of its own below it, so that an
// application links the client of the KMS it uses and no other.
package keyset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

var (
	// ErrForeign: the document is malformed, belongs to somebody else, was rolled back, or was tampered with. Trying
	// again does not help.
	ErrForeign = errors.New("foreign keyset")
	// ErrNoKey: there is no such data key, or no such version that may be used.
	ErrNoKey = errors.New("no such key")
	// ErrClosed: the keyset was closed.
	ErrClosed = errors.New("the keyset is closed")
)

// Options of Open and Watch.
type Options struct {
	// Unwrapper asks the KMS. Required.
	Unwrapper Unwrapper
	// Expect pins whose keyset this must be. Namespace is required: without it, a keyset copied from elsewhere would be
	// taken, and whoever owns that one could read what this application encrypts.
	Expect Identity
	// Interval is how often Watch looks at the file. Default 10 s; the kubelet itself takes about a minute to bring a
	// changed Secret to a volume.
	Interval time.Duration
	// OnReload is told by Watch what became of a change: nil when it was taken, else why the last good keys stay in use.
	// The same error is told once. It may be called until Close, from another goroutine, one call at a time.
	OnReload func(error)
}

// Keyset holds the opened data keys of one namespace. Its methods may be called from several goroutines.
type Keyset struct {
	opts Options
	stop context.CancelFunc

	// turn is held by the one reload under way.
	turn sync.Mutex

	mu       sync.RWMutex
	closed   bool
	identity Identity
	keys     map[document.ID]*key
	primary  map[string]int64
	// unopened versions, with the reason. They may only decrypt, and are tried again with each reload.
	unopened map[document.ID]error
}

// key is one opened version.
type key struct {
	bytes []byte
	// seal and binding it was opened from: an entry that did not change is not opened again.
	seal, binding string
}

// Open opens a document: one KMS call for each version that is not retired. It fails when a primary version cannot be
// opened. An older one that cannot be opened now fails when it is asked for, and is tried again by Reload.
func Open(ctx context.Context, raw []byte, o Options) (*Keyset, error) {
	switch {
	case o.Unwrapper == nil:
		return nil, errors.New("keyset: expected Options.Unwrapper, such as one of package vaultkeys")
	case o.Expect.Namespace == "":
		return nil, errors.New("keyset: expected Options.Expect.Namespace, the namespace this application runs in; PodNamespace finds it")
	}
	k := &Keyset{opts: o, stop: func() {}, keys: map[document.ID]*key{}, primary: map[string]int64{}}
	if err := k.Reload(ctx, raw); err != nil {
		return nil, err
	}
	return k, nil
}

// Identity is whose keyset it is.
func (k *Keyset) Identity() Identity {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.identity
}

// DataKey is one version of a data key.
type DataKey struct {
	Name    string
	Version int64
	// Bytes of the key, 32, for AES-256. They are a copy: clear it after use. Encrypt and Decrypt do without.
	Bytes []byte
}

// Primary returns the version that encrypts. Note name and version beside what is encrypted.
func (k *Keyset) Primary(name string) (DataKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	version, ok := k.primary[name]
	if !ok && !k.closed {
		return DataKey{}, fmt.Errorf("%w: %s", ErrNoKey, document.Quote(name))
	}
	return k.copied(name, version)
}

// Version returns a version that may decrypt: any that is not retired.
func (k *Keyset) Version(name string, version int64) (DataKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.copied(name, version)
}

// copied copies an opened version. The caller holds mu.
func (k *Keyset) copied(name string, version int64) (DataKey, error) {
	if k.closed {
		return DataKey{}, ErrClosed
	}
	id := document.ID{Name: name, Version: version}
	if opened, ok := k.keys[id]; ok {
		return DataKey{Name: name, Version: version, Bytes: append([]byte(nil), opened.bytes...)}, nil
	}
	if err, ok := k.unopened[id]; ok {
		return DataKey{}, err
	}
	return DataKey{}, fmt.Errorf("%w: %s version %d is unknown or retired", ErrNoKey, document.Quote(name), version)
}

// Close clears the keys and ends watching. Every later call gives ErrClosed.
func (k *Keyset) Close() {
	k.stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for _, opened := range k.keys {
		clear(opened.bytes)
	}
	clear(k.keys)
	clear(k.primary)
}
