package shred

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func key(uri string, o v1alpha1.ShredOutcome) v1alpha1.ShreddedKey {
	return v1alpha1.ShreddedKey{KeyURI: uri, Outcome: o}
}

// TestKeys: only a key that is claimed for the tenant alone and wraps its data keys is to be destroyed.
func TestKeys(t *testing.T) {
	const own, shared, old = "vault://transit/acme", "vault://transit/platform", "vault://transit/old"
	recorded := func(keys ...v1alpha1.ShreddedKey) *v1alpha1.ShredStatus { return &v1alpha1.ShredStatus{Keys: keys} }
	for name, tc := range map[string]struct {
		evidence Evidence
		want     []v1alpha1.ShreddedKey
	}{
		"own":                   {Evidence{KeyURI: own + "?scope=tenant", Used: []string{own}}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredPending)}},
		"shared":                {Evidence{KeyURI: shared, Used: []string{shared}}, []v1alpha1.ShreddedKey{key(shared, v1alpha1.ShredKept)}},
		"never used":            {Evidence{KeyURI: own + "?scope=tenant"}, nil},
		"used under old name":   {Evidence{KeyURI: own + "?scope=tenant", Used: []string{old}}, []v1alpha1.ShreddedKey{key(old, v1alpha1.ShredKept)}},
		"in the middle":         {Evidence{KeyURI: own + "?scope=tenant", Used: []string{old, own}}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredPending), key(old, v1alpha1.ShredKept)}},
		"former":                {Evidence{KeyURI: own + "?scope=tenant", Used: []string{own}, Former: []string{old}}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredPending), key(old, v1alpha1.ShredKept)}},
		"not a URI":             {Evidence{KeyURI: "vault:/x?scope=tenant", Used: []string{own}}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredKept)}},
		"unknown scope":         {Evidence{KeyURI: own + "?scope=Tenant", Used: []string{own}}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredKept)}},
		"scope taken out":       {Evidence{KeyURI: own, Used: []string{own}, Recorded: recorded(key(own, v1alpha1.ShredPending))}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredKept)}},
		"destroyed before":      {Evidence{KeyURI: own, Used: []string{own}, Recorded: recorded(key(own, v1alpha1.Shredded))}, []v1alpha1.ShreddedKey{key(own, v1alpha1.Shredded)}},
		"being destroyed":       {Evidence{KeyURI: own + "?scope=tenant", Used: []string{own}, Recorded: recorded(key(own, v1alpha1.ShredDestroying))}, []v1alpha1.ShreddedKey{key(own, v1alpha1.ShredDestroying)}},
		"copies gone by now":    {Evidence{KeyURI: own + "?scope=tenant", Recorded: recorded(key(own, v1alpha1.SoftwareKeyDeleted))}, []v1alpha1.ShreddedKey{key(own, v1alpha1.SoftwareKeyDeleted)}},
		"nothing was ever made": {Evidence{KeyURI: own}, nil},
	} {
		if diff := cmp.Diff(tc.want, Keys(tc.evidence)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestCompare: no spelling makes two names of one key look like two keys.
func TestCompare(t *testing.T) {
	name := func(uri string) Name {
		ref, err := document.ParseKeyURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		return Name{Ref: ref}
	}
	known := func(uri, id string) Name {
		n := name(uri)
		n.ID, n.Known = id, true
		return n
	}
	for what, tc := range map[string]struct {
		a, b Name
		want Answer
	}{
		"the same URI":                       {name("awskms://alias/a?region=r"), name("awskms://alias/a?region=r"), Same},
		"scope in one":                       {known("vault://transit/a?scope=tenant", ""), name("vault://transit/a"), Same},
		"another path, no other names":       {known("vault://transit/a", ""), name("vault://transit/b"), Different},
		"another mount":                      {known("vault://transit/a", ""), name("vault://team-a/transit/a"), Different},
		"another path, not asked":            {name("awskms://alias/a"), name("awskms://alias/b"), Doubt},
		"another path, one asked":            {known("awskms://alias/a", "arn:1"), name("awskms://alias/b"), Doubt},
		"alias of the same":                  {known("awskms://alias/a", "arn:1"), known("awskms://alias/b", "arn:1"), Same},
		"two keys":                           {known("awskms://alias/a", "arn:1"), known("awskms://alias/b", "arn:2"), Different},
		"one alias in two regions":           {known("awskms://alias/a?region=r", "arn:1"), known("awskms://alias/a?region=s", "arn:2"), Different},
		"one alias in two regions, unasked":  {known("awskms://alias/a?region=r", "arn:1"), name("awskms://alias/a?region=s"), Same},
		"parameter only":                     {known("kms://k?x=1", ""), name("kms://k?x=2"), Same},
		"one has an own name, the other not": {known("kms://k", "1"), known("kms://l", ""), Doubt},
		"another KMS":                        {known("vault://transit/a", ""), known("awskms://transit/a", "arn:1"), Different},
	} {
		if got := Compare(tc.a, tc.b); got != tc.want {
			t.Errorf("%s: %d, want %d", what, got, tc.want)
		}
		if got := Compare(tc.b, tc.a); got != tc.want {
			t.Errorf("%s, the other way round: %d, want %d", what, got, tc.want)
		}
	}
}

// TestConclude: the tenant's outcome is its weakest key's, and never more than was done.
func TestConclude(t *testing.T) {
	for name, tc := range map[string]struct {
		keys   []v1alpha1.ShredOutcome
		copies bool
		want   []v1alpha1.ShredOutcome
		all    v1alpha1.ShredOutcome
	}{
		"nothing there":        {nil, true, nil, NoKeys},
		"own":                  {[]v1alpha1.ShredOutcome{v1alpha1.Shredded}, true, []v1alpha1.ShredOutcome{v1alpha1.Shredded}, v1alpha1.Shredded},
		"shared":               {[]v1alpha1.ShredOutcome{v1alpha1.ShredKept}, true, []v1alpha1.ShredOutcome{v1alpha1.WrappedCopiesDeleted}, v1alpha1.WrappedCopiesDeleted},
		"own, and a former":    {[]v1alpha1.ShredOutcome{v1alpha1.Shredded, v1alpha1.ShredKept}, true, []v1alpha1.ShredOutcome{v1alpha1.Shredded, v1alpha1.WrappedCopiesDeleted}, v1alpha1.WrappedCopiesDeleted},
		"software, and own":    {[]v1alpha1.ShredOutcome{v1alpha1.SoftwareKeyDeleted, v1alpha1.Shredded}, true, []v1alpha1.ShredOutcome{v1alpha1.SoftwareKeyDeleted, v1alpha1.Shredded}, v1alpha1.SoftwareKeyDeleted},
		"stopped before":       {[]v1alpha1.ShredOutcome{v1alpha1.ShredPending}, false, []v1alpha1.ShredOutcome{v1alpha1.ShredRetained}, v1alpha1.ShredRetained},
		"stopped in between":   {[]v1alpha1.ShredOutcome{v1alpha1.Shredded, v1alpha1.ShredKept}, false, []v1alpha1.ShredOutcome{v1alpha1.Shredded, v1alpha1.ShredRetained}, v1alpha1.ShredRetained},
		"asked, not told":      {[]v1alpha1.ShredOutcome{v1alpha1.ShredDestroying}, false, []v1alpha1.ShredOutcome{v1alpha1.ShredUnknown}, v1alpha1.ShredUnknown},
		"looked at, not told":  {[]v1alpha1.ShredOutcome{v1alpha1.ShredUnknown}, false, []v1alpha1.ShredOutcome{v1alpha1.ShredUnknown}, v1alpha1.ShredUnknown},
		"looked at, it stands": {[]v1alpha1.ShredOutcome{v1alpha1.ShredRetained}, false, []v1alpha1.ShredOutcome{v1alpha1.ShredRetained}, v1alpha1.ShredRetained},
	} {
		var in, want []v1alpha1.ShreddedKey
		for i := range tc.keys {
			in, want = append(in, key("k", tc.keys[i])), append(want, key("k", tc.want[i]))
		}
		got, all := Conclude(in, tc.copies)
		if diff := cmp.Diff(want, got); diff != "" || all != tc.all {
			t.Errorf("%s: %s, want %s; keys (-want +got):\n%s", name, all, tc.all, diff)
		}
	}
}

// TestPromise: what can still be undone, or read, is said.
func TestPromise(t *testing.T) {
	at := func(o v1alpha1.ShredOutcome, effective time.Time) v1alpha1.ShreddedKey {
		return v1alpha1.ShreddedKey{Outcome: o, EffectiveAt: new(metav1.NewTime(effective))}
	}
	for want, k := range map[string]v1alpha1.ShreddedKey{
		"from 2026-11-29T12:00:00Z on": at(v1alpha1.Shredded, noon.AddDate(0, 0, 7)),
		"can be cancelled in the KMS":  at(v1alpha1.Shredded, noon.AddDate(0, 0, 7)),
		"backups of the KMS itself":    at(v1alpha1.Shredded, noon),
		"a backup of etcd from before": at(v1alpha1.SoftwareKeyDeleted, noon),
		"whoever has a backup of it":   key("k", v1alpha1.WrappedCopiesDeleted),
		"is not known; look there":     key("k", v1alpha1.ShredUnknown),
		"nothing was destroyed":        key("k", v1alpha1.ShredRetained),
	} {
		if got := Promise(k, noon); !strings.Contains(got, want) {
			t.Errorf("%s promises %q, want it to say %q", k.Outcome, got, want)
		}
	}
}
