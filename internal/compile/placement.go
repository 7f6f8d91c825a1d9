package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Pod is bound to a node and has not ended.
type Pod struct {
	// Namespace and Name of the pod.
	Namespace, Name string
	// UID of the pod.
	UID types.UID
	// Node it is bound to.
	Node string
	// Controller is the kind of the controller that would make it anew; empty when there is none.
	Controller string
	// Channel it says it serves, by its label; empty when it says nothing.
	Channel string
	// Config is the hash of the config it was given; empty when it was given none.
	Config string
	// Uninjected: it asked not to be given any.
	Uninjected bool
	// Leaving: it is being deleted.
	Leaving bool
}

func (p Pod) String() string { return p.Namespace + "/" + p.Name }

// Cause is why a pod should not run, or not where it does.
type Cause string

// Causes.
const (
	// CauseMisplaced: it is outside its tenant's regions.
	CauseMisplaced Cause = "misplaced"
	// CauseChannel: it serves a channel that is disabled.
	CauseChannel Cause = "channel"
)

// Unwanted is a pod that should not run, or not where it does.
type Unwanted struct {
	Pod
	// Cause of its being unwanted.
	Cause Cause
	// Where a misplaced pod is instead.
	Where NodeRegion
}

// PermittedRegions are the regions the tenant asks for and its profile lists, the tenant's own first. Whether the
// agreement with a region's provider is in force makes no difference here: a lapse keeps new pods out and leaves those
// that run alone.
func PermittedRegions(t *v1alpha1.HIPAATenant, p *v1alpha1.HIPAAProfile) []string {
	var regions []string
	for _, name := range append([]v1alpha1.Region{t.Spec.Region}, t.Spec.FailoverRegions...) {
		if slices.ContainsFunc(p.Spec.Regions, func(e v1alpha1.EligibleRegion) bool { return e.Name == name }) {
			regions = append(regions, string(name))
		}
	}
	return regions
}

// judgePlacement looks where nodes, pods and volumes are. Where nodes were not read, nothing is said.
func (r *resolved) judgePlacement(f Facts, p *Plan) {
	if f.Nodes == nil {
		return
	}
	permitted := PermittedRegions(r.tenant, r.profile)
	r.judgeNodes(permitted, f, p)
	r.judgePods(permitted, f, p)
	r.judgeVolumes(permitted, f, p)
}

// Lists in messages name the first few, so that a status stays readable and below its limits.
const (
	podsNamed    = 5
	volumesNamed = 5
	nodesNamed   = 3
)

func (r *resolved) judgeNodes(permitted []string, f Facts, p *Plan) {
	for _, region := range permitted {
		if names := f.Nodes.Disputed[region]; len(names) > 0 {
			lines := make([]string, len(names))
			for i, name := range names {
				lines[i] = fmt.Sprintf("%s (%s)", name, f.Nodes.Nodes[name])
			}
			p.find(v1alpha1.SeverityWarning, CodeNodeRegionDisputed, "spec.region",
				"nodes labelled with region %s are elsewhere by their providerID, so they count nowhere: %s; correct label topology.kubernetes.io/region",
				region, shortList(lines, nodesNamed))
		}
		if f.Nodes.ByLabelAlone[region] {
			p.find(v1alpha1.SeverityInfo, CodeRegionByLabelAlone, "spec.region",
				"nodes are taken to be in region %s by label topology.kubernetes.io/region alone: their spec.providerID names no region", region)
		}
	}
}

