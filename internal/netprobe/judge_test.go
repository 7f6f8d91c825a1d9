package netprobe

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	four = netip.MustParseAddr("192.0.2.1")
	six  = netip.MustParseAddr("2001:db8::1")
)

const settle = 15 * time.Second

// roundOf is one round: letters of what passed, over IPv4, and after a slash over IPv6.
func roundOf(at time.Duration, passed string) Round {
	r := Round{At: at}
	addresses := []netip.Addr{four, six}
	for i, part := range strings.Split(passed, "/") {
		for letter, kind := range map[string]Kind{"a": Allowed, "i": Ingress, "e": Egress} {
			r.Tries = append(r.Tries, Try{Address: addresses[i], Kind: kind, Passed: strings.Contains(part, letter)})
		}
	}
	slices.SortFunc(r.Tries, func(a, b Try) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return r
}

// TestJudge: rounds three seconds apart, what passed in each, and the answer after the last of them. Before it there is none.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		rounds string
		want   Answer
		done   bool
	}{
		"nothing yet":                              {"", Answer{}, false},
		"two rounds are not enough":                {"a a", Answer{}, false},
		"three as they should be":                  {"a a a", Answer{Result: Enforced}, true},
		"open at first":                            {"aie ae a a a", Answer{Result: Enforced}, true},
		"closed at first":                          {"- - a a a", Answer{Result: Enforced}, true},
		"a relapse begins anew":                    {"a a aie a a a", Answer{Result: Enforced}, true},
		"open, before the rules can be expected":   {"aie aie aie aie", Answer{}, false},
		"open":                                     {"aie aie aie aie aie", Answer{Result: NotEnforced, Directions: []Kind{Ingress, Egress}}, true},
		"open at ingress":                          {"ai ai ai ai ai", Answer{Result: NotEnforced, Directions: []Kind{Ingress}}, true},
		"open at egress":                           {"ae ae ae ae ae", Answer{Result: NotEnforced, Directions: []Kind{Egress}}, true},
		"open for what is forbidden alone":         {"i i i i i", Answer{Result: NotEnforced, Directions: []Kind{Ingress}}, true},
		"closed, before the rules can be expected": {"- - - -", Answer{}, false},
		"closed":                                     {"- - - - -", Answer{Result: Inconclusive, Why: "the connection over IPv4 that policies allow does not go through either"}, true},
		"late rules":                                 {"aie aie aie aie a a a", Answer{Result: Enforced}, true},
		"still changing":                             {"a ai a ai a ai", Answer{}, false},
		"changing for ever: the bad news":            {"a ai a ai a ai a ai a ai", Answer{Result: NotEnforced, Directions: []Kind{Ingress}}, true},
		"allowed now and then":                       {"a - a - a - a - a -", Answer{Result: Inconclusive, Why: "the connection over IPv4 that policies allow does not go through either"}, true},
		"both families":                              {"a/a a/a a/a", Answer{Result: Enforced}, true},
		"IPv6 is open":                               {"a/ae a/ae a/ae a/ae a/ae", Answer{Result: NotEnforced, Directions: []Kind{Egress}}, true},
		"IPv6 does not go through":                   {"a/- a/- a/- a/- a/-", Answer{Result: Inconclusive, Why: "the connection over IPv6 that policies allow does not go through either"}, true},
		"IPv6 is closed, and IPv4 open: bad news":    {"ai/- ai/- ai/- ai/- ai/-", Answer{Result: NotEnforced, Directions: []Kind{Ingress}}, true},
		"different directions in different families": {"ai/ae ai/ae ai/ae ai/ae ai/ae", Answer{Result: NotEnforced, Directions: []Kind{Ingress, Egress}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var rounds []Round
			for i, passed := range strings.Fields(c.rounds) {
				if _, done := Judge(rounds, settle); done {
					t.Fatalf("there is an answer after %d rounds already", len(rounds))
				}
				rounds = append(rounds, roundOf(time.Duration(i+1)*3*time.Second, passed))
			}
			got, done := Judge(rounds, settle)
			if c.done {
				c.want.Rounds = len(rounds)
			}
			if done != c.done {
				t.Fatalf("done is %t, want %t; answer %+v", done, c.done, got)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestJudgeEnds: whatever passes, there is an answer in the third round after twice settle.
func TestJudgeEnds(t *testing.T) {
	all := []string{"-", "a", "i", "e", "ai", "ae", "ie", "aie"}
	for _, one := range all {
		for _, other := range all {
			var rounds []Round
			for i := range 13 {
				rounds = append(rounds, roundOf(time.Duration(i)*3*time.Second, []string{one, other}[i%2]))
			}
			answer, done := Judge(rounds, settle)
			open := strings.ContainsAny(one+other, "ie")
			if !done || (answer.Result == NotEnforced) != open || (answer.Result == Enforced) != (one+other == "aa") {
				t.Errorf("%s and %s in turn: done %t, answer %+v", one, other, done, answer)
			}
		}
	}
}

func TestPortsDiffer(t *testing.T) {
	seen := map[uint16]bool{}
	for _, k := range Kinds() {
		seen[k.Port()] = true
	}
	if len(seen) != 3 || Kinds()[2] != Allowed {
		t.Errorf("ports %v, the last kind %s", seen, Kinds()[2])
	}
}
