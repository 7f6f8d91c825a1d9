package netprobe

import "time"

// State of the enforcement of network policies. The words are those of the metric hipaatenant_network_probe.
type State string

// States.
const (
	// StateEnforced: the network plug-in was seen to enforce policies.
	StateEnforced State = "enforced"
	// StateNotEnforced: it was seen not to.
	StateNotEnforced State = "not_enforced"
	// StateUnknown: nobody looked, or nothing could be told.
	StateUnknown State = "unknown"
)

// States are all states.
func States() []State { return []State{StateEnforced, StateNotEnforced, StateUnknown} }

// Verdict on the network plug-in. It is the same from one probe to the next while nothing changed: it stands in the status of
// every tenant.
type Verdict struct {
	State State
	// Message for people.
	Message string
}

// Unprobed is the verdict where nobody looks.
func Unprobed() Verdict {
	return Verdict{StateUnknown, "the network policies stand; whether the network plug-in enforces them has not been probed"}
}

// Outcome of one run of the probe.
type Outcome struct {
	Result     Result
	Directions []Kind
	// From and To are the nodes of the client and of the target.
	From, To string
	// Why nothing could be told: one of few texts, the same from one run to the next.
	Why string
	// Detail is what was said by whoever is in the way. It may differ each time.
	Detail string
}

// History is what is known from one run to the next.
type History struct {
	// Interval between runs.
	Interval time.Duration
	// ClusterUID is the UID of namespace kube-system; stored answers are bound to it.
	ClusterUID string
	// Stands is the answer that counts; nil when none does.
	Stands *Record

	unclear cause
}

// Bounds of how soon, and for how long.
const (
	// soonest a run follows another.
	soonest = 10 * time.Second
	// leastHold keeps an answer while runs that are as frequent as can be are repeated.
	leastHold = 5 * time.Minute
	// skew is by how much the clocks of two replicas may differ.
	skew = time.Minute
	// confirmed is how many runs in a row, between the same nodes, have to say that policies are enforced after one has said that
	// they are not.
	confirmed = 2
)

// hold is how long good news counts without another answer.
func (h *History) hold() time.Duration { return max(h.Interval*5/2, leastHold) }

// Retry is how soon to ask again when there is something to wait for.
func (h *History) Retry() time.Duration { return min(h.Interval, max(h.Interval/10, soonest)) }

// holds says that the answer that stands still counts. Bad news does until good news ends it: that nobody can look any more
// mends nothing, and tenants would be called isolated for it. Good news grows old, and none from the future counts: nobody would
// notice when it is old.
func (h *History) holds(now time.Time) bool {
	if h.Stands == nil {
		return false
	}
	if h.bad() {
		return true
	}
	age := now.Sub(h.Stands.At)
	return age > -skew && age < h.hold()
}

// bad says that bad news stands.
func (h *History) bad() bool { return h.Stands != nil && h.Stands.Result == NotEnforced }

// Suspects are the pairs of nodes that have to be seen to enforce policies before bad news ends.
func (h *History) Suspects() []Pair {
	var pairs []Pair
	if h.bad() {
		for _, s := range h.Stands.Suspects {
			pairs = append(pairs, s.Pair)
		}
	}
	return pairs
}

// Wanted is the pair of nodes that the next run is to be between; empty where any will do.
func (h *History) Wanted(gone []string) Pair {
	for _, p := range h.Suspects() {
		if !p.gone(gone) {
			return p
		}
	}
	return Pair{}
}

// Recall takes an answer from before this process. It says for how long none needs to be asked for; zero when it does not
// count any more. What this process saw itself since is not bettered by it.
func (h *History) Recall(r Record, now time.Time) time.Duration {
	if !h.bad() {
		h.Stands = &r
	}
	if !h.holds(now) {
		h.Stands = nil
		return 0
	}
	wait := h.Interval
	if h.bad() {
		wait = h.Retry()
	}
	return min(wait, max(0, h.Stands.At.Add(wait).Sub(now)))
}

// Take takes the outcome of a run, and which nodes are gone. It returns what is said from now on, and how soon to run again. Bad
// news counts at once.
func (h *History) Take(o Outcome, gone []string, now time.Time) (Verdict, time.Duration) {
	if !h.holds(now) {
		h.Stands = nil
	}
	h.unclear.take(o)
	switch o.Result {
	case Enforced:
		h.takeGood(o, gone, now)
	case NotEnforced:
		h.takeBad(o, gone, now)
	case Inconclusive:
		if h.bad() {
			h.Stands.beginAnew()
		}
	}
	switch {
	case h.Stands == nil:
		return Verdict{StateUnknown, "the network policies stand; whether the network plug-in enforces them is not known: " + h.unclear.said}, h.Retry()
	case o.Result == Enforced && !h.bad():
		return h.Stands.Verdict(), h.Interval
	}
	return h.Stands.Verdict(), h.Retry()
}

func (h *History) takeGood(o Outcome, gone []string, now time.Time) {
	switch {
	case h.bad() && !h.Stands.clear(o, gone):
	case h.Stands == nil || h.bad():
		h.Stands = began(o, now)
	default:
		h.Stands.At = now
	}
}

func (h *History) takeBad(o Outcome, gone []string, now time.Time) {
	if h.bad() {
		h.Stands.worsen(o, gone, now)
		return
	}
	h.Stands = began(o, now)
	h.Stands.Suspects = []Suspect{{Pair: Pair{o.From, o.To}}}
}

// began is the record of an answer that is another than before.
func began(o Outcome, now time.Time) *Record {
	return &Record{Result: o.Result, Directions: o.Directions, Since: now.UTC().Truncate(time.Second), From: o.From, To: o.To, At: now}
}

// Why nothing can be told, as it is said; empty when the last run told something.
func (h *History) Why() string { return h.unclear.said }

// cause is why nothing can be told. Another one is said when two runs in a row give it: two that alternate would have the status
// of every tenant written after every run.
type cause struct{ said, newer string }

func (c *cause) take(o Outcome) {
	switch {
	case o.Result != Inconclusive:
		*c = cause{}
	case c.said == "" || o.Why == c.newer:
		*c = cause{said: o.Why}
	case o.Why == c.said:
		c.newer = ""
	default:
		c.newer = o.Why
	}
}
