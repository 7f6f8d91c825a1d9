package fakegcpkms

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// guard checks what every call must carry: a token that was handed out, and the resource for routing.
func (f *KMS) guard(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	token := strings.TrimPrefix(strings.Join(md.Get("authorization"), ","), "Bearer ")
	method := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
	f.mu.Lock()
	f.requests++
	known, before, after := f.tokens[token], f.before, f.after
	f.mu.Unlock()
	if !known {
		return nil, status.Error(codes.Unauthenticated, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
	}
	if got, want := strings.Join(md.Get("x-goog-request-params"), ","), "name="+url.QueryEscape(resource(req)); got != want {
		return nil, status.Errorf(codes.InvalidArgument, "routing header %q; expected %q", got, want)
	}
	if before != nil {
		if err := before(method); err != nil {
			return nil, err
		}
	}
	answer, err := handle(ctx, req)
	if err == nil && after != nil {
		after(answer)
	}
	return answer, err
}

func resource(req any) string {
	switch r := req.(type) {
	case interface{ GetName() string }:
		return r.GetName()
	case interface{ GetParent() string }:
		return r.GetParent()
	}
	return ""
}

// find returns a key, if this permission on it is given.
func (f *KMS) find(name, permission string) (*Key, error) {
	if f.denied[permission] {
		return nil, status.Errorf(codes.PermissionDenied, "Permission '%s' denied on resource '%s' (or it may not exist).", permission, name)
	}
	k, ok := f.keys[name]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "CryptoKey %s not found.", name)
	}
	return k, nil
}

// GetCryptoKey returns the key with its primary version.
func (f *KMS) GetCryptoKey(_ context.Context, r *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(r.GetName(), "cloudkms.cryptoKeys.get")
	if err != nil {
		return nil, err
	}
	return k.message(r.GetName()), nil
}

// usable returns a version that may encrypt and decrypt.
func (k *Key) usable(name string, number int) (*version, error) {
	if k.Purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT || number == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%s has no primary version, or another purpose.", name)
	}
	v := k.versions[number-1]
	if v.State != kmspb.CryptoKeyVersion_ENABLED {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is not enabled, current state is: %s.", v.Name, v.State)
	}
	return v, nil
}

// Encrypt with the primary version.
func (f *KMS) Encrypt(_ context.Context, r *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(r.GetName(), "cloudkms.cryptoKeyVersions.useToEncrypt")
	if err != nil {
		return nil, err
	}
	v, err := k.usable(r.GetName(), k.primary)
	if err != nil {
		return nil, err
	}
	if !matches(r.GetPlaintext(), r.GetPlaintextCrc32C()) || !matches(r.GetAdditionalAuthenticatedData(), r.GetAdditionalAuthenticatedDataCrc32C()) {
		return nil, status.Error(codes.InvalidArgument, "The checksum in field plaintext_crc32c did not match the data.")
	}
	sealed := v.seal(k.primary, r.GetPlaintext(), r.GetAdditionalAuthenticatedData())
	return &kmspb.EncryptResponse{
		Name: v.Name, Ciphertext: sealed, CiphertextCrc32C: sum(sealed), ProtectionLevel: v.ProtectionLevel,
		VerifiedPlaintextCrc32C: r.GetPlaintextCrc32C() != nil, VerifiedAdditionalAuthenticatedDataCrc32C: r.GetAdditionalAuthenticatedDataCrc32C() != nil,
	}, nil
}

// Decrypt with the version the ciphertext names.
func (f *KMS) Decrypt(_ context.Context, r *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(r.GetName(), "cloudkms.cryptoKeyVersions.useToDecrypt")
	if err != nil {
		return nil, err
	}
	if !matches(r.GetCiphertext(), r.GetCiphertextCrc32C()) {
		return nil, status.Error(codes.InvalidArgument, "The checksum in field ciphertext_crc32c did not match the data.")
	}
	sealed := r.GetCiphertext()
	if len(sealed) < 4+12+16 || int(binary.BigEndian.Uint32(sealed)) > len(k.versions) || binary.BigEndian.Uint32(sealed) == 0 {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed: the ciphertext is invalid.")
	}
	v, err := k.usable(r.GetName(), int(binary.BigEndian.Uint32(sealed)))
	if err != nil {
		return nil, err
	}
	plaintext, err := v.open(sealed, r.GetAdditionalAuthenticatedData())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	}
	return &kmspb.DecryptResponse{Plaintext: plaintext, PlaintextCrc32C: sum(plaintext), ProtectionLevel: v.ProtectionLevel}, nil
}

// ListCryptoKeyVersions gives two versions on a page, so that callers turn pages.
func (f *KMS) ListCryptoKeyVersions(_ context.Context, r *kmspb.ListCryptoKeyVersionsRequest) (*kmspb.ListCryptoKeyVersionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.find(r.GetParent(), "cloudkms.cryptoKeyVersions.list")
	if err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(r.GetPageToken())
	to := min(from+2, len(k.versions))
	out := &kmspb.ListCryptoKeyVersionsResponse{TotalSize: int32(len(k.versions))}
	for _, v := range k.versions[from:to] {
		out.CryptoKeyVersions = append(out.CryptoKeyVersions, v.copy())
	}
	if to < len(k.versions) {
		out.NextPageToken = strconv.Itoa(to)
	}
	return out, nil
}

// DestroyCryptoKeyVersion schedules the end of a version, once.
func (f *KMS) DestroyCryptoKeyVersion(_ context.Context, r *kmspb.DestroyCryptoKeyVersionRequest) (*kmspb.CryptoKeyVersion, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, number, _ := strings.Cut(r.GetName(), "/cryptoKeyVersions/")
	k, err := f.find(name, "cloudkms.cryptoKeyVersions.destroy")
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(number)
	v := k.versions[n-1]
	if v.State != kmspb.CryptoKeyVersion_ENABLED && v.State != kmspb.CryptoKeyVersion_DISABLED {
		return nil, status.Errorf(codes.FailedPrecondition, "%s cannot be destroyed, current state is: %s.", v.Name, v.State)
	}
	v.State = kmspb.CryptoKeyVersion_DESTROY_SCHEDULED
	v.DestroyTime = timestamppb.New(time.Now().Add(k.Wait))
	return v.copy(), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(data []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(data, castagnoli)))
}

// matches is also true where no checksum was given.
func matches(data []byte, want *wrapperspb.Int64Value) bool {
	return want == nil || want.GetValue() == sum(data).GetValue()
}
