package kmsv2

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	kmsapi "k8s.io/kms/apis/v2"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

const (
	// maxAnswer and maxHeaders bound an answer in bytes, so that no plugin can fill the operator's memory. The API's own
	// limits, 1 KiB of ciphertext and 32 KiB of annotations, are well below.
	maxAnswer  = 64 << 10
	maxHeaders = 16 << 10
	// reconnect bounds the pause between attempts to connect: a plugin that was started again is found soon.
	reconnect = time.Second
)

// plugins keeps one connection for each socket. Only sockets that exist get one, so there are as many as the directory
// holds.
type plugins struct {
	dir string
	// dial is the only way out.
	dial func(ctx context.Context, path string) (net.Conn, error)

	mu   sync.Mutex
	open map[string]kmsapi.KeyManagementServiceClient
}

func newPlugins(dir string) *plugins {
	p := &plugins{dir: dir, open: map[string]kmsapi.KeyManagementServiceClient{}}
	p.dial = func(ctx context.Context, path string) (net.Conn, error) {
		// Again, because the path may lead elsewhere than when the connection was first asked for.
		if err := p.check(path); err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return p
}

// get returns the client of a socket, and connects when it is first used.
func (p *plugins) get(path string) (kmsapi.KeyManagementServiceClient, error) {
	if err := p.check(path); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if client, ok := p.open[path]; ok {
		return client, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+path,
		grpc.WithAuthority("localhost"),
		// A socket of this machine, guarded by the permissions of its directory: the API has no other security.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.dial(ctx, path) }),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: reconnect},
			MinConnectTimeout: reconnect,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDisableRetry(), // the Ring repeats
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, keyring.Errorf(keyring.Unsupported, "%s", keyring.Quote(err.Error()))
	}
	client := kmsapi.NewKeyManagementServiceClient(conn)
	p.open[path] = client
	return client, nil
}

// check makes sure that the path is a socket, and that no symbolic link leads out of the directory.
func (p *plugins) check(path string) error {
	dir, err := filepath.EvalSymlinks(p.dir)
	if err != nil {
		return missing(err, "the operator has no directory %s; mount the directory of the plugins' sockets there", p.dir)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return missing(err, "no socket at %s; is the plugin running?", path)
	}
	if !strings.HasPrefix(target, dir+"/") {
		return keyring.Errorf(keyring.Unsupported, "%s is a symbolic link out of %s, which is not followed", path, p.dir)
	}
	info, err := os.Lstat(target)
	if err != nil {
		return missing(err, "no socket at %s; is the plugin running?", path)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return keyring.Errorf(keyring.Refused, "%s is no socket; expected the one a KMS v2 plugin listens on", path)
	}
	return nil
}

// missing words a path that cannot be looked at. A plugin that is being started again has no socket for a moment, so
// trying again may help; without permission it does not.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, fs.ErrPermission) {
		return wire.Because(err, keyring.Refused, "the operator may not look at the socket: %s", keyring.Quote(err.Error()))
	}
	return wire.Because(err, keyring.Unreachable, format, args...)
}
