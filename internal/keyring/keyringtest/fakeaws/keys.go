package fakeaws

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// States of a key.
const (
	Enabled         = "Enabled"
	Disabled        = "Disabled"
	PendingDeletion = "PendingDeletion"
)

// Key of the fake. A test may set the exported members before it gives the key to Add, or in Change.
type Key struct {
	Region, ID                          string
	Spec, Usage, State, Origin, Manager string
	Replicas                            []string // regions of the replicas of a multi-Region primary key
	MultiRegion                         bool
	// WithoutMaterialIDs: as in a custom key store.
	WithoutMaterialIDs bool
	// SlipsAway: somebody else schedules the deletion between the next look at the key and anything after.
	SlipsAway bool
	deletion  time.Time
	materials []material
}

type material struct {
	id  string
	key []byte
}

// ARN of the key.
func (k *Key) ARN() string { return "arn:aws:kms:" + k.Region + ":" + Account + ":key/" + k.ID }

func (k *Key) rotate() {
	m := material{id: hex.EncodeToString(random(32)), key: random(32)}
	k.materials = append(k.materials, m)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// Create makes an enabled symmetric key with an alias and returns its ARN.
func (f *KMS) Create(region, alias string) string { return f.Add(Key{Region: region}, alias) }

// Add makes a key like the given one. What is not set gets KMS's defaults.
func (f *KMS) Add(k Key, alias string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for member, value := range map[*string]string{
		&k.Spec: "SYMMETRIC_DEFAULT", &k.Usage: "ENCRYPT_DECRYPT", &k.State: Enabled, &k.Origin: "AWS_KMS", &k.Manager: "CUSTOMER",
		&k.ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", len(f.keys)+1),
	} {
		if *member == "" {
			*member = value
		}
	}
	k.rotate()
	f.keys[k.ARN()] = &k
	if alias != "" {
		f.aliases["arn:aws:kms:"+k.Region+":"+Account+":alias/"+alias] = k.ARN()
	}
	return k.ARN()
}

// Change a key.
func (f *KMS) Change(arn string, change func(*Key)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.keys[arn])
}

// Rotate gives a key new material; what older material encrypted can still be decrypted.
func (f *KMS) Rotate(arn string) { f.Change(arn, (*Key).rotate) }

// Point lets an alias name another key.
func (f *KMS) Point(region, alias, arn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aliases["arn:aws:kms:"+region+":"+Account+":alias/"+alias] = arn
}

// Forget removes a key for good, with its aliases, as KMS does at the end of the waiting period.
func (f *KMS) Forget(arn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, arn)
	for alias, target := range f.aliases {
		if target == arn {
			delete(f.aliases, alias)
		}
	}
}

// find resolves the name of a key in the region of the request.
func (f *KMS) find(region, name string) (*Key, error) {
	prefix := "arn:aws:kms:" + region + ":" + Account + ":"
	arn := name
	if strings.HasPrefix(name, "alias/") {
		arn = prefix + name
	}
	if !strings.HasPrefix(arn, prefix) {
		return nil, fault{"NotFoundException", "Invalid arn " + region}
	}
	if target, ok := f.aliases[arn]; ok {
		arn = target
	} else if strings.HasPrefix(arn, prefix+"alias/") {
		return nil, fault{"NotFoundException", "Alias " + arn + " is not found."}
	}
	if k, ok := f.keys[arn]; ok {
		return k, nil
	}
	return nil, fault{"NotFoundException", "Key '" + arn + "' does not exist"}
}

// usable is find for operations that use the key.
func (f *KMS) usable(region, name string) (*Key, error) {
	k, err := f.find(region, name)
	switch {
	case err != nil:
		return nil, err
	case k.State == Disabled:
		return nil, fault{"DisabledException", k.ARN() + " is disabled."}
	case k.State != Enabled:
		return nil, fault{"KMSInvalidStateException", k.ARN() + " is pending deletion."}
	case k.Usage != "ENCRYPT_DECRYPT":
		return nil, fault{"InvalidKeyUsageException", k.ARN() + " key usage is " + k.Usage}
	}
	return k, nil
}

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

// additional data: the context, with sorted names.
func additional(context map[string]string) []byte {
	raw, err := json.Marshal(context)
	if err != nil {
		panic(err)
	}
	return raw
}

// header of a ciphertext, before the sealed plaintext: the ARN, a zero byte, and the number of the material.
func header(k *Key, n int) []byte { return append([]byte(k.ARN()), 0, byte(n)) }

// open finds key and material by the ciphertext, like KMS.
func (f *KMS) open(region, pinned string, blob []byte, context map[string]string) ([]byte, *Key, *material, error) {
	if len(blob) == 0 {
		return nil, nil, nil, fault{"ValidationException", "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length greater than or equal to 1"}
	}
	k, err := f.usable(region, pinned)
	if err != nil {
		return nil, nil, nil, err
	}
	arn, rest, ok := bytes.Cut(blob, []byte{0})
	if !ok || len(rest) < 1 || f.keys[string(arn)] == nil {
		return nil, nil, nil, fault{"InvalidCiphertextException", ""}
	}
	if string(arn) != k.ARN() {
		return nil, nil, nil, fault{"IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."}
	}
	n := int(rest[0])
	if n >= len(k.materials) {
		return nil, nil, nil, fault{"InvalidCiphertextException", ""}
	}
	plaintext, err := gcm(k.materials[n].key).Open(nil, nil, rest[1:], additional(context))
	if err != nil {
		return nil, nil, nil, fault{"InvalidCiphertextException", ""}
	}
	return plaintext, k, &k.materials[n], nil
}

func (k *Key) seal(plaintext []byte, context map[string]string) ([]byte, *material) {
	n := len(k.materials) - 1
	//nolint:gosec // no nonce is passed because this cipher makes a random one itself
	return gcm(k.materials[n].key).Seal(header(k, n), nil, plaintext, additional(context)), &k.materials[n]
}
