package fakegcpkms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Key of the fake.
type Key struct {
	Purpose  kmspb.CryptoKey_CryptoKeyPurpose
	Level    kmspb.ProtectionLevel
	Imported bool
	// Wait between the request to destroy a version and its end.
	Wait     time.Duration
	versions []*version
	primary  int // number of a version, 0 for none
}

type version struct {
	*kmspb.CryptoKeyVersion
	material []byte
}

// Name of a key in project p, ring r.
func Name(location, key string) string {
	return "projects/p/locations/" + location + "/keyRings/r/cryptoKeys/" + key
}

// Create makes a symmetric software key with one version and returns its URI.
func (f *KMS) Create(location, key string) string { return f.Add(location, key, Key{}) }

// Add makes a key like the given one, with one version. What is not set gets the defaults of Cloud KMS.
func (f *KMS) Add(location, key string, k Key) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k.Purpose == 0 {
		k.Purpose = kmspb.CryptoKey_ENCRYPT_DECRYPT
	}
	if k.Level == 0 {
		k.Level = kmspb.ProtectionLevel_SOFTWARE
	}
	if k.Wait == 0 {
		k.Wait = wait
	}
	name := Name(location, key)
	k.rotate(name)
	f.keys[name] = &k
	return "gcpkms://" + name
}

// Rotate gives a key a new version, which is the primary from now on.
func (f *KMS) Rotate(uri string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := strings.TrimPrefix(uri, "gcpkms://")
	f.keys[name].rotate(name)
}

// SetState of a version; number 0 takes the key's primary away.
func (f *KMS) SetState(uri string, number int, state kmspb.CryptoKeyVersion_CryptoKeyVersionState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[strings.TrimPrefix(uri, "gcpkms://")]
	if number == 0 {
		k.primary = 0
		return
	}
	k.versions[number-1].State = state
}

// Schedule the end of a version, as somebody may have done before.
func (f *KMS) Schedule(uri string, number int, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.keys[strings.TrimPrefix(uri, "gcpkms://")].versions[number-1]
	v.State, v.DestroyTime = kmspb.CryptoKeyVersion_DESTROY_SCHEDULED, timestamppb.New(at)
}

// Remove forgets a key.
func (f *KMS) Remove(uri string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, strings.TrimPrefix(uri, "gcpkms://"))
}

func (k *Key) rotate(name string) {
	material := make([]byte, 32)
	_, _ = rand.Read(material)
	v := &version{material: material, CryptoKeyVersion: &kmspb.CryptoKeyVersion{
		Name: fmt.Sprintf("%s/cryptoKeyVersions/%d", name, len(k.versions)+1), State: kmspb.CryptoKeyVersion_ENABLED, ProtectionLevel: k.Level,
		Algorithm: kmspb.CryptoKeyVersion_GOOGLE_SYMMETRIC_ENCRYPTION,
	}}
	if k.Imported {
		v.ImportJob = "projects/p/locations/l/keyRings/r/importJobs/i"
	}
	k.versions = append(k.versions, v)
	k.primary = len(k.versions)
}

func (k *Key) message(name string) *kmspb.CryptoKey {
	out := &kmspb.CryptoKey{Name: name, Purpose: k.Purpose, DestroyScheduledDuration: durationpb.New(k.Wait)}
	if k.primary > 0 {
		out.Primary = k.versions[k.primary-1].copy()
	}
	return out
}

// copy keeps an answer from changing while it is sent.
func (v *version) copy() *kmspb.CryptoKeyVersion {
	return proto.CloneOf(v.CryptoKeyVersion)
}

// seal gives the number of the version (4 bytes), nonce (12), ciphertext and tag (16).
func (v *version) seal(number int, plaintext, aad []byte) []byte {
	//nolint:gosec // no nonce is passed because this cipher makes a random one itself
	return gcm(v.material).Seal(binary.BigEndian.AppendUint32(nil, uint32(number)), nil, plaintext, aad)
}

func (v *version) open(sealed, aad []byte) ([]byte, error) {
	return gcm(v.material).Open(nil, nil, sealed[4:], aad)
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
