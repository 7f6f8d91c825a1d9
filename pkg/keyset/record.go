package keyset

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// A record is what Encrypt returns:
//
//	offset  bytes
//	0       1      format, 1
//	1       4      version of the data key, big-endian
//	5       16     salt, random
//	21      12     nonce, random
//	33      n      ciphertext, as long as the plaintext
//	33+n    16     tag
//
// Each record has a key of its own: HKDF-SHA-256 of the data key, with the salt and the info below. So the number of
// records under one data key has no bound that matters, where AES-GCM with random nonces alone ends at 2^32. The
// cipher is AES-256-GCM; additional data: the first 5 bytes, then the caller's.
const (
	recordFormat = 1
	headerSize   = 1 + 4
	saltSize     = 16
	sealSize     = 12 + 16
	recordInfo   = "hipaatenant.dev/record/v1"
)

// Overhead is by how many bytes a record is longer than its plaintext.
const Overhead = headerSize + saltSize + sealSize

// ErrRecord: the record is malformed, or was made with another data key or other additional data.
var ErrRecord = errors.New("the record does not open")

// Encrypt encrypts under the primary version of a data key. The additional data, such as the row the record belongs to, is
// authenticated and not part of the record: Decrypt needs the same. May be nil.
func (k *Keyset) Encrypt(name string, plaintext, additional []byte) ([]byte, error) {
	dek, err := k.Primary(name)
	if err != nil {
		return nil, err
	}
	defer clear(dek.Bytes)
	version := dek.Version
	if version < 1 || version > math.MaxUint32 {
		return nil, fmt.Errorf("key %s: version %d does not fit a record", name, version)
	}
	out := make([]byte, headerSize+saltSize, Overhead+len(plaintext))
	out[0] = recordFormat
	binary.BigEndian.PutUint32(out[1:], uint32(version))
	_, _ = rand.Read(out[headerSize:])
	own, err := recordKey(dek.Bytes, out[headerSize:])
	if err != nil {
		return nil, err
	}
	defer clear(own)
	//nolint:gosec // no nonce is passed because this cipher makes a random one itself
	return document.GCM(own).Seal(out, nil, plaintext, additionalData(out, additional)), nil
}

// Decrypt opens what Encrypt returned, also after rotations. Errors are ErrRecord when the record is not what Encrypt made
// for this name and additional data, ErrNoKey when its version is unknown or retired, else the KMS's.
func (k *Keyset) Decrypt(name string, record, additional []byte) ([]byte, error) {
	version, err := RecordVersion(record)
	if err != nil {
		return nil, err
	}
	dek, err := k.Version(name, version)
	if err != nil {
		return nil, err
	}
	defer clear(dek.Bytes)
	own, err := recordKey(dek.Bytes, record[headerSize:headerSize+saltSize])
	if err != nil {
		return nil, err
	}
	defer clear(own)
	plaintext, err := document.GCM(own).Open(nil, nil, record[headerSize+saltSize:], additionalData(record, additional))
	if err != nil {
		return nil, ErrRecord
	}
	return plaintext, nil
}

// RecordVersion is the version of the data key a record was made with. Records below the primary version should be
// encrypted anew before that version retires. The answer is authenticated only by Decrypt.
func RecordVersion(record []byte) (int64, error) {
	if len(record) < Overhead || record[0] != recordFormat {
		return 0, fmt.Errorf("%w: expected %d bytes or more that begin with %d", ErrRecord, Overhead, recordFormat)
	}
	return int64(binary.BigEndian.Uint32(record[1:])), nil
}

func recordKey(dek, salt []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, dek, salt, recordInfo, document.KeySize)
}

func additionalData(record, additional []byte) []byte {
	return append(append(make([]byte, 0, headerSize+len(additional)), record[:headerSize]...), additional...)
}
