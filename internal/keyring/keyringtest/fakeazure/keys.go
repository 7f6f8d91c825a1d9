package fakeazure

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"
)

// Retention of deleted keys, in days.
const Retention = 90

// Key of the fake. A test may set the exported members before it gives the key to Add, or in Change.
type Key struct {
	Type                 string   // RSA, RSA-HSM, EC, oct-HSM
	Bits                 int      // of the modulus; the fake makes the key when it is first used
	Operations           []string // nil: wrapKey and unwrapKey
	Disabled, Exportable bool
	NotBefore, Expires   time.Time
	PurgeProtected       bool
	Unrecoverable        bool // the vault keeps no deleted keys
	Deleted              time.Time
	host, name           string
	versions             []*version
}

type version struct {
	id  string
	key *rsa.PrivateKey
}

// Add makes a key in the vault of this host.
func (f *KeyVault) Add(host, name string, k Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k.host, k.name = host, name
	if k.Type == "" {
		k.Type = "RSA-HSM"
	}
	if k.Bits == 0 {
		k.Bits = 2048
	}
	if k.Operations == nil {
		k.Operations = []string{"wrapKey", "unwrapKey"}
	}
	k.rotate()
	f.keys[host+"/"+name] = &k
}

// Change a key.
func (f *KeyVault) Change(host, name string, change func(*Key)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.keys[host+"/"+name])
}

// Rotate gives a key a new version.
func (f *KeyVault) Rotate(host, name string) { f.Change(host, name, (*Key).rotate) }

// Purge forgets a key for good.
func (f *KeyVault) Purge(host, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, host+"/"+name)
}

func (k *Key) rotate() {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	k.versions = append(k.versions, &version{id: hex.EncodeToString(id)})
}

func (v *version) private(bits int) (*rsa.PrivateKey, error) {
	var err error
	if v.key == nil {
		v.key, err = rsa.GenerateKey(rand.Reader, bits)
	}
	return v.key, err
}

func missing(name string) *fault {
	return &fault{http.StatusNotFound, "KeyNotFound", "", "A key with (name/id) " + name + " was not found in this key vault."}
}

func (f *KeyVault) serve(operation, host, name string, in request) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, operation+" "+host+"/"+name)
	k, ok := f.keys[host+"/"+name]
	if !ok || k.Deleted.IsZero() == (operation == "deleted") {
		return nil, missing(name)
	}
	switch operation {
	case "get":
		return k.bundle(), nil
	case "deleted":
		return k.deletedBundle(), nil
	case "delete":
		k.Deleted = time.Now()
		out := k.deletedBundle()
		if k.Unrecoverable {
			delete(f.keys, host+"/"+name)
		}
		return out, nil
	case "wrapkey", "unwrapkey":
		return k.use(operation, in)
	}
	return nil, &fault{http.StatusBadRequest, "BadParameter", "", "the fake has no such operation"}
}

// use wraps or unwraps with the version asked for.
func (k *Key) use(operation string, in request) (any, error) {
	var v *version
	for _, candidate := range k.versions {
		if candidate.id == in.version {
			v = candidate
		}
	}
	value, err := base64.RawURLEncoding.DecodeString(in.value)
	switch {
	case v == nil:
		return nil, missing(k.name + "/" + in.version)
	case k.Disabled:
		return nil, &fault{http.StatusForbidden, "Forbidden", "KeyDisabled", "Operation " + operation + " is not allowed on a disabled key."}
	case in.algorithm != "RSA-OAEP-256" || err != nil:
		return nil, &fault{http.StatusBadRequest, "BadParameter", "", "Property has invalid value"}
	}
	private, err := v.private(k.Bits)
	if err != nil {
		return nil, &fault{http.StatusInternalServerError, "InternalError", "", err.Error()}
	}
	var out []byte
	if operation == "wrapkey" {
		out, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &private.PublicKey, value, nil)
	} else {
		out, err = rsa.DecryptOAEP(sha256.New(), nil, private, value, nil)
	}
	if err != nil {
		return nil, &fault{http.StatusBadRequest, "BadParameter", "", "The parameter is incorrect.\r\n"}
	}
	return map[string]string{"kid": k.id(v), "value": base64.RawURLEncoding.EncodeToString(out)}, nil
}

func (k *Key) id(v *version) string { return "https://" + k.host + "/keys/" + k.name + "/" + v.id }

// bundle describes the latest version. Its modulus has the right length and is no key's.
func (k *Key) bundle() map[string]any {
	latest := k.versions[len(k.versions)-1]
	attributes := map[string]any{"enabled": !k.Disabled, "exportable": k.Exportable, "recoverableDays": Retention, "recoveryLevel": "Recoverable+Purgeable"}
	if k.PurgeProtected {
		attributes["recoveryLevel"] = "Recoverable"
	}
	if k.Unrecoverable {
		attributes["recoveryLevel"], attributes["recoverableDays"] = "Purgeable", 0
	}
	if !k.NotBefore.IsZero() {
		attributes["nbf"] = k.NotBefore.Unix()
	}
	if !k.Expires.IsZero() {
		attributes["exp"] = k.Expires.Unix()
	}
	key := map[string]any{"kid": k.id(latest), "kty": k.Type, "key_ops": k.Operations}
	if k.Type == "RSA" || k.Type == "RSA-HSM" {
		key["n"], key["e"] = base64.RawURLEncoding.EncodeToString(make([]byte, k.Bits/8)), "AQAB"
	}
	return map[string]any{"key": key, "attributes": attributes}
}

func (k *Key) deletedBundle() map[string]any {
	out := k.bundle()
	out["recoveryId"], out["deletedDate"] = "https://"+k.host+"/deletedkeys/"+k.name, k.Deleted.Unix()
	if !k.Unrecoverable {
		out["scheduledPurgeDate"] = k.Deleted.AddDate(0, 0, Retention).Unix()
	}
	return out
}
