package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// Wave orders writes. A wave begins when the one before it stands in every namespace of the tenant, so nothing is open
// before what closes it.
type Wave int

// Waves, in order.
const (
	WaveNamespace Wave = iota // born locked
	WaveDeny                  // deny-all, quota, limits
	WaveAllow                 // what the tenant may talk to
	WaveData                  // keys and config
	WaveAccess                // who may work in it
	WaveGate                  // the gate opens
	waveCount
)

// Plan is what a tenant becomes.
type Plan struct {
	// Effective is the resolved spec; nil when it cannot be honoured.
	Effective *v1alpha1.Effective
	// Findings, errors first.
	Findings []v1alpha1.Finding
	// Waiting names facts that are missing; the plan is complete once they appear.
	Waiting []string
	// Rotation is the age at which data keys are replaced; zero when the spec cannot be honoured.
	Rotation time.Duration
	// RetireAfter is how long a data key still decrypts after its successor was made.
	RetireAfter time.Duration
	// KeyRegions are the regions the KMS key may live in.
	KeyRegions []string
	// KeyRegion is the region the key URI names; empty when it names none.
	KeyRegion string
	// Agreement is the verdict on the tenant's business associate agreement.
	Agreement Verdict
	// Gates are the gates the last wave writes, by namespace.
	Gates map[string]v1alpha1.Gate
	// FirstGates are the gates the first wave writes: those in place until the last wave is through.
	FirstGates map[string]v1alpha1.Gate
	// Misplaced pods, sorted by namespace and name.
	Misplaced []Unwanted
	// Channels no pod may serve, sorted.
	Channels []string
	// Serving are pods that serve one of them, sorted by namespace and name.
	Serving []Unwanted
	// Config is the hash of the config that pods should run with, by namespace; nil when that was not judged.
	Config map[string]string
	// Consumption of it, by namespace; those in which every pod took it have none.
	Consumption map[string]Consumption
	// Evict names the misplaced and the serving pods that are to be evicted once the plan stands, each of them once.
	Evict []Unwanted
	// Kept is what is left of the resolved spec that stands, where the present one cannot be honoured; nil when nothing was
	// resolved before.
	Kept *v1alpha1.Effective
	// Next is when the passing of time alone can change the plan; zero when it cannot.
	Next time.Time

	waves  [waveCount][]runtime.ApplyConfiguration
	refs   map[v1alpha1.ObjectRef]bool
	births map[v1alpha1.ObjectRef]bool
	opens  map[v1alpha1.ObjectRef]bool // objects of optional kinds that close nothing
	held   []Held
	left   map[string]string // namespace/claim -> volume outside the regions

	narrows bool // the spec cannot be honoured, and the tenant has namespaces
	closes  bool // something that stands is given up or narrowed

	extensions map[string]extension.API
}

func newPlan() *Plan {
	return &Plan{

		Gates: map[string]v1alpha1.Gate{}, FirstGates: map[string]v1alpha1.Gate{},
		refs: map[v1alpha1.ObjectRef]bool{}, births: map[v1alpha1.ObjectRef]bool{},
		left: map[string]string{}, opens: map[v1alpha1.ObjectRef]bool{},
	}
}

// Waves are the objects to write, wave by wave. A namespace stands in the first and in the last.
func (p *Plan) Waves() [][]runtime.ApplyConfiguration { return p.waves[:] }

// Births says that an object must not exist yet: it is created, never taken over. If it does exist, the facts were
// stale, and nothing behind it is written.
func (p *Plan) Births(ref v1alpha1.ObjectRef) bool { return p.births[ref] }

// Owns says whether an object the operator remembers is still wanted. What is not may be pruned.
func (p *Plan) Owns(ref v1alpha1.ObjectRef) bool { return p.refs[ref] }

// Refs are all objects the plan writes or keeps, sorted.
func (p *Plan) Refs() []v1alpha1.ObjectRef {
	return SortRefs(p.refs)
}

// SortRefs lists a set of objects in the order an inventory is kept in.
func SortRefs(set map[v1alpha1.ObjectRef]bool) []v1alpha1.ObjectRef {
	return slices.SortedFunc(maps.Keys(set), func(a, b v1alpha1.ObjectRef) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

// Invalid says that a finding stands in the way: only a change of the spec, or of what it names, can help.
func (p *Plan) Invalid() bool {
	return slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Severity == v1alpha1.SeverityError })
}

// Writable says that the plan may be applied.
func (p *Plan) Writable() bool { return !p.Invalid() && p.Effective != nil }

// Narrows says that the spec cannot be honoured, and that the plan may be applied all the same: it leaves of what stands what
// is still permitted.
func (p *Plan) Narrows() bool { return p.narrows }

// Closes says that a plan that narrows gives something up, so that the facts it is made from had better be true.
func (p *Plan) Closes() bool { return p.closes }

// drop gives up an object that opens something.
func (p *Plan) drop(ref v1alpha1.ObjectRef) {
	p.closes = p.closes || p.refs[ref]
	delete(p.refs, ref)
}

func (p *Plan) write(w Wave, ref v1alpha1.ObjectRef, config runtime.ApplyConfiguration) {
	p.waves[w] = append(p.waves[w], config)
	p.refs[ref] = true
}

// keep remembers an object that must survive although this plan does not write it.
func (p *Plan) keep(ref v1alpha1.ObjectRef) { p.refs[ref] = true }

func (p *Plan) find(severity v1alpha1.Severity, code, path, format string, args ...any) {
	p.Findings = append(p.Findings, v1alpha1.Finding{
		Severity: severity, Code: code, Path: path, Message: fmt.Sprintf(format, args...),
	})
}

func (p *Plan) wait(format string, args ...any) {
	p.Waiting = append(p.Waiting, fmt.Sprintf(format, args...))
}

// wake asks for a new plan at t, when t lies ahead.
func (p *Plan) wake(now, t time.Time) {
	if t.After(now) && (p.Next.IsZero() || t.Before(p.Next)) {
		p.Next = t
	}
}

// settle brings findings into an order that does not depend on maps.
func (p *Plan) settle() *Plan {
	rank := map[v1alpha1.Severity]int{v1alpha1.SeverityError: 0, v1alpha1.SeverityWarning: 1, v1alpha1.SeverityInfo: 2}
	slices.SortStableFunc(p.Findings, func(a, b v1alpha1.Finding) int {
		return rank[a.Severity] - rank[b.Severity]
	})
	return p
}
