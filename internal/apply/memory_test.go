package apply

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func configMapAt(version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "hipaa-config", ResourceVersion: version}}
}

// TestEcho: the cache delivers states of an object after the write of version 10.
func TestEcho(t *testing.T) {
	for _, tc := range []struct {
		name     string
		delivers []string
		echoes   []bool
	}{
		{"its own write", []string{"10"}, []bool{true}},
		{"its own write twice: the second is a resync", []string{"10", "10"}, []bool{true, false}},
		{"an older state, then its own write", []string{"9", "10"}, []bool{true, true}},
		{"an older state by its number, not by its spelling", []string{"2", "10"}, []bool{true, true}},
		{"a newer write of somebody else's", []string{"11"}, []bool{false}},
		{"a newer write by its number, not by its spelling", []string{"100"}, []bool{false}},
		{"a newer write, then one newer still", []string{"11", "12"}, []bool{false, false}},
		{"a newer write makes it forget", []string{"11", "9"}, []bool{false, false}},
		{"a version that is no number is news", []string{"x"}, []bool{false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newWorld(t).applier()
			a.wrote(RefOf(configMapAt("")), configMapAt("10"))
			for i, version := range tc.delivers {
				if got := a.Echo(configMapAt(version)); got != tc.echoes[i] {
					t.Errorf("delivery %d, version %s: Echo = %t, want %t", i, version, got, tc.echoes[i])
				}
			}
		})
	}
}

func TestEchoOfNothingWritten(t *testing.T) {
	a := newWorld(t).applier()
	if a.Echo(configMapAt("10")) {
		t.Error("an object nobody wrote is taken for an echo")
	}
	a.wrote(RefOf(configMapAt("")), configMapAt("10"))
	other := configMapAt("10")
	other.Namespace = "birch"
	if a.Echo(other) {
		t.Error("the object of another namespace is taken for an echo")
	}
}

// TestChanged: what makes no difference to the operator is no news, unless a write of its own got lost.
func TestChanged(t *testing.T) {
	stripped := func(version string, change func(*corev1.ResourceQuota)) *corev1.ResourceQuota {
		q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "hipaa-quota", UID: "u-1", ResourceVersion: version}}
		change(q)
		if _, err := Strip(q); err != nil {
			t.Fatal(err)
		}
		return q
	}
	for name, tc := range map[string]struct {
		version string
		change  func(*corev1.ResourceQuota)
		awaited string // version of a write whose echo is still to come
		want    bool
	}{
		"a new status": {"11", func(q *corev1.ResourceQuota) {
			q.Status.Used = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
		}, "", false},
		"a label of somebody else": {"11", func(q *corev1.ResourceQuota) { q.Labels = map[string]string{"team": "x"} }, "", false},
		"a resync":                 {"10", func(*corev1.ResourceQuota) {}, "", true},
		"another spec": {"11", func(q *corev1.ResourceQuota) {
			q.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
		}, "", true},
		"a label of the operator":   {"11", func(q *corev1.ResourceQuota) { q.Labels = map[string]string{v1alpha1.LabelTenant: "x"} }, "", true},
		"it is another":             {"11", func(q *corev1.ResourceQuota) { q.UID = "u-2" }, "", true},
		"it is being deleted":       {"11", func(q *corev1.ResourceQuota) { q.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }, "", true},
		"the echo of a write":       {"11", func(*corev1.ResourceQuota) {}, "11", false},
		"a write that was undone":   {"12", func(*corev1.ResourceQuota) {}, "11", true},
		"before a write is echoed ": {"11", func(*corev1.ResourceQuota) {}, "12", false},
	} {
		a := newWorld(t).applier()
		before, after := stripped("10", func(*corev1.ResourceQuota) {}), stripped(tc.version, tc.change)
		if tc.awaited != "" {
			a.wrote(RefOf(after), stripped(tc.awaited, func(*corev1.ResourceQuota) {}))
		}
		if got := a.Changed(before, after); got != tc.want {
			t.Errorf("%s: news = %t, want %t", name, got, tc.want)
		}
	}
	whole := configMapAt("10")
	if a := newWorld(t).applier(); !a.Changed(whole, configMapAt("11")) {
		t.Error("what is held whole, as others' objects are, may have changed anywhere")
	}
}

func TestGone(t *testing.T) {
	a := newWorld(t).applier()
	a.wrote(RefOf(configMapAt("")), configMapAt("10"))
	a.Gone(configMapAt("12"))
	if _, remembered := a.memory.recall(RefOf(configMapAt(""))); remembered {
		t.Error("the write of an object that is gone is remembered")
	}
	a.Gone(configMapAt("12")) // nothing to forget is no error
	if a.Echo(configMapAt("10")) {
		t.Error("an object made anew is taken for an echo")
	}
}

