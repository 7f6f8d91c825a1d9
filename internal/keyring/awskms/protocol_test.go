package awskms

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeaws"
)

// What was sent and received is cleared, and until then it was really there.
func TestPlaintextIsCleared(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	p, key := at(f.URL), bytes.Repeat([]byte("key bytes"), 4)[:32]
	b, err := p.backend(t.Context(), region)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(base64.StdEncoding.EncodeToString(key))
	wipe := newProtocol()
	once := func(o *kms.Options) { o.Protocol = wipe }
	wrapped, err := b.client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &arn, Plaintext: key, EncryptionContext: encryptionContext(keyringtest.Binding())}, once)
	if err != nil {
		t.Fatal(err)
	}
	sent := wipe.request.data
	if !bytes.Contains(sent, text) {
		t.Fatal("the request that would be cleared is not the one that was sent")
	}
	wipe.clear()
	if !bytes.Equal(sent, make([]byte, len(sent))) {
		t.Error("the request is not cleared")
	}
	wipe = newProtocol()
	if _, err := b.client.Decrypt(t.Context(), &kms.DecryptInput{KeyId: &arn, CiphertextBlob: wrapped.CiphertextBlob, EncryptionContext: encryptionContext(keyringtest.Binding())}, once); err != nil {
		t.Fatal(err)
	}
	holding := 0
	for _, answer := range wipe.answers {
		if bytes.Contains(answer, text) {
			holding++
		}
	}
	if holding != 2 {
		t.Errorf("the plaintext is in %d known buffers; expected it in the answer as read and in the SDK's copy", holding)
	}
	wipe.clear()
	for _, answer := range wipe.answers {
		if bytes.ContainsFunc(answer, func(r rune) bool { return r != 0 }) {
			t.Error("an answer is not cleared")
		}
	}
}
