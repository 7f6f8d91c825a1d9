package placement

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// fate is what must become of the pods of a class.
type fate string

const (
	// bound pods find a node.
	bound fate = "bound"
	// never bound, because they ask for what no node inside has.
	never fate = "never"
	// perhaps bound: that depends on others.
	perhaps fate = "perhaps"
)

// class is a shape of pod specs.
type class struct {
	name  string
	fate  fate
	shape func(draw, tenant, *corev1.PodSpec)
}

// lawful classes find nodes at home, however much else they ask for.
var lawful = []class{
	{"plain", bound, func(draw, tenant, *corev1.PodSpec) {}},
	{"ored-terms", bound, oredTerms},
	{"preferred-abroad", bound, func(d draw, t tenant, s *corev1.PodSpec) { prefer(s, in(labelRegion, pick(d, t.foreign))) }},
	{"tolerating", bound, func(d draw, _ tenant, s *corev1.PodSpec) {
		tolerate(s)
		selectNodes(s, labelPool, pick(d, []string{poolFast, poolDrain}))
	}},
	{"spread", bound, func(d draw, _ tenant, s *corev1.PodSpec) {
		key := pick(d, []string{labelRegion, labelZone, corev1.LabelHostname})
		spread(s, "spread", key, pick(d, []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}))
	}},
	{"apart", bound, func(_ draw, _ tenant, s *corev1.PodSpec) {
		affinity(s).PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelHostname, LabelSelector: metav1.SetAsLabelSelector(map[string]string{labelClass: "apart"})},
		}}
	}},
	{"drawn-abroad", bound, func(d draw, t tenant, s *corev1.PodSpec) {
		affinity(s).PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
			{Weight: 100, PodAffinityTerm: beside(pick(d, t.foreign))},
		}}
	}},
	{"beside-home", bound, func(d draw, t tenant, s *corev1.PodSpec) { besidePod(s, pick(d, t.home)) }},
	{"tempting-label", bound, func(_ draw, _ tenant, s *corev1.PodSpec) { selectNodes(s, labelCompliance, "hipaa") }},
	{"runtime-class", bound, func(_ draw, _ tenant, s *corev1.PodSpec) { s.RuntimeClassName = new(poolFast) }},
	{"runtime-class-home", bound, func(d draw, t tenant, s *corev1.PodSpec) { s.RuntimeClassName = new(runtimeIn(pick(d, t.home))) }},
	{"zone-home", bound, func(d draw, t tenant, s *corev1.PodSpec) {
		selectNodes(s, labelZone, zoneOf(pick(d, t.home), d.IntN(3)))
	}},
	{"host-home", bound, func(d draw, t tenant, s *corev1.PodSpec) { require(s, named(hostIn(d, pick(d, t.home)))) }},
}

