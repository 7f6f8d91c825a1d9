package keyset

import "github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"

// Held is the very memory a key is held in.
func (k *Keyset) Held(name string, version int64) []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[document.ID{Name: name, Version: version}].bytes
}
