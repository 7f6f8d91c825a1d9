package controllers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

func TestKeyRequest(t *testing.T) {
	subject := tenant(named(false, "app", "data"), func(h *v1alpha1.HIPAATenant) {
		h.Spec.Encryption.KeyURI = "vault://transit/acme"
		h.Spec.Encryption.DataKeys = []v1alpha1.DataKey{{Name: "records"}, {Name: "images"}}
		h.Status.Keys = []v1alpha1.KeyStatus{{Name: "records", PrimaryVersion: 4}}
		h.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionEncryptionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonKMSRefused}}
	})
	d := decision{plan: &compile.Plan{Rotation: 720 * time.Hour, RetireAfter: 2160 * time.Hour, KeyRegions: []string{"us-east-1"}}, facts: compile.Facts{Namespaces: map[string]compile.Namespace{
		"app":   namespaceFact(namespaceOf("app", "acme", "u-former", v1alpha1.GateQuarantined)),
		"data":  namespaceFact(namespaceOf("data", "acme", "u-acme", v1alpha1.GateOpen)),
		"old":   namespaceFact(namespaceOf("old", "birch", "u-birch", v1alpha1.GateOpen)),
		"bare":  {UID: "x"},
		"lost":  namespaceFact(namespaceOf("lost", "acme", "", v1alpha1.GateOpen)),
		"local": {UID: "y", Labels: map[string]string{v1alpha1.LabelTenant: "acme"}},
	}}}
	standing := map[string]compile.Keyset{"data": {Document: []byte("d"), ResourceVersion: "7"}, "old": {Document: []byte("o")}}
	want := keyring.Request{
		Tenant: "acme", TenantUID: "u-acme", KeyURI: "vault://transit/acme", RotationPeriod: 720 * time.Hour,
		DataKeys: []string{"records", "images"}, Namespaces: []string{"app", "data"},
		Keysets: map[string][]byte{"data": []byte("d"), "old": []byte("o")}, PrimaryVersions: map[string]int64{"records": 4},
		FormerUIDs:  []string{"u-former"},
		RetireAfter: 2160 * time.Hour, Regions: []string{"us-east-1"}, Doubtful: true, Unproven: true,
	}
	if diff := cmp.Diff(want, keyRequest(subject, d, standing)); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestKeyProblem(t *testing.T) {
	for kind, reason := range map[keyring.Kind]string{
		keyring.Unreachable: v1alpha1.ReasonKMSUnreachable,
		keyring.Refused:     v1alpha1.ReasonKMSRefused,
		keyring.Foreign:     v1alpha1.ReasonForeignKeyMaterial,
		keyring.Unsupported: v1alpha1.ReasonKeyUnsupported,
	} {
		err := fmt.Errorf("making keys: %w", keyring.Errorf(kind, "no key %s", "x"))
		if diff := cmp.Diff(status.Keys{Reason: reason, Message: "making keys: no key x"}, keyProblem(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	if got := keyProblem(errors.New("odd")); got.Reason != v1alpha1.ReasonKMSRefused || got.Message != "odd" {
		t.Errorf("an error of no kind gives %+v, want refused: it is never taken for success", got)
	}
}

func keysetIn(namespace, document string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.SecretKeyset},
		Data:       map[string][]byte{v1alpha1.KeysetKey: []byte(document)},
	}
}

// TestKeysetsAreReadLiveWhenTheCacheHasNone: a keyset made from a stale view would replace keys that data needs. The
// store's cache shows no Secret here, because none carries a label.
func TestKeysetsAreReadLiveWhenTheCacheHasNone(t *testing.T) {
	s := newStore(t, keysetIn("app", "a"), keysetIn("taken", "t"), keysetIn("absent", "x"), keysetIn("bare", "b"))
	r, _ := reconciler(s)
	f := compile.Facts{Namespaces: map[string]compile.Namespace{
		"app":   namespaceFact(namespaceOf("app", "acme", "u-acme", v1alpha1.GateOpen)),
		"data":  namespaceFact(namespaceOf("data", "acme", "u-acme", v1alpha1.GateOpen)),
		"taken": namespaceFact(namespaceOf("taken", "birch", "u-birch", v1alpha1.GateOpen)),
		"bare":  {UID: "x"},
	}}
	got, err := r.readKeysets(t.Context(), tenant(), f)
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]string{}
	for namespace, k := range got {
		documents[namespace] = string(k.Document)
		if k.ResourceVersion == "" {
			t.Errorf("the keyset of %s has no resource version: a write could replace one that came between", namespace)
		}
	}
	if diff := cmp.Diff(map[string]string{"app": "a", "bare": "b"}, documents); diff != "" {
		t.Errorf("keysets (-want +got):\n%s", diff)
	}
	r.Live = failingReader{errors.New("no route")}
	if _, err := r.readKeysets(t.Context(), tenant(), f); err == nil {
		t.Error("the API server cannot be read and there is no error: missing would be believed")
	}
}

// TestStatusNeverForgetsTheHighestVersion: a restored keyset that was found out must not become what is remembered.
func TestStatusNeverForgetsTheHighestVersion(t *testing.T) {
	key := func(name string, version int64) v1alpha1.KeyStatus {
		return v1alpha1.KeyStatus{Name: name, PrimaryVersion: version}
	}
	seen := []v1alpha1.KeyStatus{key("images", 2), key("records", 3)}
	standing := []v1alpha1.KeyStatus{key("records", 2), key("images", 4), key("audio", 1)}
	if diff := cmp.Diff([]v1alpha1.KeyStatus{key("audio", 1), key("images", 4), key("records", 3)}, highest(seen, standing)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestUnproven: a tenant whose keys were in order stays quiet over a restart, whatever is known of etcd.
func TestUnproven(t *testing.T) {
	if !unproven(tenant()) {
		t.Error("a tenant that was never ready is taken for proven")
	}
	for reason, want := range map[string]bool{
		v1alpha1.ReasonKMSWrapped: false, v1alpha1.ReasonSoftwareKey: false, v1alpha1.ReasonAtRestAttested: false,
		v1alpha1.ReasonForeignKeyMaterial: true, v1alpha1.ReasonKMSUnreachable: true, v1alpha1.ReasonKMSRefused: true, "Odd": true,
	} {
		subject := tenant(func(h *v1alpha1.HIPAATenant) {
			h.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionEncryptionReady, Status: metav1.ConditionTrue, Reason: reason}}
		})
		if got := unproven(subject); got != want {
			t.Errorf("%s: unproven %t, want %t", reason, got, want)
		}
	}
}

// TestALostKeyIsTold loudly, with what to do; one that is given back is good news.
func TestALostKeyIsTold(t *testing.T) {
	r, recorder := reconciler(newStore(t))
	r.keysChanged(tenant(), []keyring.Change{
		{Kind: keyring.Lost, Key: "records", From: "3", To: "4"},
		{Kind: keyring.GivenBack, Key: "records", From: "1", To: "1"},
	})
	want := []string{
		"Warning DataKeyLost data key records: no keyset was left; version 4 was made, and what version 3 or one before it encrypted cannot be read; restore its entries from a backup of Secret hipaa-keyset",
		"Normal DataKeyGivenBack data key records: version 1 was retired too soon and decrypts again",
	}
	if diff := cmp.Diff(want, told(recorder)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
