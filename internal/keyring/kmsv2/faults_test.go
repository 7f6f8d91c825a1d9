package kmsv2

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	kmsapi "k8s.io/kms/apis/v2"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// fakePlugin answers what no sound plugin does.
type fakePlugin struct {
	kmsapi.UnimplementedKeyManagementServiceServer
	status  *kmsapi.StatusResponse
	encrypt *kmsapi.EncryptResponse
	err     error // of Encrypt and Decrypt
}

func (f *fakePlugin) Status(context.Context, *kmsapi.StatusRequest) (*kmsapi.StatusResponse, error) {
	return f.status, nil
}

func (f *fakePlugin) Encrypt(context.Context, *kmsapi.EncryptRequest) (*kmsapi.EncryptResponse, error) {
	return f.encrypt, f.err
}

func (f *fakePlugin) Decrypt(context.Context, *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	return &kmsapi.DecryptResponse{}, f.err
}

// sockets returns a directory for sockets with short paths.
func sockets(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kms-") //nolint:usetesting // the path of a socket may have 107 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// faked serves a fake plugin and returns a provider and a key for it.
func faked(t *testing.T, f *fakePlugin) (*Provider, keyring.KeyRef) {
	t.Helper()
	dir := sockets(t)
	if f.status == nil {
		f.status = &kmsapi.StatusResponse{Version: "v2", Healthz: "ok", KeyId: "1"}
	}
	server := grpc.NewServer()
	kmsapi.RegisterKeyManagementServiceServer(server, f)
	l := listen(t, filepath.Join(dir, "fake.sock"))
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return provider(t, dir), keyringtest.Ref(t, uri(l.Addr().String()))
}

func provider(t *testing.T, dir string) *Provider {
	t.Helper()
	p, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func expect(t *testing.T, err error, want keyring.Kind, say string) {
	t.Helper()
	keyringtest.Expect(t, err, want)
	if err != nil && !strings.Contains(err.Error(), say) {
		t.Errorf("%v; expected it to say %q", err, say)
	}
}

func TestStatusAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer *kmsapi.StatusResponse
		want   keyring.Kind
		say    string
	}{
		"old version":     {&kmsapi.StatusResponse{Version: "v1", Healthz: "ok", KeyId: "1"}, keyring.Refused, `version "v1"`},
		"nothing":         {&kmsapi.StatusResponse{}, keyring.Refused, `version ""`},
		"no health":       {&kmsapi.StatusResponse{Version: "v2", KeyId: "1"}, keyring.Unreachable, "not healthy"},
		"no key id":       {&kmsapi.StatusResponse{Version: "v2", Healthz: "ok"}, keyring.Refused, "0 characters"},
		"huge key id":     {&kmsapi.StatusResponse{Version: "v2", Healthz: "ok", KeyId: strings.Repeat("k", 2000)}, keyring.Refused, "2000 characters"},
		"binary key id":   {&kmsapi.StatusResponse{Version: "v2", Healthz: "ok", KeyId: "a\nb"}, keyring.Refused, "printable"},
		"endless health":  {&kmsapi.StatusResponse{Version: "v2", Healthz: strings.Repeat("bad\n", 5000)}, keyring.Unreachable, "bad bad"},
		"a huge answer":   {&kmsapi.StatusResponse{Version: "v2", Healthz: "ok", KeyId: strings.Repeat("k", 1<<20)}, keyring.Unreachable, "larger than max"},
		"v2beta1 is fine": {&kmsapi.StatusResponse{Version: "v2beta1", Healthz: "ok", KeyId: "1"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, ref := faked(t, &fakePlugin{status: tc.answer})
			_, err := p.Describe(t.Context(), ref)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			expect(t, err, tc.want, tc.say)
		})
	}
}

func TestEncryptAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer *kmsapi.EncryptResponse
		say    string
	}{
		"nothing":          {&kmsapi.EncryptResponse{}, "0 characters"},
		"no ciphertext":    {&kmsapi.EncryptResponse{KeyId: "1"}, "no ciphertext"},
		"huge ciphertext":  {&kmsapi.EncryptResponse{KeyId: "1", Ciphertext: make([]byte, 40<<10)}, "expected at most 16384"},
		"huge annotations": {&kmsapi.EncryptResponse{KeyId: "1", Ciphertext: []byte("x"), Annotations: map[string][]byte{"a.b": make([]byte, 30<<10)}}, "expected at most 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			p, ref := faked(t, &fakePlugin{encrypt: tc.answer})
			_, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
			expect(t, err, keyring.Refused, tc.say)
		})
	}
}

// What a plugin's codes mean. Unknown and Internal mean whatever its Status says.
func TestCodes(t *testing.T) {
	unwell := &kmsapi.StatusResponse{Version: "v2", Healthz: "token gone", KeyId: "1"}
	wrapped := envelope{KeyID: "1", Ciphertext: []byte("x")}.encode()
	key := bytes.Repeat([]byte{6}, 32)
	for name, tc := range map[string]struct {
		status     *kmsapi.StatusResponse
		err        error
		wrap, open keyring.Kind
	}{
		"unavailable":       {nil, grpcstatus.Error(codes.Unavailable, "no session"), keyring.Unreachable, keyring.Unreachable},
		"throttled":         {nil, grpcstatus.Error(codes.ResourceExhausted, "slow down"), keyring.Unreachable, keyring.Unreachable},
		"not found":         {nil, grpcstatus.Error(codes.NotFound, "no such key"), keyring.Refused, keyring.Refused},
		"permission":        {nil, grpcstatus.Error(codes.PermissionDenied, "no"), keyring.Refused, keyring.Refused},
		"disabled":          {nil, grpcstatus.Error(codes.FailedPrecondition, "disabled"), keyring.Refused, keyring.Refused},
		"not this API":      {nil, grpcstatus.Error(codes.Unimplemented, "unknown service"), keyring.Refused, keyring.Refused},
		"invalid":           {nil, grpcstatus.Error(codes.InvalidArgument, "bad ciphertext"), keyring.Refused, keyring.Foreign},
		"data loss":         {nil, grpcstatus.Error(codes.DataLoss, "bad tag"), keyring.Refused, keyring.Foreign},
		"healthy, no code":  {nil, errors.New("cannot"), keyring.Refused, keyring.Refused},
		"unwell, no code":   {unwell, errors.New("cannot"), keyring.Unreachable, keyring.Unreachable},
		"healthy, internal": {nil, grpcstatus.Error(codes.Internal, "cannot"), keyring.Refused, keyring.Refused},
		"unwell, internal":  {unwell, grpcstatus.Error(codes.Internal, "cannot"), keyring.Unreachable, keyring.Unreachable},
		"endless words":     {nil, grpcstatus.Error(codes.NotFound, strings.Repeat("blah\n", 1000)), keyring.Refused, keyring.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			p, ref := faked(t, &fakePlugin{status: tc.status, err: tc.err})
			_, _, err := p.Wrap(t.Context(), ref, key, keyringtest.Binding())
			keyringtest.Expect(t, err, tc.wrap, key)
			_, err = p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding())
			keyringtest.Expect(t, err, tc.open)
		})
	}
}

