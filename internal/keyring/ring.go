// Package keyring makes and keeps the data keys of tenants.
//
// Each tenant namespace has a Secret hipaa-keyset with the tenant's data keys, each in an envelope that only holders of
// the tenant's KMS key can open, and only as long as the envelope stays where it belongs (see Binding). The format
// is described in docs/keyset.md.
//
// The package decides and makes; it neither reads nor writes Secrets. Ensure takes what stands and returns
// what must stand. In between, pure code (decide) works out what is missing, and a KMS is asked only for that.
package keyring

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Request is everything Ensure needs to know of one tenant.
type Request struct {
	// ClusterUID is the UID of namespace kube-system.
	ClusterUID string
	Tenant     string
	TenantUID  string
	// FormerUIDs are UIDs of deleted tenants of the same name (from their tombstones). Keysets they left behind are
	// taken over: same data keys, same versions, bound to TenantUID.
	FormerUIDs []string
	KeyURI     string
	// RotationPeriod is the age at which a data key is due for replacement; more than 0.
	RotationPeriod time.Duration
	// RetireAfter is how long a version still decrypts after its successor was made; one retired sooner decrypts again.
	// 0 neither retires nor gives back.
	RetireAfter time.Duration
	// Regions the KMS key may live in, in the words of its KMS. Nil permits any. A region the KMS does not tell is
	// not held against it.
	Regions []string
	// Doubtful has the KMS asked about the key when it has not been lately: the last thing known of the tenant's keys is
	// that they were not in order.
	Doubtful bool
	// Unproven has copies of a data key compared at once that this process has not compared: the tenant is not known to
	// be in order.
	Unproven bool
	// DataKeys the tenant wants. A key that is no longer listed stays: data may be encrypted with it.
	DataKeys []string
	// Namespaces that must have a keyset.
	Namespaces []string
	// Keysets that stand now, by namespace; absent when there is none. One that stands in a namespace outside
	// Namespaces (the tenant gave it up, or is moving) is a source of data keys and is not part of the outcome.
	Keysets map[string][]byte
	// PrimaryVersions remembers the highest primary version seen of each data key (status.keys). Optional. A keyset
	// below it was restored from an old backup: Foreign. A data key lost everywhere is made anew with the next
	// number, so that no number ever means two keys.
	PrimaryVersions map[string]int64
}

// Outcome is what must stand.
type Outcome struct {
	// Keysets by namespace. Byte-identical to Request.Keysets where nothing had to change. Data is lost when a
	// keyset made from a stale view replaces one the view did not show: create a Secret only if it does not
	// exist, and update it only at the resourceVersion it was read at.
	Keysets map[string][]byte
	// Keys sorted by name; never key material.
	Keys []v1alpha1.KeyStatus
	// Changes that are worth telling once the keysets stand.
	Changes []Change
	// Unfinished says that another Ensure has to follow as soon as the keysets stand.
	Unfinished bool
	// Next is when to call Ensure again although nothing else happened.
	Next time.Time
	// Key is what the KMS last said about the key of KeyURI; nil when it has not been asked since the Ring was made.
	Key *KeyInfo
	// Behind counts the entries that an earlier version of the KMS key still wraps.
	Behind int
}

// ChangeKind says what happened to a data key.
type ChangeKind string

const (
	// Rotated: another version of the data key is primary.
	Rotated ChangeKind = "Rotated"
	// Rewrapped: another version of the KMS key wraps the data key, which stays.
	Rewrapped ChangeKind = "Rewrapped"
	// RetiredKey: a version must not be used any more.
	RetiredKey ChangeKind = "Retired"
	// GivenBack: a version that was retired too soon decrypts again.
	GivenBack ChangeKind = "GivenBack"
	// CaughtUp: a keyset was older than those of the other namespaces and was brought up to them.
	CaughtUp ChangeKind = "CaughtUp"
	// Lost: no namespace has a data key that was seen before, and another was made under the next number.
	Lost ChangeKind = "Lost"
)

// Change of a data key.
type Change struct {
	Kind ChangeKind
	// Namespace it is about; empty when it is about all.
	Namespace string
	// Key is the name of the data key.
	Key string
	// From and To are versions: of the KMS key for Rewrapped, of the data key for the others.
	From, To string
}

// Ring keeps data keys with the help of providers. It holds no key between calls and is safe for concurrent use.
type Ring struct {
	clock     clock.PassiveClock
	providers map[string]Provider
	circuits  *circuits
	lanes     *lanes
	looks     *looks
	proofs    *proofs
	limits    limits
	observe   func(Call)
}

// New returns a Ring. A later provider replaces an earlier one of the same scheme.
func New(c clock.PassiveClock, providers ...Provider) *Ring {
	return newRing(c, defaultLimits(), providers...)
}

func newRing(c clock.PassiveClock, l limits, providers ...Provider) *Ring {
	r := &Ring{
		clock: c, limits: l, providers: map[string]Provider{}, observe: func(Call) {},
		circuits: newCircuits(c, l.threshold, l.coolDown), lanes: newLanes(l.lanes, l.patience), looks: newLooks(c), proofs: newProofs(c),
	}
	for _, p := range providers {
		r.providers[p.Scheme()] = p
	}
	return r
}

// schemes lists what the Ring has providers for.
func (r *Ring) schemes() string {
	return strings.Join(slices.Sorted(maps.Keys(r.providers)), ", ")
}

