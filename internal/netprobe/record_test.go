package netprobe

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ran(result Result, from, to string) Outcome {
	o := Outcome{Result: result, From: from, To: to}
	if result == NotEnforced {
		o.Directions = []Kind{Egress}
	}
	return o
}

// TestBadNewsEndsWhereItWasSeen: only good runs between the same nodes end it, or others when one of the nodes is gone; and what
// happens on one node says nothing of what happens between two.
func TestBadNewsEndsWhereItWasSeen(t *testing.T) {
	const good, bad = Enforced, NotEnforced
	for name, c := range map[string]struct {
		runs   []Outcome
		gone   []string // before the last two runs
		state  State
		wanted Pair // of the next run
	}{
		"there":                             {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "b"), ran(good, "a", "b")}, nil, StateEnforced, Pair{}},
		"elsewhere":                         {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "c"), ran(good, "c", "b")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"the other way":                     {[]Outcome{ran(bad, "a", "b"), ran(good, "b", "a"), ran(good, "b", "a")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"on one node elsewhere":             {[]Outcome{ran(bad, "a", "b"), ran(good, "c", "c"), ran(good, "c", "c")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"on one of its nodes":               {[]Outcome{ran(bad, "a", "b"), ran(good, "b", "b"), ran(good, "b", "b")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"between, after on one":             {[]Outcome{ran(bad, "b", "b"), ran(good, "a", "b"), ran(good, "a", "b")}, nil, StateNotEnforced, Pair{"b", "b"}},
		"once there, once elsewhere":        {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "b"), ran(good, "a", "c")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"there, with one elsewhere between": {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "b"), ran(good, "a", "c"), ran(good, "a", "b")}, nil, StateEnforced, Pair{}},
		"there, with a bad one elsewhere between": {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "b"), ran(bad, "c", "d"), ran(good, "a", "b")}, nil,
			StateNotEnforced, Pair{"a", "b"}},
		"at the first of two": {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "d"), ran(good, "a", "b"), ran(good, "a", "b")}, nil, StateNotEnforced, Pair{"c", "d"}},
		"at the last of two":  {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "d"), ran(good, "c", "d"), ran(good, "c", "d")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"at both": {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "d"), ran(good, "a", "b"), ran(good, "a", "b"), ran(good, "c", "d"), ran(good, "c", "d")}, nil,
			StateEnforced, Pair{}},
		"its client's node is gone": {[]Outcome{ran(bad, "a", "b"), ran(good, "c", "b"), ran(good, "d", "c")}, []string{"a"}, StateEnforced, Pair{}},
		"its target's node is gone": {[]Outcome{ran(bad, "a", "b"), ran(good, "c", "d"), ran(good, "c", "d")}, []string{"b"}, StateEnforced, Pair{}},
		"another node is gone":      {[]Outcome{ran(bad, "a", "b"), ran(good, "c", "d"), ran(good, "c", "d")}, []string{"e"}, StateNotEnforced, Pair{"a", "b"}},
		"gone, and one good run is not enough": {[]Outcome{ran(bad, "a", "b"), ran(bad, "a", "b"), ran(good, "c", "d")}, []string{"b"},
			StateNotEnforced, Pair{}},
		"gone, and on one node":                     {[]Outcome{ran(bad, "a", "b"), ran(good, "c", "c"), ran(good, "c", "c")}, []string{"b"}, StateNotEnforced, Pair{}},
		"the only node is gone":                     {[]Outcome{ran(bad, "a", "a"), ran(good, "c", "c"), ran(good, "c", "c")}, []string{"a"}, StateEnforced, Pair{}},
		"one of two pairs is gone":                  {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "d"), ran(good, "e", "f"), ran(good, "e", "f")}, []string{"a"}, StateNotEnforced, Pair{"c", "d"}},
		"a bad run elsewhere stands for a pair":     {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "d"), ran(good, "c", "d")}, []string{"b"}, StateNotEnforced, Pair{"c", "d"}},
		"a bad run on one node does not for two":    {[]Outcome{ran(bad, "a", "b"), ran(bad, "c", "c"), ran(good, "c", "c"), ran(good, "c", "c")}, []string{"b"}, StateNotEnforced, Pair{}},
		"nothing could be told between":             {[]Outcome{ran(bad, "a", "b"), ran(good, "a", "b"), unclear, ran(good, "a", "b")}, nil, StateNotEnforced, Pair{"a", "b"}},
		"nothing could be told, and a node is gone": {[]Outcome{ran(bad, "a", "b"), unclear, unclear, unclear}, []string{"b"}, StateNotEnforced, Pair{}},
	} {
		t.Run(name, func(t *testing.T) {
			h, verdict, gone := History{Interval: time.Hour, ClusterUID: home}, Verdict{}, []string(nil)
			for i, o := range c.runs {
				if i >= len(c.runs)-2 {
					gone = c.gone
				}
				verdict, _ = h.Take(o, gone, noon.Add(time.Duration(i)*6*time.Minute))
			}
			if verdict.State != c.state {
				t.Errorf("it says %q, want %s; %+v", verdict.Message, c.state, h.Stands)
			}
			if got := h.Wanted(gone); got != c.wanted {
				t.Errorf("the next run is wanted between %+v, want %+v", got, c.wanted)
			}
		})
	}
}

