package netprobe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

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

// Record is an answer that counts, and how long it has been the same. It outlives the process.
type Record struct {
	Result     Result
	Directions []Kind
	// Since is when this answer was first given, and From and To are the nodes of that run.
	Since    time.Time
	From, To string
	// At is when it was given last.
	At time.Time
}

// says that an outcome is the answer of the record.
func (r Record) says(o Outcome) bool {
	return r.Result == o.Result && slices.Equal(r.Directions, o.Directions)
}

// Verdict is what the record says to tenants. Nodes and time are those of the first run, so that it stays the same.
func (r Record) Verdict() Verdict {
	seen := fmt.Sprintf("seen first at %s, from node %s to node %s", r.Since.UTC().Format(time.RFC3339), r.From, r.To)
	if r.From == r.To {
		seen = fmt.Sprintf("seen first at %s, on node %s", r.Since.UTC().Format(time.RFC3339), r.From)
	}
	if r.Result == Enforced {
		return Verdict{StateEnforced, "the network policies stand, and the network plug-in enforces them: a connection that policies allow went through, " +
			"those they forbid did not (" + seen + ")"}
	}
	return Verdict{StateNotEnforced, fmt.Sprintf("the network policies stand, and the network plug-in does not enforce them: a connection they forbid at %s went through (%s); "+
		"install, or turn on, a network plug-in that enforces NetworkPolicy, such as Calico or Cilium; until then tenants are not isolated from each other",
		joined(r.Directions, " and at "), seen)}
}

// History is what is known from one run to the next.
type History struct {
	// Interval between runs.
	Interval time.Duration
	// Stands is the answer that counts; nil when none does.
	Stands *Record

	good int // answers in a row that would end a bad one
}

// Bounds of how soon, and for how long.
const (
	// soonest a run follows another.
	soonest = 10 * time.Second
	// leastHold keeps an answer while runs that are as frequent as can be are repeated.
	leastHold = 5 * time.Minute
	// skew is by how much the clocks of two replicas may differ.
	skew = time.Minute
	// confirmed is how many runs in a row have to say that policies are enforced after one has said that they are not: a
	// plug-in may be broken on some of the nodes only.
	confirmed = 2
)

// hold is how long good news counts without another answer.
func (h *History) hold() time.Duration { return max(h.Interval*5/2, leastHold) }

// retry is how soon to ask again when there is something to wait for.
func (h *History) retry() time.Duration { return min(h.Interval, max(h.Interval/10, soonest)) }

// holds says that the answer that stands still counts. Bad news does until good news ends it: that nobody can look any more
// mends nothing, and tenants would be called isolated for it. Good news grows old, and none from the future counts: nobody would
// notice when it is old.
func (h *History) holds(now time.Time) bool {
	if h.Stands == nil {
		return false
	}
	if h.Stands.Result == NotEnforced {
		return true
	}
	age := now.Sub(h.Stands.At)
	return age > -skew && age < h.hold()
}

// Recall takes an answer from before this process. It says for how long none needs to be asked for; zero when it does not
// count any more.
func (h *History) Recall(r Record, now time.Time) time.Duration {
	h.Stands = &r
	if !h.holds(now) {
		h.Stands = nil
		return 0
	}
	wait := h.Interval
	if r.Result == NotEnforced {
		wait = h.retry()
	}
	return min(wait, max(0, r.At.Add(wait).Sub(now)))
}

// Take takes the outcome of a run. It returns what is said from now on, and how soon to run again. Bad news counts at once.
func (h *History) Take(o Outcome, now time.Time) (Verdict, time.Duration) {
	h.good++
	if o.Result != Enforced {
		h.good = 0
	}
	if !h.holds(now) {
		h.Stands = nil
	}
	switch {
	case o.Result == Inconclusive && h.Stands == nil:
		return Verdict{StateUnknown, "the network policies stand; whether the network plug-in enforces them is not known: " + o.Why}, h.retry()
	case o.Result == Inconclusive || h.doubts(o):
		return h.Stands.Verdict(), h.retry()
	case h.Stands != nil && h.Stands.says(o):
		h.Stands.At = now
	default:
		h.Stands = &Record{Result: o.Result, Directions: o.Directions, Since: now.UTC().Truncate(time.Second), From: o.From, To: o.To, At: now}
	}
	if o.Result == NotEnforced {
		return h.Stands.Verdict(), h.retry()
	}
	return h.Stands.Verdict(), h.Interval
}

// doubts says that good news after bad has to be confirmed.
func (h *History) doubts(o Outcome) bool {
	return h.Stands != nil && h.Stands.Result == NotEnforced && o.Result == Enforced && h.good < confirmed
}

// Keys of a stored record.
const (
	keyResult, keyDirections, keySince, keyFrom, keyTo, keyAt = "result", "directions", "since", "firstFrom", "firstTo", "at"
	keyTried, keyOutcome, keyWhy, keyDetail                   = "lastRun", "lastOutcome", "lastWhy", "lastDetail"
)

// maxDetail keeps what others said to a size that people read.
const maxDetail = 1024

// Data is what is stored: the answer that counts, and for people the last run.
func (h *History) Data(o Outcome, now time.Time) map[string]string {
	data := map[string]string{keyTried: now.UTC().Format(time.RFC3339), keyOutcome: string(o.Result)}
	switch {
	case o.From != "":
		data[keyOutcome] += fmt.Sprintf(", from node %s to node %s", o.From, o.To)
	case o.To != "":
		data[keyOutcome] += fmt.Sprintf(", the target on node %s", o.To)
	}
	if o.Why != "" {
		data[keyWhy] = o.Why
	}
	if o.Detail != "" {
		data[keyDetail] = strings.ToValidUTF8(o.Detail[:min(len(o.Detail), maxDetail)], "")
	}
	if r := h.Stands; r != nil {
		data[keyResult], data[keyDirections] = string(r.Result), joined(r.Directions, ",")
		data[keySince], data[keyAt] = r.Since.UTC().Format(time.RFC3339), r.At.UTC().Format(time.RFC3339)
		data[keyFrom], data[keyTo] = r.From, r.To
	}
	return data
}

// ReadRecord reads what Data made. It says whether there is an answer that can be read.
func ReadRecord(data map[string]string) (Record, bool) {
	r := Record{Result: Result(data[keyResult]), From: data[keyFrom], To: data[keyTo]}
	for d := range strings.SplitSeq(data[keyDirections], ",") {
		if d != "" {
			r.Directions = append(r.Directions, Kind(d))
		}
	}
	var errSince, errAt error
	r.Since, errSince = time.Parse(time.RFC3339, data[keySince])
	r.At, errAt = time.Parse(time.RFC3339, data[keyAt])
	known := !slices.ContainsFunc(r.Directions, func(k Kind) bool { return k != Ingress && k != Egress })
	complete := r.Result == Enforced && len(r.Directions) == 0 || r.Result == NotEnforced && len(r.Directions) > 0
	return r, known && complete && errSince == nil && errAt == nil && !r.Since.After(r.At)
}

func joined(kinds []Kind, by string) string {
	text := make([]string, len(kinds))
	for i, k := range kinds {
		text[i] = string(k)
	}
	return strings.Join(text, by)
}