// judgePods finds pods whose node is not known to be in a permitted region. A node that does not exist runs nothing:
// its pods are on their way out, and nothing is said of them.
func (r *resolved) judgePods(permitted []string, f Facts, p *Plan) {
	for _, pod := range f.Pods {
		where, exists := f.Nodes.Nodes[pod.Node]
		if exists && !slices.Contains(permitted, where.Region()) && r.holds(pod.Namespace, f) {
			p.Misplaced = append(p.Misplaced, Unwanted{Pod: pod, Cause: CauseMisplaced, Where: where})
		}
	}
	if len(p.Misplaced) == 0 {
		return
	}
	slices.SortFunc(p.Misplaced, byPod)
	lines := make([]string, len(p.Misplaced))
	for i, m := range p.Misplaced {
		lines[i] = fmt.Sprintf("%s on node %s (%s)", m.Pod, m.Node, m.Where)
	}
	p.find(v1alpha1.SeverityWarning, CodePodsMisplaced, "spec.region", "pods run outside the tenant's regions (%s), %d in all: %s; %s",
		orNone(permitted), len(lines), shortList(lines, podsNamed), r.remedy())
}

func byPod(a, b Unwanted) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// remedy says what happens to misplaced pods, or what a reader should do.
func (r *resolved) remedy() string {
	if r.evicts() {
		return "they are evicted as far as their replacements go elsewhere and PodDisruptionBudgets allow"
	}
	return fmt.Sprintf("delete them so that they are placed anew, or set placement.onMisplaced of profile %s to Evict", r.profile.Name)
}

func (r *resolved) evicts() bool {
	return r.profile.Spec.Placement != nil && r.profile.Spec.Placement.OnMisplaced == "Evict"
}

// holds says that what is in a namespace is this tenant's: it is its own, or about to be taken over.
func (r *resolved) holds(namespace string, f Facts) bool {
	n, exists := f.Namespaces[namespace]
	if !exists {
		return false
	}
	adopting := func(s v1alpha1.TenantNamespace) bool { return string(s.Name) == namespace && s.Adopt }
	return n.Tenant() == r.tenant.Name || ours(r.tenant, namespace, n) ||
		(n.Tenant() == "" && slices.ContainsFunc(r.tenant.Spec.Namespaces, adopting))
}

func (r *resolved) judgeVolumes(permitted []string, f Facts, p *Plan) {
	var outside, vague []string
	for _, v := range f.Volumes {
		if !r.holds(v.Namespace, f) {
			continue
		}
		elsewhere, unknown := v.strays(permitted, f.Nodes)
		switch {
		case elsewhere != "":
			p.left[v.Namespace+"/"+v.Claim] = v.Name
			outside = append(outside, fmt.Sprintf("%s of claim %s/%s (%s)", v.Name, v.Namespace, v.Claim, elsewhere))
		case unknown:
			vague = append(vague, v.Name)
		}
	}
	slices.Sort(outside)
	slices.Sort(vague)
	if len(outside) > 0 {
		p.find(v1alpha1.SeverityWarning, CodeVolumesOutsideRegions, "spec.region",
			"volumes lie outside the tenant's regions (%s), %d in all: %s; move their data, then delete the claims",
			orNone(permitted), len(outside), shortList(outside, volumesNamed))
	}
	if len(vague) > 0 {
		p.find(v1alpha1.SeverityInfo, CodeVolumeRegionUnknown, "spec.region",
			"where volumes lie is not known, because their node affinity names no region or zone: %s", shortList(vague, volumesNamed))
	}
}

// strays names a place of the volume that is not permitted, and says whether some place of it is not known.
func (v Volume) strays(permitted []string, nodes *Survey) (elsewhere string, unknown bool) {
	unknown = v.Vague
	for _, region := range v.Regions {
		if !slices.Contains(permitted, region) {
			return "region " + region, unknown
		}
	}
	for _, host := range v.Hosts {
		where, exists := nodes.Nodes[host]
		switch {
		case !exists:
			unknown = true
		case !slices.Contains(permitted, where.Region()):
			return fmt.Sprintf("on node %s, %s", host, where), unknown
		}
	}
	return "", unknown
}

func orNone(regions []string) string { return cmp.Or(strings.Join(regions, ", "), "none is left") }

// shortList joins the first few entries and counts the rest.
func shortList(lines []string, most int) string {
	if len(lines) <= most {
		return strings.Join(lines, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(lines[:most], ", "), len(lines)-most)
}
