package netprobe

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// home is the cluster of the tests.
const home = "u-1"

// Outcomes of runs.
var (
	enforcedAB = Outcome{Result: Enforced, From: "a", To: "b"}
	enforcedBA = Outcome{Result: Enforced, From: "b", To: "a"}
	openAB     = Outcome{Result: NotEnforced, Directions: []Kind{Ingress, Egress}, From: "a", To: "b"}
	ingressAA  = Outcome{Result: NotEnforced, Directions: []Kind{Ingress}, From: "a", To: "a"}
	unclear    = Outcome{Result: Inconclusive, Why: "no image"}
)

// TestHistory: what is said after each run, and how soon the next one comes.
func TestHistory(t *testing.T) {
	type step struct {
		after time.Duration
		o     Outcome
		says  string // part of the message
		next  time.Duration
	}
	const hour = time.Hour
	for name, steps := range map[string][]step{
		"nodes and time of the first run": {
			{0, enforcedAB, "enforces them: a connection that policies allow went through, those they forbid did not (seen first at 2026-11-22T12:00:00Z, from node a to node b)", hour},
			{hour, enforcedBA, "(seen first at 2026-11-22T12:00:00Z, from node a to node b)", hour},
			{hour, enforcedBA, "(seen first at 2026-11-22T12:00:00Z, from node a to node b)", hour},
		},
		"bad news counts at once, good news after it when it is confirmed": {
			{0, enforcedAB, "enforces them", hour},
			{hour, openAB, "does not enforce them: a connection they forbid at ingress and at egress went through 15s after its pod had started (seen first at 2026-11-22T13:00:00Z, from node a to node b)", hour / 10},
			{hour / 10, enforcedAB, "does not enforce them", hour / 10},
			{hour / 10, openAB, "seen first at 2026-11-22T13:00:00Z", hour / 10},
			{hour / 10, enforcedAB, "does not enforce them", hour / 10},
			{hour / 10, unclear, "does not enforce them", hour / 10},
			{hour / 10, enforcedAB, "does not enforce them", hour / 10},
			{hour / 10, enforcedAB, "enforces them: a connection that policies allow went through, those they forbid did not (seen first at 2026-11-22T13:36:00Z", hour},
		},
		"further bad news joins the first": {
			{0, ingressAA, "at ingress went through 15s after its pod had started (seen first at 2026-11-22T12:00:00Z, on node a)", hour / 10},
			{hour / 10, openAB, "at ingress and at egress went through 15s after its pod had started (seen first at 2026-11-22T12:00:00Z, on node a)", hour / 10},
			{hour / 10, ingressAA, "at ingress and at egress went through 15s after its pod had started (seen first at 2026-11-22T12:00:00Z, on node a)", hour / 10},
		},
		"what could not be told changes nothing, for a while": {
			{0, unclear, "is not known: no image", hour / 10},
			{hour / 10, enforcedAB, "seen first at 2026-11-22T12:06:00Z", hour},
			{2 * hour, unclear, "seen first at 2026-11-22T12:06:00Z", hour / 10},
			{hour / 2, unclear, "is not known: no image", hour / 10},
			{hour / 10, enforcedAB, "seen first at 2026-11-22T14:42:00Z", hour},
		},
		"an answer that had ceased to count is a new one": {
			{0, enforcedAB, "seen first at 2026-11-22T12:00:00Z", hour},
			{3 * hour, enforcedAB, "seen first at 2026-11-22T15:00:00Z", hour},
		},
		"bad news does not grow old": {
			{0, openAB, "does not enforce", hour / 10},
			{hour / 10, unclear, "does not enforce", hour / 10},
			{3 * hour, unclear, "does not enforce", hour / 10},
			{1000 * hour, enforcedAB, "does not enforce", hour / 10},
			{1000 * hour, enforcedAB, "enforces them", hour},
		},
		"bad news outlives clocks": {
			{0, openAB, "does not enforce", hour / 10},
			{-2 * hour, unclear, "does not enforce", hour / 10},
			{0, enforcedAB, "does not enforce", hour / 10},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, now := History{Interval: hour}, noon
			for i, s := range steps {
				now = now.Add(s.after)
				verdict, next := h.Take(s.o, nil, now)
				if !strings.Contains(verdict.Message, s.says) || next != s.next {
					t.Errorf("step %d: it says %q and comes again in %s, want %q and %s", i, verdict.Message, next, s.says, s.next)
				}
				state := StateUnknown
				switch {
				case strings.Contains(verdict.Message, "enforces them:"):
					state = StateEnforced
				case strings.Contains(verdict.Message, "does not enforce"):
					state = StateNotEnforced
				}
				if verdict.State != state {
					t.Errorf("step %d: state %s, and it says %q", i, verdict.State, verdict.Message)
				}
			}
		})
	}
}

