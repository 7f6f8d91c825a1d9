package main

import (
	"context"
	"crypto/rand"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/kms/pkg/service"
)

// nonceAnnotation carries the nonce beside the ciphertext, as plugins may: what a client keeps must hold both.
const nonceAnnotation = "nonce.kms-plugin.hipaatenant.dev"

const nonceSize = 12

// plugin implements service.Service.
type plugin struct {
	token *token

	mu     sync.Mutex
	health string
	awake  chan struct{} // closed while calls are answered
}

func newPlugin(t *token) *plugin {
	p := &plugin{token: t, health: "ok", awake: make(chan struct{})}
	close(p.awake)
	return p
}

func (p *plugin) setHealth(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health = word
}

func (p *plugin) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awake = make(chan struct{})
}

func (p *plugin) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.awake)
}

// turn waits while calls are held.
func (p *plugin) turn(ctx context.Context) error {
	p.mu.Lock()
	awake := p.awake
	p.mu.Unlock()
	select {
	case <-awake:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// Status names the key that Encrypt would use.
func (p *plugin) Status(ctx context.Context) (*service.StatusResponse, error) {
	if err := p.turn(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &service.StatusResponse{Version: "v2", Healthz: p.health, KeyID: p.token.newest().id}, nil
}

// Encrypt encrypts with the newest key.
func (p *plugin) Encrypt(ctx context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	if err := p.turn(ctx); err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	k := p.token.newest()
	ciphertext, err := p.token.encrypt(k, nonce, data)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &service.EncryptResponse{Ciphertext: ciphertext, KeyID: k.id, Annotations: map[string][]byte{nonceAnnotation: nonce}}, nil
}

// Decrypt decrypts with the key the request names, old ones included.
func (p *plugin) Decrypt(ctx context.Context, _ string, req *service.DecryptRequest) ([]byte, error) {
	if err := p.turn(ctx); err != nil {
		return nil, err
	}
	k, ok := p.token.find(req.KeyID)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no key %q on the token", req.KeyID)
	}
	nonce := req.Annotations[nonceAnnotation]
	if len(nonce) != nonceSize {
		return nil, status.Errorf(codes.InvalidArgument, "annotation %s has %d bytes; expected %d", nonceAnnotation, len(nonce), nonceSize)
	}
	data, err := p.token.decrypt(k, nonce, req.Ciphertext)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return data, nil
}
