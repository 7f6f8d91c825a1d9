package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// in is a requirement on nodes, as provisioners write it.
func in(key string, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
}

func volumeOf(terms ...[]corev1.NodeSelectorRequirement) *corev1.PersistentVolume {
	pv := &corev1.PersistentVolume{}
	pv.Name = "pv-1"
	pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "acme", Name: "records"}
	pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{}}
	for _, term := range terms {
		pv.Spec.NodeAffinity.Required.NodeSelectorTerms = append(pv.Spec.NodeAffinity.Required.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchExpressions: term})
	}
	return pv
}

func TestJudgeVolume(t *testing.T) {
	type term = []corev1.NodeSelectorRequirement
	const ebs, gke, azure = "topology.ebs.csi.aws.com/zone", "topology.gke.io/zone", "topology.disk.csi.azure.com/zone"
	for name, tc := range map[string]struct {
		terms []term
		want  Volume
	}{
		"no affinity":                 {nil, Volume{Vague: true}},
		"a region":                    {[]term{{in(corev1.LabelTopologyRegion, "us-east-1")}}, Volume{Regions: []string{"us-east-1"}}},
		"an old region":               {[]term{{in(corev1.LabelFailureDomainBetaRegion, "us-east-1")}}, Volume{Regions: []string{"us-east-1"}}},
		"a zone":                      {[]term{{in(corev1.LabelTopologyZone, "us-east-1a")}}, Volume{Regions: []string{"us-east-1"}}},
		"an old zone":                 {[]term{{in(corev1.LabelFailureDomainBetaZone, "us-east-1a")}}, Volume{Regions: []string{"us-east-1"}}},
		"a disk of EBS":               {[]term{{in(ebs, "us-gov-west-1b")}}, Volume{Regions: []string{"us-gov-west-1"}}},
		"a disk of GCE":               {[]term{{in(gke, "us-central1-a")}}, Volume{Regions: []string{"us-central1"}}},
		"a disk of GCE in two zones":  {[]term{{in(corev1.LabelTopologyZone, "us-central1-a__us-central1-b")}}, Volume{Regions: []string{"us-central1"}}},
		"a disk of Azure":             {[]term{{in(azure, "eastus2-1")}}, Volume{Regions: []string{"eastus2"}}},
		"a disk of Azure, unzoned":    {[]term{{in(azure, "")}}, Volume{Vague: true}},
		"a zone like one of Azure's":  {[]term{{in(corev1.LabelTopologyZone, "rack-1")}}, Volume{Vague: true}},
		"a zone nobody knows":         {[]term{{in(corev1.LabelTopologyZone, "nova")}}, Volume{Vague: true}},
		"one zone of two not known":   {[]term{{in(corev1.LabelTopologyZone, "us-east-1a", "nova")}}, Volume{Vague: true}},
		"two zones of one region":     {[]term{{in(ebs, "us-east-1b", "us-east-1a")}}, Volume{Regions: []string{"us-east-1"}}},
		"two terms":                   {[]term{{in(ebs, "us-west-2a")}, {in(ebs, "us-east-1a")}}, Volume{Regions: []string{"us-east-1", "us-west-2"}}},
		"two terms, one says nothing": {[]term{{in(ebs, "us-west-2a")}, {in("disk", "ssd")}}, Volume{Regions: []string{"us-west-2"}, Vague: true}},
		"zone and region":             {[]term{{in(corev1.LabelTopologyRegion, "us-east-1", "us-west-2"), in(corev1.LabelTopologyZone, "us-east-1a")}}, Volume{Regions: []string{"us-east-1"}}},
		"zone and region that differ": {[]term{{in(corev1.LabelTopologyRegion, "us-west-2"), in(corev1.LabelTopologyZone, "us-east-1a")}}, Volume{Vague: true}},
		"a node":                      {[]term{{in(corev1.LabelHostname, "n2", "n1")}}, Volume{Hosts: []string{"n1", "n2"}}},
		"a node and its zone":         {[]term{{in(corev1.LabelHostname, "n1"), in(ebs, "us-east-1a")}}, Volume{Regions: []string{"us-east-1"}}},
		"not in a region":             {[]term{{{Key: corev1.LabelTopologyRegion, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"eu-west-1"}}}}, Volume{Vague: true}},
		"something else":              {[]term{{in("disk", "ssd")}}, Volume{Vague: true}},
		"an empty term":               {[]term{{}}, Volume{Vague: true}},
	} {
		tc.want.Name, tc.want.Namespace, tc.want.Claim = "pv-1", "acme", "records"
		if diff := cmp.Diff(tc.want, JudgeVolume(volumeOf(tc.terms...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := JudgeVolume(&corev1.PersistentVolume{}); got.Namespace != "" || !got.Vague {
		t.Errorf("a volume nobody claimed: %+v", got)
	}
}
