package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
)

// moody is a KMS of its own scheme that says what it is told to.
type moody struct {
	*local.Provider
	disabled bool
	problem  error
	asked    int
}

// Scheme is moody.
func (m *moody) Scheme() string { return "moody" }

// Describe answers as it is told to.
func (m *moody) Describe(context.Context, keyring.KeyRef) (keyring.KeyInfo, error) {
	m.asked++
	return keyring.KeyInfo{Exists: true, Enabled: !m.disabled}, m.problem
}

// TestBadKeys: a key that cannot be used gives a condition with the provider's own reason. What stands is left alone, and
// nobody is asked faster than the backoff.
func TestBadKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		uri     string
		mood    func(*moody)
		want    string // status and reason of EncryptionReady
		says    string
		after   time.Duration // when nothing is left to write; zero: only when something changes
		mention []string
	}{
		"unknown scheme": {uri: "carrier://pigeon", want: "False/" + v1alpha1.ReasonKeyUnsupported, says: "no provider answers for carrier://"},
		"malformed URI":  {uri: "moody://a/../b", want: "False/" + v1alpha1.ReasonKeyUnsupported, says: `".."`},
		"a password in the URI": {
			uri: "moody://root:hunter2@key", want: "False/" + v1alpha1.ReasonKeyUnsupported, says: "no place in a key URI", mention: []string{"hunter2"},
		},
		"disabled key": {
			uri: "moody://key", mood: func(m *moody) { m.disabled = true },
			want: "False/" + v1alpha1.ReasonKMSRefused, says: "the key is disabled", after: retryRefused,
		},
		"permission denied": {
			uri: "moody://key", mood: func(m *moody) { m.problem = keyring.Errorf(keyring.Refused, "403: permission denied for role x") },
			want: "False/" + v1alpha1.ReasonKMSRefused, says: "403: permission denied for role x", after: retryRefused,
		},
		"unknown key": {
			uri: "moody://key", mood: func(m *moody) { m.problem = keyring.Errorf(keyring.Refused, "no such key") },
			want: "False/" + v1alpha1.ReasonKMSRefused, says: "no such key", after: retryRefused,
		},
		"wrong CA": {
			uri: "moody://key", mood: func(m *moody) {
				m.problem = keyring.Errorf(keyring.Unreachable, "certificate signed by unknown authority")
			},
			want: "Unknown/" + v1alpha1.ReasonKMSUnreachable, says: "certificate signed by unknown authority", after: retryWaiting,
		},
	} {
		t.Run(name, func(t *testing.T) {
			profile := defaultProfile()
			profile.Spec.Keys.AllowedURIs = []string{"*"}
			s := newStore(t, profile, tenant(func(h *v1alpha1.HIPAATenant) { h.Spec.BAA.ExpiresOn = "2036-01-01" }))
			r, clock, _ := timed(s, keyringtest.NewShelf())
			kms := &moody{Provider: local.New(keyringtest.NewShelf(), clock)}
			r.Keys = keyring.New(clock, local.New(keyringtest.NewShelf(), clock), kms)
			got := run(t, r, s)
			run(t, r, s)
			stood := fetch(t, s, "acme", v1alpha1.SecretKeyset, &corev1.Secret{}).Data[v1alpha1.KeysetKey]

			got = fetch(t, s, "", "acme", got)
			got.Spec.Encryption.KeyURI = tc.uri
			got.Generation++
			if err := s.Update(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if tc.mood != nil {
				tc.mood(kms)
			}
			run(t, r, s)
			result, err := r.Reconcile(t.Context(), requestFor("acme"))
			if err != nil || (result.RequeueAfter != tc.after && (tc.after != 0 || result.RequeueAfter < time.Hour)) {
				t.Errorf("looks again after %s, %v; want %s", result.RequeueAfter, err, tc.after)
			}
			refusedAndKept(t, s, tc.want, tc.says, stood)
			for _, secret := range tc.mention {
				for _, c := range fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{}).Status.Conditions {
					if strings.Contains(c.Message, secret) {
						t.Errorf("%s repeats %q: %s", c.Type, secret, c.Message)
					}
				}
			}
			asked(t, r, kms, clock)
		})
	}
}

// refusedAndKept checks the condition, that the words are stable, and that the keyset and its status are as before.
func refusedAndKept(t *testing.T, s *store, want, says string, stood []byte) {
	t.Helper()
	got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionEncryptionReady)
	if reasonOf(got, v1alpha1.ConditionEncryptionReady) != want || !strings.Contains(c.Message, says) {
		t.Errorf("EncryptionReady is %+v; want %s, saying %q", c, want, says)
	}
	if len(got.Status.Keys) != 1 || got.Status.Keys[0].PrimaryVersion != 1 {
		t.Errorf("keys %+v; want the one that stands", got.Status.Keys)
	}
	now := fetch(t, s, "acme", v1alpha1.SecretKeyset, &corev1.Secret{}).Data[v1alpha1.KeysetKey]
	if diff := cmp.Diff(string(stood), string(now)); diff != "" {
		t.Errorf("the keyset changed:\n%s", diff)
	}
	if i := slices.IndexFunc(got.Status.Namespaces, func(n v1alpha1.NamespaceStatus) bool { return n.Gate == v1alpha1.GateOpen }); i < 0 {
		t.Errorf("namespaces %v; want the gate to stay open", got.Status.Namespaces)
	}
}

// asked counts how often the KMS is asked in two minutes in which the loop looks whenever it wants to.
func asked(t *testing.T, r *TenantReconciler, kms *moody, clock *clocktesting.FakePassiveClock) {
	t.Helper()
	before := kms.asked
	for end := clock.Now().Add(2 * time.Minute); clock.Now().Before(end); {
		result, err := r.Reconcile(t.Context(), requestFor("acme"))
		if err != nil {
			t.Fatal(err)
		}
		if result.RequeueAfter == 0 {
			break
		}
		clock.SetTime(clock.Now().Add(result.RequeueAfter))
	}
	if n := kms.asked - before; n > 13*3 {
		t.Errorf("asked %d times in two minutes", n)
	}
}
