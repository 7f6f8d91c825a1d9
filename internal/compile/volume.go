package compile

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Volume is a persistent volume a claim of the tenant's holds, or held.
type Volume struct {
	// Name of the volume.
	Name string
	// Namespace and Claim it is bound to.
	Namespace, Claim string
	// Regions it lies in, as far as its node affinity tells, sorted.
	Regions []string
	// Hosts are the nodes it lies on, where it is local to them, sorted.
	Hosts []string
	// Vague says that some of its node affinity names neither region, zone nor node, or that it has none.
	Vague bool
}

// JudgeVolume reads where a volume lies from the node affinity its provisioner gave it. Labels of the volume are not
// looked at: nothing enforces them.
func JudgeVolume(pv *corev1.PersistentVolume) Volume {
	v := Volume{Name: pv.Name}
	if pv.Spec.ClaimRef != nil {
		v.Namespace, v.Claim = pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name
	}
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil || len(pv.Spec.NodeAffinity.Required.NodeSelectorTerms) == 0 {
		v.Vague = true
		return v
	}
	for _, term := range pv.Spec.NodeAffinity.Required.NodeSelectorTerms { // one of them must hold
		regions, hosts := placesOf(term)
		v.Regions, v.Hosts = append(v.Regions, regions...), append(v.Hosts, hosts...)
		v.Vague = v.Vague || (len(regions) == 0 && len(hosts) == 0)
	}
	v.Regions, v.Hosts = sortedSet(v.Regions), sortedSet(v.Hosts)
	return v
}

// placesOf is where a term allows its volume to be: in regions, or where it names none, on nodes. All its requirements
// hold at once, so regions are those that all of them name. A term that contradicts itself tells nothing.
func placesOf(term corev1.NodeSelectorTerm) (regions, hosts []string) {
	first := true
	for _, e := range term.MatchExpressions {
		if e.Operator != corev1.NodeSelectorOpIn {
			continue
		}
		if e.Key == corev1.LabelHostname {
			hosts = append(hosts, e.Values...)
		}
		named, tells := regionsNamed(e.Key, e.Values)
		switch {
		case !tells:
		case first:
			regions, first = named, false
		default:
			regions = slices.DeleteFunc(regions, func(r string) bool { return !slices.Contains(named, r) })
		}
	}
	if len(regions) > 0 {
		return regions, nil
	}
	return nil, hosts
}

// regionsNamed are the regions a requirement names. It tells nothing when one of its values is of no known form.
func regionsNamed(key string, values []string) (regions []string, tells bool) {
	var of func(string) string
	switch key {
	case corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion:
		of = func(region string) string { return region }
	case corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone, "topology.ebs.csi.aws.com/zone", "topology.gke.io/zone":
		of = zoneRegion
	case "topology.disk.csi.azure.com/zone":
		of = azureRegion
	default:
		return nil, false
	}
	for _, value := range values {
		for zone := range strings.SplitSeq(value, "__") { // a disk in two zones, in the old form of GCE
			region := of(zone)
			if region == "" {
				return nil, false
			}
			regions = append(regions, region)
		}
	}
	return regions, len(regions) > 0
}

func azureRegion(zone string) string { return regionOf(azureZone, zone) }

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