// Sockets that are not there, are none, or lead elsewhere.
func TestSockets(t *testing.T) {
	dir := sockets(t)
	inside, outside := filepath.Join(dir, "kms"), filepath.Join(dir, "containerd.sock")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	listen(t, outside)
	for name, target := range map[string]string{"out.sock": outside, "loop.sock": "loop.sock", "away.sock": filepath.Join(inside, "gone")} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(inside, "up")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inside, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := provider(t, inside)
	for path, tc := range map[string]struct {
		want keyring.Kind
		say  string
	}{
		outside:                        {keyring.Unsupported, "in this directory only"},
		inside:                         {keyring.Unsupported, "in this directory only"},
		inside + "-evil/x.sock":        {keyring.Unsupported, "in this directory only"},
		inside + "/out.sock":           {keyring.Unsupported, "symbolic link out of"},
		inside + "/up/containerd.sock": {keyring.Unsupported, "symbolic link out of"},
		inside + "/loop.sock":          {keyring.Unreachable, "no socket at"},
		inside + "/away.sock":          {keyring.Unreachable, "no socket at"},
		inside + "/missing.sock":       {keyring.Unreachable, "is the plugin running?"},
		inside + "/file":               {keyring.Refused, "is no socket"},
	} {
		_, err := p.Describe(t.Context(), keyringtest.Ref(t, uri(path)))
		expect(t, err, tc.want, tc.say)
		_, _, err = p.Wrap(t.Context(), keyringtest.Ref(t, uri(path)), make([]byte, 32), keyringtest.Binding())
		keyringtest.Expect(t, err, tc.want)
	}
	_, err := provider(t, filepath.Join(dir, "unmounted")).Describe(t.Context(), keyringtest.Ref(t, uri(dir+"/unmounted/kms.sock")))
	expect(t, err, keyring.Unreachable, "mount the directory")
	// ".." does not get as far as the provider; should it ever, it stops there.
	_, err = p.Describe(t.Context(), keyring.KeyRef{Scheme: Scheme, Path: inside + "/../containerd.sock"})
	expect(t, err, keyring.Unsupported, "in this directory only")
}

// A path that is swapped for a link to another socket after the connection was made is not followed either.
func TestSwappedSocket(t *testing.T) {
	dir := sockets(t)
	inside := filepath.Join(dir, "kms")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	outside := listen(t, filepath.Join(dir, "containerd.sock"))
	path := filepath.Join(inside, "kms.sock")
	listen(t, path)
	p := provider(t, inside)
	if _, err := p.plugins.get(path); err != nil { // connects when it is first used
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside.Addr().String(), path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.plugins.dial(t.Context(), path); keyring.KindOf(err) != keyring.Unsupported {
		t.Errorf("dialled a link out of the directory: %v", err)
	}
}

// Something else listens there: it closes at once, or talks about something else.
func TestGarbage(t *testing.T) {
	for name, words := range map[string]string{"closes": "", "http/1": "HTTP/1.1 400 Bad Request\r\n\r\n", "noise": strings.Repeat("\xff\x00", 4096)} {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			l := listen(t, filepath.Join(dir, "kms.sock"))
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte(words))
					_ = conn.Close()
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := provider(t, dir).Describe(ctx, keyringtest.Ref(t, uri(l.Addr().String())))
			keyringtest.Expect(t, err, keyring.Unreachable)
		})
	}
}

func TestEnvelope(t *testing.T) {
	whole := envelope{KeyID: "k", Ciphertext: []byte{1, 2}, Annotations: map[string][]byte{"a.b": {3}}}
	const text = `{"keyID":"k","ciphertext":"AQI=","annotations":{"a.b":"Aw=="}}`
	if got := string(whole.encode()); got != text {
		t.Errorf("%s; expected %s, which is documented", got, text)
	}
	for _, raw := range []string{
		"", "null", "{}", "[]", text + text, text + "x", text[:20], `{"keyID":"k"}`, `{"keyID":"k","ciphertext":""}`,
		`{"keyID":"","ciphertext":"AQI="}`, `{"keyID":"k","ciphertext":"AQI=","more":1}`, `{"keyID":"k","ciphertext":"~~"}`,
		`{"keyID":"k","ciphertext":"` + strings.Repeat("AAAA", 8192) + `"}`,
	} {
		if e, err := decode([]byte(raw)); err == nil {
			t.Errorf("%.80q was taken as %+v", raw, e)
		}
	}
	if _, err := decode([]byte(text + "\n")); err != nil {
		t.Error(err)
	}
}
