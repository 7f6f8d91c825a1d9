// Command keyset-consumer is an example of an application that keeps records encrypted with its tenant's data keys.
//
//	curl -X PUT  --data-binary @chart.pdf localhost:8080/records/4711
//	curl         localhost:8080/records/4711
//
// A record is a file. What is in it opens for nobody without the tenant's keyset and its KMS, and under no other name.
package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	vault, err := vaultkeys.New(vaultkeys.Config{
		Address: os.Getenv("VAULT_ADDR"), CAFile: os.Getenv("VAULT_CACERT"), Namespace: os.Getenv("VAULT_NAMESPACE"),
		KubernetesRole: os.Getenv("VAULT_ROLE"), KubernetesTokenFile: os.Getenv("VAULT_JWT_FILE"),
	})
	if err != nil {
		return err
	}
	interval, err := time.ParseDuration(cmp.Or(os.Getenv("RELOAD_EVERY"), "10s"))
	if err != nil {
		return err
	}
	keys, err := keyset.Watch(ctx, os.Getenv("KEYSET_FILE"), keyset.Options{
		Unwrapper: vault,
		Expect:    keyset.Identity{Namespace: keyset.PodNamespace(), Tenant: os.Getenv("HIPAA_TENANT")},
		Interval:  interval,
		OnReload: func(err error) {
			if err != nil {
				log.Printf("the keys in use stay: %v", err)
				return
			}
			log.Print("took the changed keyset")
		},
	})
	if err != nil {
		return err
	}
	defer keys.Close()
	dir, err := os.OpenRoot(os.Getenv("STORE"))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return serve(ctx, &store{keys: keys, dir: dir}, os.Getenv("LISTEN"))
}

func serve(ctx context.Context, s *store, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	log.Printf("listening on %s", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /records/{id}", s.put)
	mux.HandleFunc("GET /records/{id}", s.get)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// dataKey is one of spec.encryption.dataKeys.
const dataKey = "records"

// store keeps records in a directory.
type store struct {
	keys *keyset.Keyset
	dir  *os.Root
}

// names of records are names of files.
var names = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (s *store) put(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !names.MatchString(id) {
		http.Error(w, "expected an id of a-z, 0-9 and -", http.StatusBadRequest)
		return
	}
	plaintext, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// The id is authenticated with the record: a file that is renamed does not open.
	record, err := s.keys.Encrypt(dataKey, plaintext, []byte(id))
	if err == nil {
		err = s.dir.WriteFile(id, record, 0o600)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *store) get(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !names.MatchString(id) {
		http.Error(w, "expected an id of a-z, 0-9 and -", http.StatusBadRequest)
		return
	}
	record, err := s.dir.ReadFile(id)
	if errors.Is(err, os.ErrNotExist) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "the record cannot be read", http.StatusInternalServerError)
		return
	}
	plaintext, err := s.keys.Decrypt(dataKey, record, []byte(id))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(plaintext) //nolint:gosec // bytes to download: no browser takes them for a page
}