// Ensure returns the keysets the tenant must have. A tenant that lacks nothing costs no KMS call, but for a look
// at its KMS key that all tenants of the key share, twice an hour: keysets are checked by form and binding, and opened
// only when something has to be made from them, and once to compare their copies (see compare.go).
//
//   - A data key nobody has yet is made. One that some namespaces lack is taken out of a namespace that has it and
//     sealed anew. Before that, every standing copy of it is opened; copies that differ are Foreign.
//   - When KeyURI names another key than the one an entry is wrapped with, the entry is wrapped again: taken out with
//     the old key, sealed under the new one. Data keys, versions and ages stay. The old key must still answer.
//   - When the KMS key has a new version, what an earlier one wrapped is wrapped anew.
//   - A data key that is due gets a new version, in steps (see rotate.go). Each call takes one step.
//   - Versions and states are merged over the namespaces, so that a write which reached some of them is finished.
//
// On error nothing may be created or changed. The Outcome then holds what stands and is sound: the keysets of
// Namespaces as they are, and their keys. Errors are *Error, see Kind. Give ctx no deadline below 5 seconds per KMS
// call, or a KMS that does not answer will not be recognised as such.
func (r *Ring) Ensure(ctx context.Context, req Request) (Outcome, error) {
	target, err := r.check(req)
	if err != nil {
		return Outcome{}, err
	}
	standing, err := read(req)
	if err == nil {
		err = remembered(req, standing)
	}
	if err != nil {
		return r.sound(req, standing), err
	}
	j := &job{req: req, standing: standing, made: map[place]envelope{}, rewrapped: map[place]envelope{}}
	var problem error
	j.known, problem = r.look(ctx, req, target)
	j.target = kek{target, j.known.info.Version}
	j.plan = decide(req, standing, j.target, r.clock.Now())
	if len(j.plan.lacking) > 0 && KindOf(problem) != Unreachable {
		problem = nil // the key is looked at again before it is used
	}
	if problem == nil {
		problem = r.supply(ctx, j)
	}
	if problem != nil {
		return r.sound(req, standing), problem
	}
	return r.planned(j), nil
}

// check looks at the parts of the request that come from the spec, and finds the key.
func (r *Ring) check(req Request) (KeyRef, error) {
	for _, f := range []struct{ name, value string }{
		{"ClusterUID", req.ClusterUID}, {"Tenant", req.Tenant}, {"TenantUID", req.TenantUID},
	} {
		if f.value == "" {
			return KeyRef{}, Errorf(Unsupported, "request without %s: a key cannot be bound to nothing", f.name)
		}
	}
	if req.RotationPeriod <= 0 {
		return KeyRef{}, Errorf(Unsupported, "rotation period %s: expected more than 0", req.RotationPeriod)
	}
	for _, name := range slices.Concat(req.DataKeys, req.Namespaces) {
		if !document.DNSLabel.MatchString(name) {
			return KeyRef{}, Errorf(Unsupported, "%s is no name for a data key or namespace: expected a DNS label", Quote(name))
		}
	}
	if len(req.DataKeys) == 0 {
		return KeyRef{}, Errorf(Unsupported, "no data keys: expected at least one, such as %q", v1alpha1.DefaultDataKey)
	}
	target, err := ParseKeyURI(req.KeyURI)
	if err != nil {
		return KeyRef{}, err
	}
	_, err = r.provider(target)
	return target, err
}

// read parses every standing keyset and checks that it belongs. On error it returns the ones that do.
func read(req Request) (map[string]Keyset, error) {
	standing := map[string]Keyset{}
	var first error
	for _, ns := range slices.Sorted(maps.Keys(req.Keysets)) {
		k, err := parseKeyset(req.Keysets[ns])
		if err == nil {
			err = belongs(k, req.owner(ns), req.FormerUIDs)
		}
		switch {
		case err == nil:
			standing[ns] = k
		case first == nil:
			first = about(subject(ns), err)
		}
	}
	return standing, first
}

// remembered compares what stands with the versions seen before, and with itself.
func remembered(req Request, standing map[string]Keyset) error {
	highest := map[string]int64{}
	for _, ns := range slices.Sorted(maps.Keys(standing)) {
		k := standing[ns]
		primaries := map[string]int64{}
		for _, e := range k.Keys {
			if e.State == Primary {
				primaries[e.Name] = e.Version
				highest[e.Name] = max(highest[e.Name], e.Version)
			}
		}
		for _, e := range k.Keys {
			if e.State == Retired && e.Version > primaries[e.Name] {
				return about(subject(ns), Errorf(Foreign, "key %s: version %d is retired and the older version %d primary; expected no version after the primary to be retired: somebody changed the states; %s",
					e.Name, e.Version, primaries[e.Name], leftAlone))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(highest)) {
		if found, want := highest[name], req.PrimaryVersions[name]; found < want {
			return about("tenant "+req.Tenant, Errorf(Foreign,
				"key %s: primary version is %d; expected at least %d, which was seen before: an old keyset was restored; it was left as it is. Restore the newer one", name, found, want))
		}
	}
	return nil
}

func (req Request) owner(namespace string) owner {
	return owner{ClusterUID: req.ClusterUID, Tenant: req.Tenant, TenantUID: req.TenantUID, Namespace: namespace}
}

// subject of an error about the keyset of a namespace.
func subject(namespace string) string {
	return "Secret " + namespace + "/" + v1alpha1.SecretKeyset
}
