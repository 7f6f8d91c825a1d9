package netprobe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Record is an answer that counts, and how long it has been the same. It outlives the process.
type Record struct {
	Result Result
	// Directions that were seen open since bad news stands.
	Directions []Kind
	// Since is when this answer was first given, and From and To are the nodes of that run.
	Since    time.Time
	From, To string
	// At is when it was given last.
	At time.Time
	// Suspects have to be seen to enforce policies before bad news ends.
	Suspects []Suspect
}

// Pair is the nodes of a client and of a target.
type Pair struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Suspect is a pair between which a forbidden connection went through, and how many good runs in a row there were since.
type Suspect struct {
	Pair
	Good int `json:"good"`
}

// mostSuspects keeps the record small. There are more than one only where the next run could not be on the nodes of the last.
const mostSuspects = 10

// gone says that one of the pair's nodes is no more, so that no run will be between them.
func (p Pair) gone(nodes []string) bool {
	return slices.Contains(nodes, p.From) || slices.Contains(nodes, p.To)
}

// standsFor says that a run tells of the pair: it was between the same nodes. Of a pair that is gone any other tells; but what
// happens on one node tells nothing of what happens between two.
func (o Outcome) standsFor(p Pair, gone []string) bool {
	if p.gone(gone) {
		return p.From == p.To || o.From != o.To
	}
	return p == Pair{o.From, o.To}
}

// worsen takes further bad news. Directions only grow, and Since stays: a node that is open at one side only is met as a client
// and as a target in turn, and every change is written to the status of every tenant.
func (r *Record) worsen(o Outcome, gone []string, now time.Time) {
	seen := slices.Concat(r.Directions, o.Directions)
	r.Directions = slices.DeleteFunc([]Kind{Ingress, Egress}, func(k Kind) bool { return !slices.Contains(seen, k) })
	if now.After(r.At) { // the clock of another replica may be behind
		r.At = now
	}
	r.beginAnew()
	suspect := Pair{o.From, o.To}
	r.Suspects = slices.DeleteFunc(r.Suspects, func(s Suspect) bool { return s.Pair == suspect || s.gone(gone) && o.standsFor(s.Pair, gone) })
	if len(r.Suspects) < mostSuspects {
		r.Suspects = append(r.Suspects, Suspect{Pair: suspect})
	}
}

// beginAnew forgets good runs that were not in a row.
func (r *Record) beginAnew() {
	for i := range r.Suspects {
		r.Suspects[i].Good = 0
	}
}

// clear takes a good run after bad news, and says whether that ends it.
func (r *Record) clear(o Outcome, gone []string) bool {
	for i := range r.Suspects {
		if o.standsFor(r.Suspects[i].Pair, gone) {
			r.Suspects[i].Good++
		}
	}
	r.Suspects = slices.DeleteFunc(r.Suspects, func(s Suspect) bool { return s.Good >= confirmed })
	return len(r.Suspects) == 0
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
	return Verdict{StateNotEnforced, fmt.Sprintf("the network policies stand, and the network plug-in does not enforce them: a connection they forbid at %s went through %s after its pod had started (%s); "+
		"install, or turn on, a network plug-in that enforces NetworkPolicy, such as Calico or Cilium, or find the policy of the whole cluster that accepts the connection before they are asked; "+
		"until then tenants are not isolated from each other",
		joined(r.Directions, " and at "), Settle, seen)}
}

// Keys of a stored record.
const (
	keyResult, keyDirections, keySince, keyFrom, keyTo, keyAt = "result", "directions", "since", "firstFrom", "firstTo", "at"
	keySuspects, keyCluster                                   = "suspects", "cluster"
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
	if h.Stands != nil {
		h.Stands.store(data)
		data[keyCluster] = h.ClusterUID
	}
	return data
}

func (r *Record) store(data map[string]string) {
	data[keyResult], data[keyDirections] = string(r.Result), joined(r.Directions, ",")
	data[keySince], data[keyAt] = r.Since.UTC().Format(time.RFC3339), r.At.UTC().Format(time.RFC3339)
	data[keyFrom], data[keyTo] = r.From, r.To
	if text, err := json.Marshal(r.Suspects); err == nil && len(r.Suspects) > 0 {
		data[keySuspects] = string(text)
	}
}

// ReadRecord reads what Data made of a cluster. It says whether there is an answer that can be read. What was seen in another
// cluster, which a namespace that is restored from a backup brings along, says nothing of this one. A version that did not say of
// which cluster an answer is made it of this one as likely as not: it is believed when it is bad.
func ReadRecord(data map[string]string, clusterUID string) (Record, bool) {
	r := Record{Result: Result(data[keyResult]), From: data[keyFrom], To: data[keyTo]}
	for d := range strings.SplitSeq(data[keyDirections], ",") {
		if d != "" {
			r.Directions = append(r.Directions, Kind(d))
		}
	}
	var errSince, errAt error
	r.Since, errSince = time.Parse(time.RFC3339, data[keySince])
	r.At, errAt = time.Parse(time.RFC3339, data[keyAt])
	if r.Result == NotEnforced {
		r.Suspects = readSuspects(data[keySuspects], Pair{r.From, r.To})
	}
	of, told := data[keyCluster]
	here := of == clusterUID || !told && r.Result == NotEnforced
	return r, here && errSince == nil && errAt == nil && r.consistent()
}

// consistent says that a record is one that a run made.
func (r Record) consistent() bool {
	if r.Since.After(r.At) {
		return false
	}
	switch r.Result {
	case Enforced:
		return len(r.Directions) == 0
	case NotEnforced:
		unknown := slices.ContainsFunc(r.Directions, func(k Kind) bool { return k != Ingress && k != Egress })
		return !unknown && len(r.Directions) > 0 && r.From != "" && r.To != ""
	}
	return false
}

// readSuspects of bad news. There is at least one, or a good run anywhere would end it: the first, where they cannot be read.
func readSuspects(text string, first Pair) []Suspect {
	var suspects []Suspect
	bad := func(s Suspect) bool { return s.From == "" || s.To == "" || s.Good < 0 || s.Good >= confirmed }
	if err := json.Unmarshal([]byte(text), &suspects); err != nil || len(suspects) == 0 || len(suspects) > mostSuspects || slices.ContainsFunc(suspects, bad) {
		return []Suspect{{Pair: first}}
	}
	return suspects
}

func joined(kinds []Kind, by string) string {
	text := make([]string, len(kinds))
	for i, k := range kinds {
		text[i] = string(k)
	}
	return strings.Join(text, by)
}
