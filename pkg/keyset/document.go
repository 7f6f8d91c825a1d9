package keyset

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// File is the name of the document in Secret hipaa-keyset, and in a volume of it.
const File = document.Key

// Identity says whose keyset it is. In Options.Expect, an empty field takes any value.
type Identity struct {
	// ClusterUID is the UID of namespace kube-system.
	ClusterUID string
	Tenant     string
	// TenantUID changes when a tenant is deleted and created again, even if it takes its old keys over.
	TenantUID string
	Namespace string
}

// State of one version of a data key.
type State = document.State

// Primary versions encrypt and decrypt, DecryptOnly versions decrypt, Retired ones must not be used.
const (
	Primary     = document.Primary
	DecryptOnly = document.DecryptOnly
	Retired     = document.Retired
)

// Entry describes one version of a data key, without opening it.
type Entry struct {
	Name    string
	Version int64
	State   State
	// Provider and KeyRef name the KMS key: <Provider>://<KeyRef> is its URI. KMSKeyVersion is its version.
	Provider, KeyRef, KMSKeyVersion string
	CreatedAt                       time.Time
}

// Document is a keyset.json that was read and not opened.
type Document struct {
	Identity Identity
	// Entries sorted by name, then version, as the operator writes them.
	Entries []Entry

	keyset document.Keyset
}

// Parse reads a keyset.json as strictly as the operator does: every field in its form, one primary for each name, no
// version twice, nothing unknown, every binding that of the namespace the document names. Who made it is
// only known once it opens. Errors are ErrForeign.
func Parse(raw []byte) (Document, error) {
	k, err := document.Parse(raw)
	if err != nil {
		return Document{}, foreign(err)
	}
	owner, err := k.Owner()
	if err == nil {
		err = k.Belongs(owner, nil)
	}
	if err != nil {
		return Document{}, foreign(err)
	}
	d := Document{Identity: Identity(owner), keyset: k}
	for _, e := range k.Keys {
		d.Entries = append(d.Entries, Entry{
			Name: e.Name, Version: e.Version, State: e.State, CreatedAt: e.CreatedAt,
			Provider: e.Provider, KeyRef: e.KeyRef, KMSKeyVersion: e.KMSKeyVersion,
		})
	}
	return d, nil
}

// Check compares whose keyset it is with whose it must be. Errors are ErrForeign.
func (d Document) Check(expect Identity) error { return d.Identity.check(expect) }

// Unwrap opens one version, whatever its state, and returns the 32 bytes of the data key. The caller clears them.
func (d Document) Unwrap(ctx context.Context, u Unwrapper, name string, version int64) ([]byte, error) {
	e, ok := d.keyset.Find(document.ID{Name: name, Version: version})
	if !ok {
		return nil, fmt.Errorf("%w: %s version %d", ErrNoKey, document.Quote(name), version)
	}
	return open(ctx, u, e)
}

func (i Identity) check(expect Identity) error {
	for _, f := range []struct{ name, want, got string }{
		{"cluster", expect.ClusterUID, i.ClusterUID},
		{"tenant", expect.Tenant, i.Tenant},
		{"tenant UID", expect.TenantUID, i.TenantUID},
		{"namespace", expect.Namespace, i.Namespace},
	} {
		if f.want != "" && f.want != f.got {
			return foreign(fmt.Errorf("it belongs to another %s: expected %s, found %s", f.name, document.Quote(f.want), document.Quote(f.got)))
		}
	}
	return nil
}

// namespaceFile is where Kubernetes tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// PodNamespace is the namespace of the pod this program runs in: $POD_NAMESPACE, or what comes with the pod's service
// account. Empty outside of a pod.
func PodNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	raw, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func foreign(err error) error { return fmt.Errorf("%w: %w", ErrForeign, err) }