// TestAnAnswerOutlivesTheProcess: the next one says the same, and asks when the first would have.
func TestAnAnswerOutlivesTheProcess(t *testing.T) {
	for _, c := range []struct {
		o    Outcome
		wait time.Duration
	}{{enforcedAB, 45 * time.Minute}, {openAB, 0}, {ingressAA, 0}} {
		o, h := c.o, History{Interval: time.Hour, ClusterUID: home}
		said, _ := h.Take(o, nil, noon.Add(123*time.Millisecond))
		h.Take(o, nil, noon.Add(30*time.Minute))
		record, ok := ReadRecord(h.Data(unclear, noon.Add(40*time.Minute)), home)
		if !ok {
			t.Fatalf("%+v cannot be read", h.Data(unclear, noon))
		}
		next := History{Interval: time.Hour, ClusterUID: home}
		if wait := next.Recall(record, noon.Add(45*time.Minute)); wait != c.wait {
			t.Errorf("%s: it waits for %s, want %s", o.Result, wait, c.wait)
		}
		if next.Stands == nil || next.Stands.Verdict() != said {
			t.Errorf("it says %+v, want %+v", next.Stands, said)
		}
		if again, _ := next.Take(o, nil, noon.Add(90*time.Minute)); again != said {
			t.Errorf("after a run it says %q, want %q", again.Message, said.Message)
		}
	}
}

// TestWhatIsRecalled: good news that is neither too old nor from the future, bad news always. The next run comes when it would
// have come.
func TestWhatIsRecalled(t *testing.T) {
	for name, c := range map[string]struct {
		result        Result
		interval, age time.Duration
		counts        bool
		wait          time.Duration
	}{
		"fresh":                    {Enforced, time.Hour, 0, true, time.Hour},
		"due":                      {Enforced, time.Hour, time.Hour, true, 0},
		"overdue":                  {Enforced, time.Hour, 149 * time.Minute, true, 0},
		"too old":                  {Enforced, time.Hour, 150 * time.Minute, false, 0},
		"of a clock that is ahead": {Enforced, time.Hour, -30 * time.Second, true, time.Hour},
		"of the future":            {Enforced, time.Hour, -time.Minute, false, 0},
		"of a busy probe":          {Enforced, 10 * time.Second, 4 * time.Minute, true, 0},
		"of a busy probe, too old": {Enforced, 10 * time.Second, 5 * time.Minute, false, 0},
		"bad":                      {NotEnforced, time.Hour, 0, true, 6 * time.Minute},
		"bad, a moment ago":        {NotEnforced, time.Hour, 2 * time.Minute, true, 4 * time.Minute},
		"bad, due":                 {NotEnforced, time.Hour, 6 * time.Minute, true, 0},
		"bad, a year ago":          {NotEnforced, time.Hour, 8760 * time.Hour, true, 0},
		"bad, of the future":       {NotEnforced, time.Hour, -8760 * time.Hour, true, 6 * time.Minute},
		"bad, of a busy probe":     {NotEnforced, 10 * time.Second, 0, true, 10 * time.Second},
	} {
		h := History{Interval: c.interval}
		record := Record{Result: c.result, Since: noon.Add(-9000 * time.Hour), At: noon.Add(-c.age)}
		if wait := h.Recall(record, noon); wait != c.wait || (h.Stands != nil) != c.counts {
			t.Errorf("%s: it counts: %t, wait %s; want %t, %s", name, h.Stands != nil, wait, c.counts, c.wait)
		}
		if c.result == Enforced {
			continue
		}
		if verdict, _ := h.Take(unclear, nil, noon.Add(time.Minute)); verdict.State != StateNotEnforced {
			t.Errorf("%s: a run that can tell nothing has it say %q", name, verdict.Message)
		}
	}
}

