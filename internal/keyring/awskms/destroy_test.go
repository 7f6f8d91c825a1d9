package awskms

import (
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeaws"
)

func inDays(days int) time.Time { return time.Now().AddDate(0, 0, days) }

func near(a, b time.Time) bool { return a.Sub(b).Abs() < time.Minute }

func TestDestroy(t *testing.T) {
	f := fakeaws.Start(t)
	for _, tc := range []struct {
		name, parameters string
		key              fakeaws.Key
		days             int
		method           string
	}{
		{"by default", "", fakeaws.Key{}, 30, "deletion scheduled in 30 days"},
		{"as soon as AWS allows", "?deletionDays=7&scope=tenant", fakeaws.Key{}, 7, "deletion scheduled in 7 days"},
		{"imported material", "", fakeaws.Key{Origin: "EXTERNAL"}, 30, "copies may exist"},
		{"multi-region without replicas", "", fakeaws.Key{MultiRegion: true}, 30, "deletion scheduled in 30 days"},
		{"disabled", "", fakeaws.Key{State: fakeaws.Disabled}, 30, "deletion scheduled in 30 days"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.key.Region = region
			p, r := at(f.URL), keyringtest.Ref(t, uri(f.Add(tc.key, ""))+tc.parameters)
			done, err := p.Destroy(t.Context(), r)
			if err != nil || !strings.Contains(done.Method, tc.method) || !near(done.EffectiveAt, inDays(tc.days)) {
				t.Errorf("%+v, error %v; expected %q, effective in %d days", done, err, tc.method, tc.days)
			}
		})
	}
}

// Whoever asked first set the date; asking again moves nothing.
func TestDestroyAgain(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	p := at(f.URL)
	first, err := p.Destroy(t.Context(), keyringtest.Ref(t, uri(arn)+"?deletionDays=7"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Destroy(t.Context(), ref(t, arn))
	if err != nil || !again.EffectiveAt.Equal(first.EffectiveAt) || again.Method != "deletion was scheduled before" {
		t.Errorf("%+v, error %v; expected the date of the first time, %s", again, err, first.EffectiveAt)
	}
	f.Forget(arn)
	gone, err := p.Destroy(t.Context(), ref(t, arn))
	if err != nil || !gone.EffectiveAt.IsZero() || gone.Method == "" {
		t.Errorf("%+v, error %v; expected no date for a key that is gone", gone, err)
	}
}

// Two at once: one schedules, the other is told that the key is not in the state for it, and reports the same date.
func TestDestroySideBySide(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	f.Upset("ScheduleKeyDeletion", fakeaws.Trouble{Code: "KMSInvalidStateException", Message: arn + " is pending deletion."})
	_, err := at(f.URL).Destroy(t.Context(), ref(t, arn))
	keyringtest.Expect(t, err, keyring.Refused)
	f.Change(arn, func(k *fakeaws.Key) { k.SlipsAway = true })
	done, err := at(f.URL).Destroy(t.Context(), ref(t, arn))
	if err != nil || done.Method != "deletion was scheduled before" || !near(done.EffectiveAt, inDays(30)) {
		t.Errorf("%+v, error %v; expected the date the other one set", done, err)
	}
}

// What must not be reported as destruction.
func TestDestroyRefuses(t *testing.T) {
	f := fakeaws.Start(t)
	with := f.Add(fakeaws.Key{Region: region, MultiRegion: true, Replicas: []string{"eu-west-1"}}, "")
	denied := f.Create(region, "")
	for name, tc := range map[string]struct{ uri, say string }{
		"replicas":            {uri(with), "eu-west-1, us-east-1"},
		"alias that is gone":  {"awskms://alias/gone?region=us-east-1", "name the key by its ARN"},
		"no permission":       {uri(denied), "kms:ScheduleKeyDeletion"},
		"an ARN that is none": {"awskms://arn:aws:kms:us-east-1:1:key/x", "expected awskms://"},
	} {
		t.Run(name, func(t *testing.T) {
			f.Upset("ScheduleKeyDeletion", fakeaws.Trouble{Code: "AccessDeniedException", Message: "not authorized to perform: kms:ScheduleKeyDeletion"})
			done, err := at(f.URL).Destroy(t.Context(), keyringtest.Ref(t, tc.uri))
			if kind := keyring.KindOf(err); kind != keyring.Refused && kind != keyring.Unsupported {
				t.Errorf("%+v, error %v; expected a refusal", done, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.say) {
				t.Errorf("%v; expected it to say %q", err, tc.say)
			}
		})
	}
	for _, arn := range []string{with, denied} {
		if info, err := at(f.URL).Describe(t.Context(), ref(t, arn)); err != nil || !info.Enabled {
			t.Errorf("%s: %+v, error %v; expected a key that is as it was", arn, info, err)
		}
	}
}
