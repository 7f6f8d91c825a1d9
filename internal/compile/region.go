package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// NodeRegion is what is known about where a node is. The label is what schedulers and admission go by, and whoever may
// write nodes can change it; the provider's identifier is set once, when the node registers, and never changes.
type NodeRegion struct {
	// Label is the value of topology.kubernetes.io/region; empty when the node has none.
	Label string
	// Provider is the region spec.providerID names; empty when it names none.
	Provider string
}

// JudgeNode reads a node's region from its label and its spec.providerID.
func JudgeNode(label, providerID string) NodeRegion {
	return NodeRegion{Label: label, Provider: providerRegion(providerID)}
}

// Region is the label, unless the provider's identifier contradicts it; empty when the region is not known.
func (n NodeRegion) Region() string {
	if n.Disputed() {
		return ""
	}
	return n.Label
}

// Disputed says that label and identifier name two regions. Nothing is believed of such a node.
func (n NodeRegion) Disputed() bool {
	return n.Label != "" && n.Provider != "" && n.Label != n.Provider
}

// ByLabelAlone says that nothing but the label vouches for the region.
func (n NodeRegion) ByLabelAlone() bool { return n.Label != "" && n.Provider == "" }

// String is the region as a reader is told.
func (n NodeRegion) String() string {
	switch {
	case n.Disputed():
		return fmt.Sprintf("label says %s, providerID %s", n.Label, n.Provider)
	case n.Label == "":
		return "no region label"
	}
	return "region " + n.Label
}

// Names of zones, by provider. The first group is the region.
//
//	us-east-1a, us-gov-west-1b; local zone us-west-2-lax-1a, wavelength zone us-east-1-wl1-bos-wlz-1
//	us-central1-a, us-south1-ai1b
//	eastus2-1
var (
	awsZone   = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)+-[0-9]+)(?:[a-z]|-[a-z0-9]+(?:-[a-z0-9]+)+)$`)
	gceZone   = regexp.MustCompile(`^([a-z]+-[a-z]+[0-9]+)-(?:ai[0-9]+)?[a-z]$`)
	azureZone = regexp.MustCompile(`^([a-z]+[0-9]*)-[0-9]$`)
)

// cloudRegion is what regions of AWS and GCE begin with. Zones of a data centre may be named like theirs (rack-row1-a).
var cloudRegion = regexp.MustCompile(`^(?:af|africa|ap|asia|australia|ca|cn|eu|europe|eusc|il|me|mx|northamerica|sa|southamerica|us)-`)

// providerRegion is the region that a node's identifier names. Identifiers of AWS and of GCE name the zone:
//
//	aws:///us-east-1a/i-0f1e2d3c
//	gce://project/us-central1-a/instance
//
// Those of Azure and of most others name no place, and those of EKS hybrid nodes name the region of the control plane,
// not of the machine. A zone of a form not seen before says nothing either: only a contradiction costs a node its trust.
func providerRegion(id string) string {
	provider, rest, found := strings.Cut(id, "://")
	if !found {
		return ""
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 3 {
		return ""
	}
	switch provider {
	case "aws":
		return regionOf(awsZone, parts[1])
	case "gce":
		return regionOf(gceZone, parts[1])
	}
	return ""
}

// zoneRegion is the region a zone lies in; empty when its name does not tell. Names of Azure zones (eastus2-1) look like
// anybody's and tell only where it is known that they are Azure's.
func zoneRegion(zone string) string {
	for _, form := range []*regexp.Regexp{awsZone, gceZone} {
		if region := regionOf(form, zone); cloudRegion.MatchString(region) {
			return region
		}
	}
	return ""
}

func regionOf(form *regexp.Regexp, zone string) string {
	if m := form.FindStringSubmatch(zone); m != nil {
		return m[1]
	}
	return ""
}

// Node is what a survey asks about a node.
type Node struct {
	// Name of the node.
	Name string
	// Region it is in, as far as it is known.
	Region NodeRegion
	// Ready says that it takes pods.
	Ready bool
}

// Survey is what is known about the regions of all nodes.
type Survey struct {
	// Nodes by name.
	Nodes map[string]NodeRegion
	// Ready counts nodes that take pods, by region; a region without any is missing, and disputed nodes count nowhere.
	Ready map[string]int
	// ByLabelAlone are regions with a ready node for which nothing but its label vouches.
	ByLabelAlone map[string]bool
	// Disputed names the nodes whose label is contradicted, by the region the label claims, sorted.
	Disputed map[string][]string
}

// NewSurvey counts nodes.
func NewSurvey(nodes []Node) *Survey {
	s := &Survey{
		Nodes: make(map[string]NodeRegion, len(nodes)), Ready: map[string]int{},
		ByLabelAlone: map[string]bool{}, Disputed: map[string][]string{},
	}
	for _, n := range nodes {
		s.Nodes[n.Name] = n.Region
		region := n.Region.Region()
		switch {
		case n.Region.Disputed():
			s.Disputed[n.Region.Label] = append(s.Disputed[n.Region.Label], n.Name)
		case region != "" && n.Ready:
			s.Ready[region]++
			if n.Region.ByLabelAlone() {
				s.ByLabelAlone[region] = true
			}
		}
	}
	for _, names := range s.Disputed {
		slices.Sort(names)
	}
	return s
}

// Moved names nodes that another survey sees elsewhere than this one, or sees for the first or the last time, sorted.
func (s *Survey) Moved(later *Survey) []string {
	var names []string
	for name, now := range later.Nodes {
		if before, known := s.Nodes[name]; !known || before != now {
			names = append(names, name)
		}
	}
	for name := range s.Nodes {
		if _, still := later.Nodes[name]; !still {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