// TestMemoryIsForgottenByEcho keeps memory small: nothing of a write stays once the cache has caught up.
func TestMemoryIsForgottenByEcho(t *testing.T) {
	a := newWorld(t).applier()
	for i := range 100 {
		obj := configMapAt("10")
		obj.Namespace = fmt.Sprintf("acme-%d", i)
		a.wrote(RefOf(obj), obj)
		a.Echo(obj)
	}
	if left := len(a.memory.written); left != 0 {
		t.Errorf("%d writes are remembered after their echoes", left)
	}
}

func TestNewer(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"2", "1", true}, {"1", "2", false}, {"1", "1", false}, {"10", "9", true}, {"9", "10", false},
		{"99999999999999999999999", "10", true}, {"", "1", false}, {"1", "", false}, {"x", "1", false}, {"1", "x", false},
	} {
		if got := newer(tc.a, tc.b); got != tc.want {
			t.Errorf("newer(%q, %q) = %t, want %t", tc.a, tc.b, got, tc.want)
		}
	}
}

// TestStanding: what is believed of an object that was written, when the cache lags.
func TestStanding(t *testing.T) {
	ref := refTo("ConfigMap", "hipaa-config")
	live := func() *corev1.ConfigMap {
		obj := configMapAt("")
		obj.Data, obj.UID = map[string]string{"key": "v"}, "uid-live"
		return obj
	}
	for _, tc := range []struct {
		name    string
		stands  bool          // it is in the store, at version 1
		hidden  bool          // and the cache does not show it
		written string        // version of the last write; empty when there was none
		ago     time.Duration // since the last write
		wantUID string        // empty: not found
		asked   bool          // the API server
	}{
		{"nothing known", false, false, "", 0, "", false},
		{"cached, not written", true, false, "", 0, "uid-live", false},
		{"cached, written before", true, false, "1", 0, "uid-live", false},
		{"cached in a state older than the write", true, false, "5", time.Hour, "uid-written", false},
		{"not cached, written just now", false, false, "5", 0, "uid-written", false},
		{"not cached, written long ago, and deleted since", false, false, "5", time.Hour, "", true},
		{"not cached, written long ago, and there", true, true, "1", time.Hour, "uid-live", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			if tc.stands {
				w = newWorld(t, live())
			}
			w.hidden[ref] = tc.hidden
			a := w.applier()
			if tc.written != "" {
				a.memory.remember(ref, standingAt(tc.written, tc.ago))
			}
			s, found, err := a.standing(t.Context(), configMapAt(""))
			if err != nil || string(s.uid) != tc.wantUID || found != (tc.wantUID != "") {
				t.Errorf("standing = uid %q, found %t, %v; want uid %q", s.uid, found, err, tc.wantUID)
			}
			if found && s.uid == "uid-live" && s.digest != Digest(live()) {
				t.Errorf("digest is %q, want that of the live object, %q", s.digest, Digest(live()))
			}
			if (len(w.calls) > 0) != tc.asked {
				t.Errorf("the API server was asked %v, want %t", w.calls, tc.asked)
			}
		})
	}
}

func standingAt(version string, ago time.Duration) standing {
	return standing{uid: "uid-written", version: version, digest: "x", at: time.Now().Add(-ago)}
}

func TestStandingFails(t *testing.T) {
	broken := errors.New("broken")
	for name, line := range map[string]string{
		"the cache":      "cached get ConfigMap acme/hipaa-config",
		"the API server": "get ConfigMap acme/hipaa-config",
	} {
		w := newWorld(t)
		w.fail[line] = broken
		a := w.applier()
		a.memory.remember(refTo("ConfigMap", "hipaa-config"), standingAt("5", time.Hour))
		if _, found, err := a.standing(t.Context(), configMapAt("")); !errors.Is(err, broken) || found {
			t.Errorf("%s fails: found %t, error %v; want the error and nothing found", name, found, err)
		}
	}
}

// TestMemoryIsSafeForConcurrentUse gives the race detector something to look at.
func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	a := newWorld(t).applier()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 200 {
				obj := configMapAt(fmt.Sprint(n + 1))
				obj.Namespace = fmt.Sprintf("acme-%d", (i+n)%4)
				a.wrote(RefOf(obj), obj)
				a.memory.recall(RefOf(obj))
				a.Echo(obj)
				a.Gone(obj)
			}
		})
	}
	group.Wait()
	if left := len(a.memory.written); left != 0 {
		t.Errorf("%d writes are remembered although every object is gone", left)
	}
}
