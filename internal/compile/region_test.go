package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Identifiers as cloud providers set them.
func TestProviderRegion(t *testing.T) {
	for id, want := range map[string]string{
		// AWS: zones, local zones, wavelength zones, partitions. An Outpost has the zone it is anchored to.
		"aws:///us-east-1a/i-0f1e2d3c4b5a69788":                       "us-east-1",
		"aws:///us-west-2d/i-0f1e2d3c4b5a69788":                       "us-west-2",
		"aws:///ap-southeast-2c/i-0f1e2d3c4b5a69788":                  "ap-southeast-2",
		"aws:///us-gov-west-1a/i-0f1e2d3c4b5a69788":                   "us-gov-west-1",
		"aws:///us-iso-east-1b/i-0f1e2d3c4b5a69788":                   "us-iso-east-1",
		"aws:///us-isob-east-1a/i-0f1e2d3c4b5a69788":                  "us-isob-east-1",
		"aws:///eusc-de-east-1a/i-0f1e2d3c4b5a69788":                  "eusc-de-east-1",
		"aws:///us-west-2-lax-1a/i-0f1e2d3c4b5a69788":                 "us-west-2",
		"aws:///us-east-1-dfw-2a/i-0f1e2d3c4b5a69788":                 "us-east-1",
		"aws:///ap-southeast-2-per-1a/i-0f1e2d3c4b5a69788":            "ap-southeast-2",
		"aws:///us-east-1-wl1-bos-wlz-1/i-0f1e2d3c4b5a69788":          "us-east-1",
		"aws:///eu-central-1-wl1-dtm-wlz-1/i-0f1e2d3c4b5a69788":       "eu-central-1",
		"aws:///us-east-1a/8a1c8e5e34-1d/fargate-ip-10-0-1-2.ec2.int": "us-east-1",
		"aws:///us-east-12a/i-0f1e2d3c4b5a69788":                      "us-east-12",
		// GCE: zones, AI zones, projects of a domain.
		"gce://acme-prod/us-central1-a/gke-pool-1-8f2c":             "us-central1",
		"gce://example.com:acme/europe-west12-c/gke-pool-1-8f2c":    "europe-west12",
		"gce://acme-prod/northamerica-northeast1-b/gke-pool-1-8f2c": "northamerica-northeast1",
		"gce://acme-prod/us-south1-ai1b/gke-pool-1-8f2c":            "us-south1",
		// These name no place.
		"": "",
		"azure:///subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/mc_rg_aks_eastus/providers/Microsoft.Compute/virtualMachines/aks-1":                              "",
		"azure:///subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/mc_rg_aks_eastus/providers/Microsoft.Compute/virtualMachineScaleSets/aks-vmss/virtualMachines/0": "",
		"kind://docker/kind/kind-worker":                    "",
		"k3s://node-1":                                      "",
		"openstack:///3c6a5b4e-2f7d-4e9f-9c7a-5b1d2e3f4a5b": "",
		"vsphere://4237d5a2-1b1d-4c8e-a1b2-c3d4e5f60718":    "",
		"digitalocean://402394823":                          "",
		"ocid1.instance.oc1.iad.anuwcljr":                   "",
		// The region of the control plane, not of the machine.
		"eks-hybrid:///us-west-2/prod/mi-0123456789abcdef0": "",
		// Not understood: nothing is concluded.
		"aws:///i-0f1e2d3c4b5a69788":                  "",
		"aws:///us-east-1/i-0f1e2d3c4b5a69788":        "",
		"aws:///use1-az4/i-0f1e2d3c4b5a69788":         "",
		"aws:///US-EAST-1A/i-0f1e2d3c4b5a69788":       "",
		"aws:///us-east-1aa/i-0f1e2d3c4b5a69788":      "",
		"gce://acme-prod/us-central1/gke-pool-1-8f2c": "",
		"gce://us-central1-a":                         "",
		"aws://":                                      "",
		"://":                                         "",
		"///":                                         "",
	} {
		if got := providerRegion(id); got != want {
			t.Errorf("%q is in %q, want %q", id, got, want)
		}
	}
}

