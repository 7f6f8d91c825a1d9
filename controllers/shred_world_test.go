package controllers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// fakeKMS is a KMS with aliases: any number of paths may lead to one key. What it wraps is not secret.
type fakeKMS struct {
	ids       map[string]string // path -> the key's own name
	gone      map[string]bool
	destroyed []string
	describe  map[string]error // by path
	destroy   error
	unwrap    error
	onDestroy func()
	later     time.Duration // until a destruction takes effect
}

func (k *fakeKMS) Scheme() string                 { return "fake" }
func (k *fakeKMS) Assurance() string              { return v1alpha1.ReasonKMSWrapped }
func (k *fakeKMS) Endpoint(keyring.KeyRef) string { return "" }

func (k *fakeKMS) find(ref keyring.KeyRef) (string, error) {
	id, known := k.ids[ref.Path]
	if !known || k.gone[id] {
		return "", keyring.Errorf(keyring.Refused, "no key %s", ref.Path)
	}
	return id, nil
}

func (k *fakeKMS) Describe(_ context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	if err := k.describe[ref.Path]; err != nil {
		return keyring.KeyInfo{}, err
	}
	id, err := k.find(ref)
	return keyring.KeyInfo{ID: id, Exists: err == nil, Enabled: err == nil, Derived: true}, err
}

func (k *fakeKMS) Wrap(_ context.Context, ref keyring.KeyRef, plaintext []byte, _ keyring.Binding) ([]byte, string, error) {
	id, err := k.find(ref)
	return append([]byte(id+":"), plaintext...), "1", err
}

func (k *fakeKMS) Unwrap(_ context.Context, ref keyring.KeyRef, wrapped []byte, _ keyring.Binding) ([]byte, error) {
	id, err := k.find(ref)
	if err := cmp.Or(k.unwrap, err); err != nil {
		return nil, err
	}
	plaintext, its := bytes.CutPrefix(wrapped, []byte(id+":"))
	if !its {
		return nil, keyring.Errorf(keyring.Foreign, "another key wrapped it")
	}
	return plaintext, nil
}

func (k *fakeKMS) Rewrap(_ context.Context, ref keyring.KeyRef, wrapped []byte, _ keyring.Binding) ([]byte, string, error) {
	_, err := k.find(ref)
	return wrapped, "1", err
}

func (k *fakeKMS) Destroy(_ context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	if k.onDestroy != nil {
		k.onDestroy()
	}
	if k.destroy != nil {
		return keyring.Destruction{}, k.destroy
	}
	id, err := k.find(ref)
	if err != nil {
		return keyring.Destruction{Method: "there is no such key any more"}, nil //nolint:nilerr // gone is what was wanted
	}
	k.gone[id] = true
	k.destroyed = append(k.destroyed, id)
	return keyring.Destruction{EffectiveAt: noon.Add(k.later), Method: "key deleted"}, nil
}

// shredWorld is tenant acme, deleted with policy Shred and confirmed, with a keyset in its namespace.
type shredWorld struct {
	*store
	r        *TenantReconciler
	kms      *fakeKMS
	recorder *events.FakeRecorder
}

const ownKey = "fake://acme?scope=tenant"

func newShredWorld(t *testing.T, uri string, change func(*v1alpha1.HIPAATenant), objects ...client.Object) shredWorld {
	t.Helper()
	kms := &fakeKMS{ids: map[string]string{"acme": "k1", "alias/acme": "k1", "other": "k2", "nameless": ""}, gone: map[string]bool{}, describe: map[string]error{}}
	ring := keyring.New(clocktesting.NewFakePassiveClock(noon), kms)
	subject := leaving(func(h *v1alpha1.HIPAATenant) {
		h.Spec.DeletionPolicy, h.Spec.Encryption.KeyURI = v1alpha1.DeletionShred, uri
		h.Annotations = map[string]string{v1alpha1.AnnotationConfirmShred: "u-acme"}
	})
	if change != nil {
		change(subject)
	}
	document := keysetOf(t, ring, "acme", "acme", uri)
	secret := keysetIn("acme", string(document))
	secret.Labels, secret.UID = acmes, "s-acme"
	s := newStore(t, append(objects, subject, secret, namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen),
		&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: v1alpha1.PolicyAllowTenant, Labels: acmes}})...)
	r, recorder := reconciler(s)
	r.Keys = ring
	return shredWorld{s, r, kms, recorder}
}

// keysetOf makes a real keyset of a tenant.
func keysetOf(t *testing.T, ring *keyring.Ring, tenant, namespace, uri string) []byte {
	t.Helper()
	out, err := ring.Ensure(t.Context(), keyring.Request{
		ClusterUID: "cluster", Tenant: tenant, TenantUID: "u-" + tenant, KeyURI: uri, RotationPeriod: time.Hour,
		DataKeys: []string{"default"}, Namespaces: []string{namespace},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Keysets[namespace]
}

// turn reconciles once.
func (w shredWorld) turn(t *testing.T) {
	t.Helper()
	if _, err := w.r.Reconcile(t.Context(), requestFor("acme")); err != nil {
		t.Fatal(err)
	}
}

func (w shredWorld) subject(t *testing.T) *v1alpha1.HIPAATenant {
	t.Helper()
	return fetch(t, w.store, "", "acme", &v1alpha1.HIPAATenant{})
}

// ready is reason and message of Ready.
func (w shredWorld) ready(t *testing.T) (string, string) {
	t.Helper()
	c := meta.FindStatusCondition(w.subject(t).Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return "", ""
	}
	return c.Reason, c.Message
}

// done says whether the operator let go.
func (w shredWorld) done(t *testing.T) bool {
	t.Helper()
	return len(w.subject(t).Finalizers) == 1
}

func (w shredWorld) keyset(t *testing.T) bool {
	t.Helper()
	return exists(t, w.store, "acme", v1alpha1.SecretKeyset, &corev1.Secret{})
}

func (w shredWorld) stone(t *testing.T) tombstone {
	t.Helper()
	m := fetch(t, w.store, v1alpha1.OperatorNamespace, "hipaa-tombstone-u-acme", &corev1.ConfigMap{})
	var stone tombstone
	if err := json.Unmarshal([]byte(m.Data[tombstoneKey]), &stone); err != nil {
		t.Fatal(err)
	}
	return stone
}

// edit changes the tenant as its owner would.
func (w shredWorld) edit(t *testing.T, change func(*v1alpha1.HIPAATenant)) {
	t.Helper()
	subject := w.subject(t)
	change(subject)
	if err := w.Update(t.Context(), subject); err != nil {
		t.Fatal(err)
	}
}
