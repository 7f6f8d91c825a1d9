package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// another tenant, whose keyURI is given.
func another(uri string, change ...func(*v1alpha1.HIPAATenant)) *v1alpha1.HIPAATenant {
	t := fixture.Tenant("birch", change...)
	t.UID, t.Spec.Encryption.KeyURI = "u-birch", uri
	return t
}

func stoneOf(tenant, uid, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.OperatorNamespace, Name: "hipaa-tombstone-" + uid, Labels: map[string]string{v1alpha1.LabelTombstone: tenant},
		},
		Data: map[string]string{tombstoneKey: text},
	}
}

// namedIn is a keyset of another namespace that names a key.
func namedIn(t *testing.T, namespace, path string) *corev1.Secret {
	t.Helper()
	kms := &fakeKMS{ids: map[string]string{path: "x"}}
	return keysetIn(namespace, string(keysetOf(t, keyring.New(noonClock(), kms), "birch", namespace, "fake://"+path)))
}

// TestAKeyThatServesAnybodyElseStands, by whatever name it is used, and also when nobody can tell.
func TestAKeyThatServesAnybodyElseStands(t *testing.T) {
	status := func(ref string) func(*v1alpha1.HIPAATenant) {
		return func(h *v1alpha1.HIPAATenant) {
			h.Status.Keys = []v1alpha1.KeyStatus{{Name: "default", Provider: "fake", KeyRef: ref}}
		}
	}
	retained := func(uid, tenant, outcome, ref, namespace string) *corev1.ConfigMap {
		return stoneOf(tenant, uid, `{"tenant":"`+tenant+`","uid":"`+uid+`","outcome":"`+outcome+`","namespaces":[{"name":"`+namespace+`"}],"keys":[{"provider":"fake","keyRef":"`+ref+`"}]}`)
	}
	broken := namedIn(t, "birch", "acme")
	broken.Data[v1alpha1.KeysetKey], broken.Labels = []byte("{"), map[string]string{v1alpha1.LabelTenant: "birch"}
	for name, tc := range map[string]struct {
		others []client.Object
		blind  string // path the KMS does not describe
		says   string // empty: the key is destroyed
	}{
		"its spec names it":                     {others: []client.Object{another("fake://acme")}, says: "tenant birch names it as fake://acme"},
		"with a scope":                          {others: []client.Object{another(ownKey)}, says: "tenant birch names it"},
		"with a parameter":                      {others: []client.Object{another("fake://acme?region=elsewhere")}, says: "tenant birch names it"},
		"with a parameter nobody takes":         {others: []client.Object{another("fake://acme?scope=Tenant")}, says: "tenant birch names it"},
		"by an alias":                           {others: []client.Object{another("fake://alias/acme")}, says: "tenant birch names it as fake://alias/acme"},
		"by an alias that is not told":          {others: []client.Object{another("fake://alias/acme")}, blind: "alias/acme", says: "whether that is the same key cannot be told"},
		"by a name that is not told":            {others: []client.Object{another("fake://nameless")}, says: "tenant birch names it as fake://nameless"},
		"by a name that leads nowhere":          {others: []client.Object{another("fake://nowhere")}, says: "no key nowhere"},
		"its status names it":                   {others: []client.Object{another("fake://other", status("alias/acme"))}, says: "tenant birch names it"},
		"for its backups":                       {others: []client.Object{another("fake://other", func(h *v1alpha1.HIPAATenant) { h.Status.FormerKeys = []string{"fake://acme"} })}, says: "copies from former times"},
		"its keyset names it":                   {others: []client.Object{another("fake://other"), namedIn(t, "birch", "alias/acme")}, says: "the keyset in namespace birch names it"},
		"a keyset of nobody known":              {others: []client.Object{namedIn(t, "stray", "acme")}, says: "the keyset in namespace stray"},
		"its keyset cannot be read":             {others: []client.Object{broken}, says: "Secret birch/hipaa-keyset cannot be read"},
		"it was deleted and retained":           {others: []client.Object{retained("u-dead", "cedar", "Retained", "alias/acme", "cedar")}, says: "the tombstone of tenant cedar (u-dead)"},
		"it was deleted, with what isn't known": {others: []client.Object{retained("u-dead", "cedar", "Unknown", "acme", "cedar")}, says: "the tombstone of tenant cedar"},
		"an earlier one of its name":            {others: []client.Object{retained("u-dead", "acme", "Retained", "acme", "acme-data"), namespaceOf("acme-data", "acme", "u-dead", v1alpha1.GateQuarantined)}, says: "the tombstone of tenant acme (u-dead)"},
		"a tombstone cannot be read":            {others: []client.Object{stoneOf("cedar", "u-dead", "{")}, says: "hipaa-tombstone-u-dead"},

		"nobody":                         {},
		"another key":                    {others: []client.Object{another("fake://other"), namedIn(t, "birch", "other")}},
		"another KMS":                    {others: []client.Object{another("vault://acme/acme")}},
		"another URI that is none":       {others: []client.Object{another("fake:other")}},
		"somebody's Secret of that name": {others: []client.Object{keysetIn("elsewhere", "{")}},
		"one that was shredded":          {others: []client.Object{retained("u-dead", "cedar", "WrappedCopiesDeleted", "acme", "cedar")}},
		"an earlier one, taken over":     {others: []client.Object{retained("u-dead", "acme", "Retained", "acme", "acme")}},
		"an earlier one, its data gone":  {others: []client.Object{retained("u-dead", "acme", "Retained", "acme", "acme-old")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, ownKey, nil, tc.others...)
			if tc.blind != "" {
				w.kms.describe[tc.blind] = keyring.Errorf(keyring.Unreachable, "no route")
			}
			w.turn(t)
			reason, message := w.ready(t)
			if tc.says == "" {
				if len(w.kms.destroyed) != 1 || !w.done(t) {
					t.Errorf("destroyed %v, let go: %t; %s: %s", w.kms.destroyed, w.done(t), reason, message)
				}
				return
			}
			if len(w.kms.destroyed) > 0 || w.done(t) || !w.keyset(t) {
				t.Fatalf("destroyed %v, let go: %t, keyset stands: %t", w.kms.destroyed, w.done(t), w.keyset(t))
			}
			if reason != v1alpha1.ReasonKeyShared || !strings.Contains(message, tc.says) {
				t.Errorf("Ready is %s: %s; want it to say %q", reason, message, tc.says)
			}
			first := w.subject(t).ResourceVersion
			if w.turn(t); w.subject(t).ResourceVersion != first {
				t.Error("the key is marked and unmarked, which holds the other back, while the other's need is known")
			}
			w.edit(t, func(h *v1alpha1.HIPAATenant) { h.Spec.Encryption.KeyURI = "fake://acme" })
			w.turn(t)
			if w.keyset(t) || len(w.kms.destroyed) > 0 || w.stone(t).Outcome != v1alpha1.WrappedCopiesDeleted {
				t.Errorf("scope taken out: keyset stands: %t, destroyed %v, outcome %s", w.keyset(t), w.kms.destroyed, w.stone(t).Outcome)
			}
		})
	}
}

