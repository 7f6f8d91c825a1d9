package document

import (
	"crypto/aes"
	"crypto/cipher"
)

// GCM is AES-256-GCM with a random nonce in front, from the FIPS 140-3 module. Both steps fail only for a key of the
// wrong length, which callers have ruled out.
func GCM(key []byte) cipher.AEAD {
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
