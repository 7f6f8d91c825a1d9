// Package netprobe judges whether the network plug-in enforces NetworkPolicy. It is pure: package wire makes the connections,
// and the loop in controllers starts the two pods that do.
package netprobe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Kind of connection that is tried.
type Kind string

// Kinds.
const (
	// Allowed is let through by both sides' policies.
	Allowed Kind = "allowed"
	// Ingress is forbidden by the target's policies alone.
	Ingress Kind = "ingress"
	// Egress is forbidden by the client's policies alone.
	Egress Kind = "egress"
)

// Kinds are all kinds, the one that is allowed last: a target listens for it once it listens for the others.
func Kinds() []Kind { return []Kind{Ingress, Egress, Allowed} }

// Port the target listens on for a kind. Each kind has one of its own, because policies tell connections apart by it.
func (k Kind) Port() uint16 {
	switch k {
	case Ingress:
		return 8472
	case Egress:
		return 8473
	}
	return 8471
}

// Try is one connection, and whether it reached the target.
type Try struct {
	Address netip.Addr
	Kind    Kind
	Passed  bool
}

// Round is one try of every kind to every address.
type Round struct {
	// At is when the round ended, counted from the start of the first one.
	At    time.Duration
	Tries []Try
}

// Result of a probe. The words are those of the metric hipaatenant_network_probe_runs_total.
type Result string

// Results.
const (
	// Enforced: what policies allow went through, and what they forbid did not.
	Enforced Result = "enforced"
	// NotEnforced: something that policies forbid went through.
	NotEnforced Result = "not_enforced"
	// Inconclusive: nothing can be told.
	Inconclusive Result = "inconclusive"
)

// Answer of the client, as it stands in its termination message.
type Answer struct {
	// Run the answer is of.
	Run    string `json:"run"`
	Result Result `json:"result"`
	// Directions that are not enforced: ingress, egress, or both.
	Directions []Kind `json:"directions,omitempty"`
	// Why nothing can be told.
	Why string `json:"why,omitempty"`
	// Rounds that were made.
	Rounds int `json:"rounds"`
}

// inARow is how many rounds have to agree. Network plug-ins program their rules a moment after a pod has started, some of them
// open until then and some closed.
const inARow = 3

// Settle is how long after a pod's start a network plug-in may take until its rules stand.
const Settle = 15 * time.Second

// Judge says what the rounds show, and whether that is all there is to wait for. Until settle has passed only the good end is
// believed: everything is as it should be, several rounds in a row.
func Judge(rounds []Round, settle time.Duration) (Answer, bool) {
	if len(rounds) < inARow {
		return Answer{}, false
	}
	last, now := rounds[len(rounds)-inARow:], rounds[len(rounds)-1].At
	open, shut := always(last, forbiddenPassed), always(last, allowedFailed)
	ever, lost := some(last, forbiddenPassed), some(last, allowedFailed)
	answer := Answer{Rounds: len(rounds)}
	switch {
	case len(ever) == 0 && len(lost) == 0:
		answer.Result = Enforced
		return answer, true
	case now < settle:
		return Answer{}, false
	case len(open) == 0 && len(shut) == 0 && now < 2*settle:
		return Answer{}, false // it still changes
	case len(ever) > 0:
		answer.Result, answer.Directions = NotEnforced, directions(ever)
	default:
		answer.Result, answer.Why = Inconclusive, fmt.Sprintf("the connection over %s that policies allow does not go through either", families(lost))
	}
	return answer, true
}

func forbiddenPassed(t Try) bool { return t.Kind != Allowed && t.Passed }
func allowedFailed(t Try) bool   { return t.Kind == Allowed && !t.Passed }

// some are the tries of which it is so in at least one of the rounds.
func some(rounds []Round, so func(Try) bool) []Try {
	var found []Try
	for _, r := range rounds {
		for _, t := range r.Tries {
			if so(t) && !slices.Contains(found, t) {
				found = append(found, t)
			}
		}
	}
	return found
}

// always are those of which it is so in every round.
func always(rounds []Round, so func(Try) bool) []Try {
	return slices.DeleteFunc(some(rounds, so), func(t Try) bool {
		return slices.ContainsFunc(rounds, func(r Round) bool { return !slices.Contains(r.Tries, t) })
	})
}

// directions of the tries, ingress first.
func directions(tries []Try) []Kind {
	return slices.DeleteFunc([]Kind{Ingress, Egress}, func(k Kind) bool {
		return !slices.ContainsFunc(tries, func(t Try) bool { return t.Kind == k })
	})
}

// families of the tries' addresses.
func families(tries []Try) string {
	var names []string
	for _, t := range tries {
		name := "IPv6"
		if t.Address.Unmap().Is4() {
			name = "IPv4"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}