// TestATenantThatComesBetween the proof and the destruction is seen, or sees the mark; by whatever name it uses the key.
func TestATenantThatComesBetween(t *testing.T) {
	for name, uri := range map[string]string{"by name": "fake://acme", "by alias": "fake://alias/acme"} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, ownKey, nil)
			w.marked = func() {
				w.marked = nil
				if err := w.Create(t.Context(), another(uri)); err != nil {
					t.Fatal(err)
				}
			}
			w.turn(t)
			if reason, _ := w.ready(t); len(w.kms.destroyed) > 0 || reason != v1alpha1.ReasonKeyShared {
				t.Fatalf("it came before the second proof: destroyed %v, Ready is %s", w.kms.destroyed, reason)
			}
			if problem, err := w.r.beingShredded(t.Context(), another(uri)); problem != nil || err != nil {
				t.Errorf("the key stands and the mark holds the other back: %v, %v", problem, err)
			}
			if err := w.Delete(t.Context(), another(uri)); err != nil {
				t.Fatal(err)
			}
			asked, late := false, *another(uri)
			w.kms.onDestroy = func() {
				asked = true
				w.r.Client = interceptor.NewClient(w.cached(), interceptor.Funcs{
					List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
				}) // its cache does not show the mark yet
				work, err := w.r.makeKeys(t.Context(), &late, decision{plan: &compile.Plan{}})
				if err != nil || work.status.Reason != v1alpha1.ReasonKeyBeingShredded {
					t.Errorf("keys are made for another tenant: %+v, %v", work.status, err)
				}
				for what, r := range map[string]*TenantReconciler{"this process": w.r, "its successor": successor(w)} {
					problem, err := r.beingShredded(t.Context(), another(uri))
					if err != nil || problem == nil || problem.Reason != v1alpha1.ReasonKeyBeingShredded || !strings.Contains(problem.Message, "tenant acme") {
						t.Errorf("%s lets another tenant use the key: %+v, %v", what, problem, err)
					}
					if problem, err := r.beingShredded(t.Context(), another("fake://other")); err != nil || problem != nil {
						t.Errorf("%s keeps another tenant from another key: %+v, %v", what, problem, err)
					}
				}
			}
			w.turn(t)
			if !asked || !w.done(t) {
				t.Errorf("the KMS was asked: %t, let go: %t", asked, w.done(t))
			}
		})
	}
}