// walk is a history that anything happens to, and what it should say according to the log of all runs.
type walk struct {
	*rand.Rand
	h    History
	now  time.Time
	gone []string
	log  []entry
	// since is where in the log bad news began to stand; none does when it is negative.
	since    int
	messages []string // of the bad news that stands
}

type entry struct {
	Outcome
	gone []string
}

// cleared says that good runs in a row, enough of them, told of a pair since it was bad last.
func (w *walk) cleared(p Pair) bool {
	good, cleared := 0, false
	for _, e := range w.log[w.since:] {
		switch {
		case e.Result == NotEnforced && p == Pair{e.From, e.To}:
			good, cleared = 0, false
		case e.Result != Enforced:
			good = 0
		case p == Pair{e.From, e.To},
			(slices.Contains(e.gone, p.From) || slices.Contains(e.gone, p.To)) && (p.From == p.To || e.From != e.To):
			good++
		}
		cleared = cleared || good >= 2
	}
	return cleared
}

// bad says that bad news has to stand.
func (w *walk) bad() bool {
	return w.since >= 0 && slices.ContainsFunc(w.log[w.since:], func(e entry) bool {
		return e.Result == NotEnforced && !w.cleared(Pair{e.From, e.To})
	})
}

// step takes one run somewhere on nodes that are there, some time after the last. Now and then the process is another one, which
// knows what is stored, or a node goes.
func (w *walk) step(t *testing.T) {
	t.Helper()
	var there []string
	for _, n := range []string{"a", "b", "c"} {
		if !slices.Contains(w.gone, n) {
			there = append(there, n)
		}
	}
	if len(there) > 1 && w.IntN(60) == 0 {
		w.gone = append(slices.Clone(w.gone), there[w.IntN(len(there))])
		return
	}
	o := []Outcome{{Result: Enforced}, {Result: Enforced}, {Result: Enforced}, {Result: NotEnforced}, {Result: Inconclusive, Why: "w"}}[w.IntN(5)]
	if o.Result != Inconclusive {
		o.From, o.To = there[w.IntN(len(there))], there[w.IntN(len(there))]
	}
	if wanted := w.h.Wanted(w.gone); o.Result == Enforced && wanted != (Pair{}) && w.IntN(2) == 0 {
		o.From, o.To = wanted.From, wanted.To
	}
	if o.Result == NotEnforced {
		o.Directions = [][]Kind{{Ingress}, {Egress}, {Ingress, Egress}}[w.IntN(3)]
	}
	w.now = w.now.Add(time.Duration(w.IntN(300)-10) * time.Minute)
	verdict, next := w.h.Take(o, w.gone, w.now)
	w.log = append(w.log, entry{o, w.gone})
	if o.Result == NotEnforced && w.since < 0 {
		w.since, w.messages = len(w.log)-1, nil
	}
	if bad := w.bad(); (verdict.State == StateNotEnforced) != bad {
		t.Fatalf("it says %q, and bad news has to stand: %t; after %+v, with %+v", verdict.Message, bad, w.log[max(0, w.since):], w.h.Stands)
	} else if !bad {
		w.since = -1
		return
	}
	if next != w.h.Retry() {
		t.Fatalf("while bad news stands the next run comes in %s", next)
	}
	if w.messages = append(w.messages, verdict.Message); len(slices.Compact(slices.Clone(w.messages))) > 2 {
		t.Fatalf("bad news is put in more than two ways: %q", w.messages)
	}
	if w.IntN(5) == 0 {
		w.restart(t)
	}
}

// restart is another process. It knows what is stored, and no more.
func (w *walk) restart(t *testing.T) {
	t.Helper()
	data, said := w.h.Data(unclear, w.now), w.h.Stands.Verdict()
	record, ok := ReadRecord(data, home)
	if !ok {
		t.Fatalf("%v cannot be read", data)
	}
	w.h = History{Interval: time.Hour, ClusterUID: home}
	w.now = w.now.Add(time.Duration(w.IntN(10000)-10) * time.Minute)
	if w.h.Recall(record, w.now); w.h.Stands == nil || w.h.Stands.Verdict() != said {
		t.Fatalf("%v is recalled as %+v, and it was %q", data, w.h.Stands, said.Message)
	}
}

// TestWhateverHappens: bad news stands from the first bad run until enough good ones told of every pair of nodes it was seen on, is
// put in two ways at most, and outlives the process.
func TestWhateverHappens(t *testing.T) {
	ended := 0
	for seed := range uint64(300) {
		w := &walk{Rand: rand.New(rand.NewPCG(seed, 1)), h: History{Interval: time.Hour, ClusterUID: home}, now: noon, since: -1}
		stood := false
		for range 100 {
			w.step(t)
			if stood && w.since < 0 {
				ended++
			}
			stood = w.since >= 0
		}
	}
	if ended < 300 {
		t.Errorf("bad news ended %d times only: the walk shows little", ended)
	}
}

