// Package oracle puts random tenants through compile, lets a network policy engine that is not the project's judge random
// packets by the policies that come out, and compares every verdict with the rules in plain words.
//
//	go test . -rapid.seed=7 -rapid.checks=100000     another seed, longer
//	go test . -fuzz=FuzzPolicies                     for as long as you like
package oracle

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

const packetsPerWorld = 60

// TestMain fixes the seed and the number of worlds, unless flags say otherwise.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "2026", "rapid.checks": "2000", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

// tally counts verdicts by kind of packet.
type tally struct {
	packets, differences int
	allowed, denied      map[string]int
	// closed once a difference is found: the worlds that follow are smaller and smaller copies of that one.
	closed bool
}

func TestPoliciesDoWhatTheRulesSay(t *testing.T) {
	seen := &tally{allowed: map[string]int{}, denied: map[string]int{}}
	t.Cleanup(func() {
		report.Line("oracle: packets=%d differences=%d", seen.packets, seen.differences)
	})
	defer func() { t.Logf("seed %s\n%s", flag.Lookup("rapid.seed").Value, seen) }()
	engine := newJudge()
	rapid.Check(t, func(t *rapid.T) { engine.check(t, seen) })
	if seen.packets < 100_000 {
		t.Errorf("only %d packets were judged", seen.packets)
	}
	seen.covers(t)
}

// FuzzPolicies looks for differences with the fuzzer's inputs.
func FuzzPolicies(f *testing.F) {
	engine := newJudge()
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		engine.check(t, &tally{allowed: map[string]int{}, denied: map[string]int{}})
	}))
}

// check compares all verdicts in one world.
func (j *judge) check(t *rapid.T, seen *tally) {
	w := worlds().Draw(t, "world")
	c, err := settle(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.enter(c); err != nil {
		t.Fatal(err)
	}
	var difference string
	for _, p := range packets(w, packetsPerWorld).Draw(t, "world with") {
		got, err := j.allows(p)
		if err != nil {
			t.Fatal(err)
		}
		want := w.mayTalk(p)
		seen.add(p, got, got != want.Allowed)
		if got != want.Allowed && difference == "" {
			difference = fmt.Sprintf("%s\nthe rules say allowed: %t, because %s\nthe policies say allowed: %t, because of\n%s", w.describe(p), want.Allowed, want.Why, got, c.policiesAt(p))
		}
	}
	if difference != "" {
		seen.closed = true
		t.Log(difference)
		t.Fatal("the policies do not do what the rules say") // the same text for each: shrinking keeps to one error
	}
}

func (s *tally) add(p Packet, allowed, different bool) {
	if s.closed {
		return
	}
	s.packets++
	if different {
		s.differences++
	}
	if allowed {
		s.allowed[p.Kind]++
	} else {
		s.denied[p.Kind]++
	}
}

func (s *tally) String() string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "%-35s allowed %6d  denied %6d\n", k.name, s.allowed[k.name], s.denied[k.name])
	}
	return b.String()
}

// covers fails for every kind of packets that proves nothing, or what it must not.
func (s *tally) covers(t *testing.T) {
	for _, k := range kinds {
		k.covered(t, "allowed", k.allowed, s.allowed[k.name])
		k.covered(t, "denied", k.denied, s.denied[k.name])
	}
}

func (k kind) covered(t *testing.T, what string, want share, got int) {
	if want == some && got == 0 {
		t.Errorf("no packet %q was %s: the generator no longer makes what this test is for", k.name, what)
	}
	if want == none && got > 0 {
		t.Errorf("%d packets %q were %s, want none", got, k.name, what)
	}
}