// TestAKeysetOfAnother in the tenant's namespace is neither deleted nor left behind unsaid.
func TestAKeysetOfAnother(t *testing.T) {
	w := newShredWorld(t, ownKey, nil)
	secret := fetch(t, w.store, "acme", v1alpha1.SecretKeyset, &corev1.Secret{})
	secret.Data[v1alpha1.KeysetKey] = keysetOf(t, w.r.Keys, "birch", "birch", "fake://other")
	if err := w.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.turn(t)
	if reason, message := w.ready(t); reason != v1alpha1.ReasonForeignKeyMaterial || len(w.kms.destroyed) > 0 || !w.keyset(t) {
		t.Errorf("Ready is %s: %s; destroyed %v, keyset stands: %t", reason, message, w.kms.destroyed, w.keyset(t))
	}
}

// successor is an operator that knows nothing but what stands in the API server.
func successor(w shredWorld) *TenantReconciler {
	r, _ := reconciler(w.store)
	r.Keys = w.r.Keys
	return r
}

// TestKilledInBetween: a successor finishes, and claims no more than was done.
func TestKilledInBetween(t *testing.T) {
	for n := range 20 {
		w := newShredWorld(t, ownKey, nil)
		w.dieAt = n + 1
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			w.turn(t)
			return died
		}()
		w.dieAt = 0
		w.r = successor(w)
		w.turn(t)
		stone := w.stone(t)
		if !w.done(t) || w.keyset(t) || len(w.kms.destroyed) != 1 || stone.Outcome != v1alpha1.Shredded || stone.Shred.Keys[0].EffectiveAt == nil {
			t.Fatalf("killed at write %d: let go: %t, keyset stands: %t, destroyed %v, %+v", n+1, w.done(t), w.keyset(t), w.kms.destroyed, stone)
		}
		if !died {
			if n < 6 {
				t.Errorf("a shred took %d writes only; did the test look at all of them?", n)
			}
			return
		}
	}
	t.Error("more than 20 writes")
}

// TestCrossing: whoever entered before is waited for, whoever comes after is not.
func TestCrossing(t *testing.T) {
	var c crossing
	c.drain()
	leave := c.enter()
	drained := make(chan struct{})
	go func() {
		c.drain()
		close(drained)
	}()
	for swapped := false; !swapped; {
		c.mu.Lock()
		swapped = c.current == nil
		c.mu.Unlock()
	}
	later := c.enter()
	select {
	case <-drained:
		t.Fatal("did not wait for one that entered before")
	case <-time.After(20 * time.Millisecond):
	}
	leave()
	<-drained
	later()
}

// TestKeySharers: who claims a key hears of all that name it; who does not hears of those that claim it.
func TestKeySharers(t *testing.T) {
	named := func(name, uri string) *v1alpha1.HIPAATenant {
		return fixture.Tenant(name, func(h *v1alpha1.HIPAATenant) { h.Spec.Encryption.KeyURI = uri })
	}
	own, plain, loner := named("own", ownKey), named("plain", "fake://acme"), named("loner", "fake://other")
	r, _ := reconciler(newStore(t, own, plain, named("third", "fake://acme?region=x"), loner))
	for who, want := range map[*v1alpha1.HIPAATenant]string{own: "plain third", plain: "own", loner: ""} {
		got, err := r.sharers(t.Context(), who)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s shares with %v, %v; want %s", who.Name, got, err, want)
		}
		if woken := r.partners(t.Context(), who); len(woken) != len(got) {
			t.Errorf("%s wakes %v", who.Name, woken)
		}
	}
	if compile.KeyName(own) != compile.KeyName(plain) || !compile.ClaimsKey(own) || compile.ClaimsKey(plain) {
		t.Error("names or claims")
	}
}