// TestSuspectsAreFew: where every run is bad and none where it is wanted, the record stays small, and keeps the first.
func TestSuspectsAreFew(t *testing.T) {
	h, long := History{Interval: time.Hour, ClusterUID: home}, strings.Repeat("n", 240)
	for i := range 1000 {
		h.Take(ran(NotEnforced, fmt.Sprint(long, i), fmt.Sprint(long, i+1)), nil, noon.Add(time.Duration(i)*time.Minute))
	}
	size := 0
	for k, v := range h.Data(unclear, noon) {
		size += len(k) + len(v)
	}
	if n := len(h.Suspects()); n != mostSuspects || h.Suspects()[0].From != long+"0" || size > 8<<10 {
		t.Errorf("%d suspects, %d bytes", n, size)
	}
}

// TestNodesThatComeAndGo fill no record: the last pair that was seen open has to be good, however many are gone.
func TestNodesThatComeAndGo(t *testing.T) {
	h, gone := History{Interval: time.Hour}, []string(nil)
	for i := range 3 * mostSuspects {
		from, to := fmt.Sprint("from-", i), fmt.Sprint("to-", i)
		h.Take(ran(NotEnforced, from, to), gone, noon)
		if last := (Pair{from, to}); h.Wanted(gone) != last || len(h.Suspects()) != 1 {
			t.Fatalf("after %d pairs %+v is wanted of %+v, want %+v", i, h.Wanted(gone), h.Suspects(), last)
		}
		gone = append(gone, to)
	}
}

// TestWhatWasSeenSinceIsNotBettered by good news from before this process that could not be read until now.
func TestWhatWasSeenSinceIsNotBettered(t *testing.T) {
	h := History{Interval: time.Hour}
	said, _ := h.Take(openAB, nil, noon)
	if wait := h.Recall(Record{Result: Enforced, Since: noon, At: noon}, noon); wait != 6*time.Minute || h.Stands.Verdict() != said {
		t.Errorf("it waits for %s, and says %q", wait, h.Stands.Verdict().Message)
	}
}

// TestSuspectsOutliveTheProcess, with the good runs there were; those of a version that did not keep them are the nodes of the first run.
func TestSuspectsOutliveTheProcess(t *testing.T) {
	h := History{Interval: time.Hour, ClusterUID: home}
	h.Take(ran(NotEnforced, "a", "b"), nil, noon)
	h.Take(ran(NotEnforced, "c", "d"), nil, noon)
	h.Take(ran(Enforced, "c", "d"), nil, noon)
	data := h.Data(unclear, noon)
	if want := `[{"from":"a","to":"b","good":0},{"from":"c","to":"d","good":1}]`; data[keySuspects] != want {
		t.Errorf("stored as %s, want %s", data[keySuspects], want)
	}
	first := []Suspect{{Pair: Pair{"a", "b"}}}
	many, err := json.Marshal(slices.Repeat(first, mostSuspects+1))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]Suspect{
		data[keySuspects]: {{Pair: Pair{"a", "b"}}, {Pair: Pair{"c", "d"}, Good: 1}},
		"":                first, "[]": first, "null": first, "{": first, string(many): first,
		`[{"from":"c","to":"d","good":2}]`: first, `[{"from":"c","to":"d","good":-1}]`: first, `[{"from":"c"}]`: first, `[{"to":"c"}]`: first,
	} {
		edited := maps.Clone(data)
		edited[keySuspects] = text
		record, ok := ReadRecord(edited, home)
		if diff := cmp.Diff(want, record.Suspects); diff != "" || !ok {
			t.Errorf("%q is read: %t (-want +got):\n%s", text, ok, diff)
		}
	}
}

// TestReasonsThatAlternate are not told in turn; another one is, once it is given twice.
func TestReasonsThatAlternate(t *testing.T) {
	h := History{Interval: time.Hour, ClusterUID: home}
	for i, step := range []struct{ why, says string }{
		{"x", "x"}, {"y", "x"}, {"x", "x"}, {"y", "x"}, {"z", "x"}, {"y", "x"}, {"y", "y"}, {"x", "y"}, {"y", "y"}, {"x", "y"}, {"x", "x"}, {"", ""}, {"y", "y"},
	} {
		o := Outcome{Result: Inconclusive, Why: step.why}
		if step.why == "" {
			o = enforcedAB
		}
		verdict, _ := h.Take(o, nil, noon.Add(time.Duration(i)*24*time.Hour))
		if h.Why() != step.says || step.says != "" && !strings.HasSuffix(verdict.Message, "is not known: "+step.says) {
			t.Errorf("step %d: it says %q and %q, want %q", i, h.Why(), verdict.Message, step.says)
		}
	}
}