// stray classes want to go abroad, and nowhere else.
var stray = []class{
	{"region-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) { selectNodes(s, labelRegion, pick(d, t.foreign)) }},
	{"zone-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) {
		selectNodes(s, labelZone, zoneOf(pick(d, t.foreign), d.IntN(3)))
	}},
	{"host-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) {
		selectNodes(s, corev1.LabelHostname, hostIn(d, pick(d, t.foreign)))
	}},
	{"field-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) { require(s, named(hostIn(d, pick(d, t.foreign)))) }},
	{"terms-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) { require(s, abroad(d, t)...) }},
	{"empty-term", never, func(_ draw, _ tenant, s *corev1.PodSpec) { require(s, corev1.NodeSelectorTerm{}) }},
	{"nowhere", never, func(d draw, _ tenant, s *corev1.PodSpec) {
		require(s, pick(d, []corev1.NodeSelectorTerm{term(not(labelRegion, regions...)), term(without(labelRegion)), named(hostOf(nowhere, 1))}))
	}},
	{"false-label", never, func(d draw, t tenant, s *corev1.PodSpec) {
		// The label says home, on a node that is somewhere else.
		home := pick(d, t.home)
		require(s, term(in(labelFalseRegion, home), not(labelRegion, t.home...)))
	}},
	{"runtime-class-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) { s.RuntimeClassName = new(runtimeIn(pick(d, t.foreign))) }},
	{"beside-abroad", never, func(d draw, t tenant, s *corev1.PodSpec) { besidePod(s, pick(d, t.foreign)) }},
}

// unbalanced pods count nodes they may not use, and are held up by how few of them are there.
var unbalanced = class{"spread-over-all", perhaps, func(_ draw, _ tenant, s *corev1.PodSpec) {
	spread(s, "spread-over-all", labelRegion, corev1.DoNotSchedule)
	s.TopologySpreadConstraints[0].NodeAffinityPolicy = ptr.To(corev1.NodeInclusionPolicyIgnore)
}}

const (
	labelRegion = corev1.LabelTopologyRegion
	labelZone   = corev1.LabelTopologyZone
	// labelAnchor is on a pod of nobody's tenant in each region, and names the region.
	labelAnchor = "placement.test/anchor"
	// anchors is their namespace; tenants name it in their pods' affinity.
	anchors = "anchors"
)

// oredTerms are some that lead abroad, and one that does not.
func oredTerms(d draw, t tenant, s *corev1.PodSpec) {
	home := pick(d, []corev1.NodeSelectorTerm{
		term(in(labelRegion, pick(d, t.home))),
		term(in(labelRegion, regions...)),
		term(in(labelZone, zoneOf(pick(d, t.home), d.IntN(3)))),
		term(not(labelRegion, pick(d, t.foreign))),
		term(corev1.NodeSelectorRequirement{Key: labelZone, Operator: corev1.NodeSelectorOpExists}),
		term(rank(corev1.NodeSelectorOpGt, 5)),
		term(rank(corev1.NodeSelectorOpLt, 30), rank(corev1.NodeSelectorOpGt, 8)),
		named(hostIn(d, pick(d, t.home))),
	})
	terms := append(abroad(d, t), home)
	d.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	require(s, terms...)
}

// abroad are one to three terms that no node at home matches.
func abroad(d draw, t tenant) []corev1.NodeSelectorTerm {
	field := named(hostIn(d, pick(d, t.foreign)))
	field.MatchExpressions = []corev1.NodeSelectorRequirement{not(labelRegion, pick(d, t.home))}
	return some(d, 1+d.IntN(3), []corev1.NodeSelectorTerm{
		term(in(labelRegion, pick(d, t.foreign))),
		term(in(labelRegion, t.foreign...), rank(corev1.NodeSelectorOpGt, 2)),
		term(not(labelRegion, t.home...)),
		term(in(labelZone, zoneOf(pick(d, t.foreign), 1))),
		term(without(labelRegion)),
		named(hostIn(d, pick(d, t.foreign))),
		field,
		{},
	})
}

// garnish adds wishes that change nothing about where the pod may go.
func garnish(d draw, t tenant, s *corev1.PodSpec) {
	if d.IntN(2) == 0 {
		prefer(s, in(labelRegion, pick(d, t.foreign)), rank(corev1.NodeSelectorOpGt, d.IntN(10)))
	}
	if d.IntN(3) == 0 {
		tolerate(s)
	}
}

func term(r ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: r}
}

// named matches one node as the DaemonSet controller does.
func named(host string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{in(metav1.ObjectNameField, host)}}
}

func in(key string, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: slices.Clone(values)}
}

func not(key string, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpNotIn, Values: slices.Clone(values)}
}

func without(key string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpDoesNotExist}
}

func rank(op corev1.NodeSelectorOperator, n int) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: labelRank, Operator: op, Values: []string{strconv.Itoa(n)}}
}

func affinity(s *corev1.PodSpec) *corev1.Affinity {
	if s.Affinity == nil {
		s.Affinity = &corev1.Affinity{}
	}
	return s.Affinity
}

func nodeAffinity(s *corev1.PodSpec) *corev1.NodeAffinity {
	if affinity(s).NodeAffinity == nil {
		s.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	return s.Affinity.NodeAffinity
}

func require(s *corev1.PodSpec, terms ...corev1.NodeSelectorTerm) {
	nodeAffinity(s).RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: terms}
}

func prefer(s *corev1.PodSpec, r ...corev1.NodeSelectorRequirement) {
	n := nodeAffinity(s)
	n.PreferredDuringSchedulingIgnoredDuringExecution = append(n.PreferredDuringSchedulingIgnoredDuringExecution,
		corev1.PreferredSchedulingTerm{Weight: 100, Preference: term(r...)})
}

func selectNodes(s *corev1.PodSpec, key, value string) {
	s.NodeSelector = map[string]string{key: value}
}

func tolerate(s *corev1.PodSpec) {
	s.Tolerations = []corev1.Toleration{
		{Key: taintFast, Operator: corev1.TolerationOpExists}, {Key: taintDrain, Operator: corev1.TolerationOpEqual, Value: "soon"},
	}
}

func spread(s *corev1.PodSpec, class, key string, otherwise corev1.UnsatisfiableConstraintAction) {
	s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: otherwise,
		LabelSelector: metav1.SetAsLabelSelector(map[string]string{labelClass: class}),
	}}
}

// beside is the region of the anchor that names it.
func beside(region string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		TopologyKey: labelRegion, Namespaces: []string{anchors}, LabelSelector: metav1.SetAsLabelSelector(map[string]string{labelAnchor: region}),
	}
}

func besidePod(s *corev1.PodSpec, region string) {
	affinity(s).PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{beside(region)}}
}

func runtimeIn(region string) string { return "in-" + region }
