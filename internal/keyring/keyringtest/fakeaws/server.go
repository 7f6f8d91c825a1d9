// Package fakeaws is a fake of AWS KMS for tests: an HTTP server on loopback that speaks KMS's protocol (awsJson1_1). It is
// not KMS. What it does, it does in earnest: signatures are verified, plaintext is encrypted with AES-256-GCM and the
// encryption context as additional data, keys have versions, states, aliases and regions. Errors have KMS's names.
package fakeaws

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/trouble"
)

// Account that all keys belong to.
const Account = "111122223333"

// Credentials the fake knows.
const (
	AccessKey = "AKIAOFTHETEST"
	SecretKey = "secret-access-key-of-the-test"
)

// KMS is a running fake. It serves every region; a request belongs to the one its signature names.
type KMS struct {
	// URL of the fake, plain HTTP on loopback.
	URL string

	trouble.Plan

	mu      sync.Mutex
	keys    map[string]*Key   // by ARN
	aliases map[string]string // ARN of the alias to ARN of the key
	calls   []Call
}

// Call is a request that was accepted as genuine.
type Call struct {
	Operation, Region string
	// Context given for encryption or decryption.
	Context map[string]string
}

// Trouble is what an operation does instead of its work.
type Trouble = trouble.Trouble

// Start runs a fake until the test ends.
func Start(t testing.TB) *KMS {
	t.Helper()
	f := &KMS{keys: map[string]*Key{}, aliases: map[string]string{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

// StartTLS is like Start, over TLS with a certificate that nobody trusts unless told to.
func StartTLS(t testing.TB) (*KMS, *httptest.Server) {
	t.Helper()
	f := &KMS{keys: map[string]*Key{}, aliases: map[string]string{}}
	s := httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f, s
}

// Calls returns the genuine requests so far.
func (f *KMS) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// fault is an error in KMS's terms.
type fault struct{ code, message string }

func (e fault) Error() string { return e.code + ": " + e.message }

// ServeHTTP answers one request.
func (f *KMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	operation, isKMS := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || !isKMS || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		http.Error(w, "not a request to KMS", http.StatusNotFound)
		return
	}
	region, err := verify(r, body)
	if err != nil {
		answer(w, nil, err)
		return
	}
	if f.Serve(w, r, operation, func(t Trouble) { send(w, t.Status, map[string]string{"__type": t.Code, "message": t.Message}) }) {
		return
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		answer(w, nil, fault{"SerializationException", err.Error()})
		return
	}
	out, err := f.serve(operation, region, in)
	answer(w, out, err)
}

// input holds the members of all operations.
type input struct {
	KeyId, SourceKeyId, DestinationKeyId                                     string
	EncryptionContext, SourceEncryptionContext, DestinationEncryptionContext map[string]string
	Plaintext, CiphertextBlob                                                []byte
	PendingWindowInDays                                                      *int
}

func (f *KMS) serve(operation, region string, in input) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := Call{Operation: operation, Region: region, Context: maps.Clone(in.EncryptionContext)}
	if operation == "ReEncrypt" {
		call.Context = maps.Clone(in.SourceEncryptionContext)
	}
	f.calls = append(f.calls, call)
	operations := map[string]func(string, input) (any, error){
		"DescribeKey": f.describeKey, "Encrypt": f.encrypt, "Decrypt": f.decrypt, "ReEncrypt": f.reEncrypt, "ScheduleKeyDeletion": f.scheduleKeyDeletion,
	}
	do, ok := operations[operation]
	if !ok {
		return nil, fault{"UnknownOperationException", fmt.Sprintf("the fake has no %s", operation)}
	}
	return do(region, in)
}

func answer(w http.ResponseWriter, out any, err error) {
	if e, ok := err.(fault); ok { //nolint:errorlint // the fake's functions return faults as they are
		send(w, http.StatusBadRequest, map[string]string{"__type": e.code, "message": e.message})
		return
	}
	send(w, http.StatusOK, out)
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