func TestZoneRegion(t *testing.T) {
	for zone, want := range map[string]string{
		"us-east-1a": "us-east-1", "us-west-2-lax-1a": "us-west-2", "us-central1-a": "us-central1",
		"europe-west12-c": "europe-west12", "us-south1-ai1b": "us-south1",
		"": "", "0": "", "nova": "", "zone-a": "", "rack-7": "", "rack-row1-a": "", "dc-east-1a": "", "us-east-1": "", "use1-az4": "", "eastus2-1": "",
	} {
		if got := zoneRegion(zone); got != want {
			t.Errorf("zone %q is in %q, want %q", zone, got, want)
		}
	}
}

func TestNodeRegion(t *testing.T) {
	const aws = "aws:///us-east-1a/i-0"
	for name, tc := range map[string]struct {
		label, providerID string
		region, text      string
		disputed, alone   bool
	}{
		"both agree":               {"us-east-1", aws, "us-east-1", "region us-east-1", false, false},
		"they do not":              {"eu-west-1", aws, "", "label says eu-west-1, providerID us-east-1", true, false},
		"no label":                 {"", aws, "", "no region label", false, false},
		"no identifier":            {"us-east-1", "", "us-east-1", "region us-east-1", false, true},
		"the identifier is silent": {"us-east-1", "azure:///subscriptions/x/y/z", "us-east-1", "region us-east-1", false, true},
		"nothing is known":         {"", "", "", "no region label", false, false},
	} {
		n := JudgeNode(tc.label, tc.providerID)
		if n.Region() != tc.region || n.Disputed() != tc.disputed || n.ByLabelAlone() != tc.alone || n.String() != tc.text {
			t.Errorf("%s: region %q, disputed %t, by label alone %t, %q", name, n.Region(), n.Disputed(), n.ByLabelAlone(), n)
		}
	}
}

func TestSurvey(t *testing.T) {
	east, west := JudgeNode("us-east-1", "aws:///us-east-1a/i-0"), JudgeNode("us-west-2", "")
	lying := JudgeNode("us-east-1", "aws:///eu-west-1a/i-0")
	got := NewSurvey([]Node{
		{"a", east, true}, {"b", east, true}, {"c", east, false}, {"d", west, true}, {"z", lying, true}, {"y", lying, false},
		{"e", JudgeNode("", "aws:///us-east-1a/i-0"), true}, {"f", JudgeNode("eu-west-1", ""), false},
	})
	want := &Survey{
		Nodes: map[string]NodeRegion{
			"a": east, "b": east, "c": east, "d": west, "e": {Provider: "us-east-1"}, "f": {Label: "eu-west-1"}, "y": lying, "z": lying,
		},
		Ready: map[string]int{"us-east-1": 2, "us-west-2": 1}, ByLabelAlone: map[string]bool{"us-west-2": true},
		Disputed: map[string][]string{"us-east-1": {"y", "z"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("survey (-want +got):\n%s", diff)
	}
	if none := NewSurvey(nil); none.Ready == nil || none.Nodes == nil {
		t.Error("a cluster without nodes is surveyed too")
	}
}

func TestMoved(t *testing.T) {
	east, west := JudgeNode("us-east-1", ""), JudgeNode("us-west-2", "")
	before := NewSurvey([]Node{{"stays", east, true}, {"moves", east, true}, {"goes", east, true}, {"unready", east, true}})
	after := NewSurvey([]Node{{"stays", east, true}, {"moves", west, true}, {"comes", east, true}, {"unready", east, false}})
	if diff := cmp.Diff([]string{"comes", "goes", "moves"}, before.Moved(after)); diff != "" {
		t.Errorf("moved (-want +got):\n%s", diff)
	}
	if moved := after.Moved(after); len(moved) != 0 {
		t.Errorf("%v moved although nothing did", moved)
	}
}