// TestRecordsAreReadStrictly: what somebody wrote by hand, or another version, is no answer.
func TestRecordsAreReadStrictly(t *testing.T) {
	h := History{Interval: time.Hour, ClusterUID: home}
	h.Take(openAB, nil, noon)
	good := h.Data(openAB, noon)
	if _, ok := ReadRecord(good, home); !ok {
		t.Fatalf("%v is not read", good)
	}
	for name, edit := range map[string]map[string]string{
		"no result": {keyResult: ""}, "unknown result": {keyResult: "fine"}, "an inconclusive one": {keyResult: string(Inconclusive)},
		"directions of a good one": {keyResult: string(Enforced)}, "no directions of a bad one": {keyDirections: ""},
		"unknown direction": {keyDirections: "allowed"}, "no time": {keyAt: ""}, "no first time": {keySince: "yesterday"},
		"first after last": {keySince: "2026-11-22T13:00:00Z"},
	} {
		data := maps.Clone(good)
		maps.Copy(data, edit)
		if r, ok := ReadRecord(data, home); ok {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
	if _, ok := ReadRecord(nil, home); ok {
		t.Error("nothing is read as something")
	}
}

// TestARecordIsOfACluster: one of another cluster is none, whatever it says. One that does not say of which it is was made by a
// version that did not either: the good is ignored, the bad counts.
func TestARecordIsOfACluster(t *testing.T) {
	for _, o := range []Outcome{enforcedAB, openAB} {
		h := History{Interval: time.Hour, ClusterUID: home}
		h.Take(o, nil, noon)
		data := h.Data(o, noon)
		before := maps.Clone(data)
		delete(before, keyCluster)
		delete(before, keySuspects)
		for name, c := range map[string]struct {
			data    map[string]string
			cluster string
			want    bool
		}{
			"this":    {data, home, true},
			"another": {data, "u-2", false},
			"untold":  {before, home, o.Result == NotEnforced},
		} {
			r, ok := ReadRecord(c.data, c.cluster)
			if ok != c.want {
				t.Errorf("%s, of %s cluster: it is read: %t, want %t", o.Result, name, ok, c.want)
			}
			if ok && o.Result == NotEnforced && (len(r.Suspects) != 1 || r.Suspects[0].Pair != Pair{"a", "b"}) {
				t.Errorf("%s, of %s cluster: suspects %+v", o.Result, name, r.Suspects)
			}
		}
	}
}

// TestData holds for people what the last run said, and not too much of it.
func TestData(t *testing.T) {
	h := History{Interval: time.Hour, ClusterUID: home}
	got := h.Data(Outcome{Result: Inconclusive, To: "b", Why: "w", Detail: strings.Repeat("ä", maxDetail)}, noon)
	want := map[string]string{
		"lastRun": "2026-11-22T12:00:00Z", "lastOutcome": "inconclusive, the target on node b", "lastWhy": "w", "lastDetail": strings.Repeat("ä", maxDetail/2),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBadNewsSaysWhatItMayComeFrom: a plug-in that ignores policies, one that is slow, or a policy that overrides those of the probe.
func TestBadNewsSaysWhatItMayComeFrom(t *testing.T) {
	h := History{Interval: time.Hour}
	verdict, _ := h.Take(openAB, nil, noon)
	for _, want := range []string{"went through 15s after its pod had started (seen first at ", "a network plug-in that enforces NetworkPolicy", "or find the policy of the whole cluster that accepts the connection"} {
		if !strings.Contains(verdict.Message, want) {
			t.Errorf("it says %q, want %q in it", verdict.Message, want)
		}
	}
	if len(verdict.Message) > 700 {
		t.Errorf("it takes %d bytes, and names of nodes may be long", len(verdict.Message))
	}
}
