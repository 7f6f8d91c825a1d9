package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestPermittedRegions(t *testing.T) {
	lapsed := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.Regions[0].BusinessAssociate = "gone" })
	for name, tc := range map[string]struct {
		tenant  *v1alpha1.HIPAATenant
		profile *v1alpha1.HIPAAProfile
		want    []string
	}{
		"its own":           {fixture.Tenant("acme"), fixture.Profile("default"), []string{"us-east-1"}},
		"and failover":      {fixture.Tenant("acme", failingOver("us-west-2")), fixture.Profile("default"), []string{"us-east-1", "us-west-2"}},
		"one not listed":    {fixture.Tenant("acme", failingOver("eu-west-1")), fixture.Profile("default"), []string{"us-east-1"}},
		"provider lapsed":   {fixture.Tenant("acme"), lapsed, []string{"us-east-1"}},
		"none listed":       {fixture.Tenant("acme"), fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.Regions = nil }), nil},
		"the listed unused": {fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "us-west-2" }), fixture.Profile("default"), []string{"us-west-2"}},
	} {
		if diff := cmp.Diff(tc.want, PermittedRegions(tc.tenant, tc.profile)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func failingOver(regions ...v1alpha1.Region) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) { t.Spec.FailoverRegions = regions }
}

// evicting is a tenant with one misplaced pod that everything allows to be evicted.
func evicting() (*v1alpha1.HIPAATenant, Facts) {
	f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Placement = &v1alpha1.PlacementRules{OnMisplaced: "Evict"}
	}))
	tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.UID = "u-acme" })
	f.Namespaces["acme"] = standing("acme", "u-acme", v1alpha1.GateOpen)
	f.Nodes = NewSurvey([]Node{{"east", JudgeNode("us-east-1", ""), true}, {"west", JudgeNode("us-west-2", ""), true}})
	f.Pods = []Pod{{Namespace: "acme", Name: "web", UID: "u-web", Node: "west", Controller: "ReplicaSet"}}
	return tenant, f
}

// TestWhatIsEvicted: one reason is enough to leave a pod where it is.
func TestWhatIsEvicted(t *testing.T) {
	lying := JudgeNode("us-east-1", "aws:///us-west-2a/i-0")
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HIPAATenant, *Facts)
		evict  int
		held   string // part of the finding
	}{
		"all allows it":             {func(*v1alpha1.HIPAATenant, *Facts) {}, 1, ""},
		"it is inside":              {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Node = "east" }, 0, ""},
		"its node is gone":          {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Node = "north" }, 0, ""},
		"it is leaving":             {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Leaving = true }, 0, ""},
		"it is somebody else's":     {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Namespace = "birch" }, 0, ""},
		"nodes were not read":       {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Nodes = nil }, 0, ""},
		"the profile says Report":   {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile.Spec.Placement.OnMisplaced = "Report" }, 0, ""},
		"the profile says nothing":  {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile.Spec.Placement = nil }, 0, ""},
		"the profile is gone":       {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile = nil }, 0, ""},
		"the region may be used":    {func(t *v1alpha1.HIPAATenant, _ *Facts) { t.Spec.FailoverRegions = []v1alpha1.Region{"us-west-2"} }, 0, ""},
		"a DaemonSet's":             {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Controller = "DaemonSet" }, 1, ""},
		"nobody would make it anew": {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Controller = "" }, 0, "has no controller"},
		"a static pod":              {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Controller = "Node" }, 0, "static pod of node west"},
		"policies not in force":     {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.AdmissionEnforced = false }, 0, "admission policies"},
		"nowhere else to go":        {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Nodes.Ready = map[string]int{"us-west-2": 1} }, 0, "has a ready node"},
		"it would come back":        {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Nodes.Nodes["west"] = lying }, 0, "could go to node west again"},
		"no replacement is admitted": {func(t *v1alpha1.HIPAATenant, f *Facts) {
			f.Keysets = nil
			f.Namespaces["acme"] = standing("acme", "u-acme", "locked")
		}, 0, "is locked"},
		"the region left the profile": {
			func(t *v1alpha1.HIPAATenant, _ *Facts) { t.Spec.Region = "eu-west-1" }, 0, "the spec cannot be honoured",
		},
		"another namespace waits": {
			func(t *v1alpha1.HIPAATenant, f *Facts) {
				t.Spec.BusinessAssociates = []v1alpha1.Name{"aws"} // does not exist
			}, 0, "the spec cannot be honoured",
		},
	} {
		tenant, f := evicting()
		tc.change(tenant, &f)
		p := Compile(tenant, f)
		if len(p.Evict) != tc.evict || has(p, CodeEvictionHeld) != (tc.held != "") {
			t.Errorf("%s: evicts %v, findings %v", name, p.Evict, p.Findings)
		}
		if tc.held != "" && !slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool {
			return f.Code == CodeEvictionHeld && strings.Contains(f.Message, "acme/web") && strings.Contains(f.Message, tc.held)
		}) {
			t.Errorf("%s: findings %v do not say %q of acme/web", name, p.Findings, tc.held)
		}
	}
}

// TestALapseEvictsNobody: the day an agreement ends, the region takes no new pods and those in it stay.
func TestALapseEvictsNobody(t *testing.T) {
	tenant, f := evicting()
	tenant.Spec.FailoverRegions = []v1alpha1.Region{"us-west-2"}
	f.Profile.Spec.Regions[1].BusinessAssociate = "aws"
	f.Associates["aws"] = fixture.Associate("aws", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-02-01" })
	p := Compile(tenant, f)
	if !has(p, CodeRegionProviderLapsed) || factOf(t, p, "acme", v1alpha1.AnnotationRegions) != "us-east-1" {
		t.Errorf("the region takes new pods: %v", p.Findings)
	}
	if len(p.Evict) != 0 || len(p.Misplaced) != 0 {
		t.Errorf("evicts %v, misplaced %v; want none, because only a date passed", p.Evict, p.Misplaced)
	}
}

// TestMessagesAreShortAndStable: the order of what was read makes no difference, and a thousand pods no long status.
func TestMessagesAreShortAndStable(t *testing.T) {
	tenant, f := evicting()
	f.Pods = nil
	for i := range 1000 {
		f.Pods = append(f.Pods, Pod{Namespace: "acme", Name: fmt.Sprintf("web-%03d", i), Node: "west"})
		f.Volumes = append(f.Volumes, Volume{Namespace: "acme", Claim: fmt.Sprintf("data-%03d", i), Name: fmt.Sprintf("pv-%03d", i), Regions: []string{"us-west-2"}})
		f.Nodes.Disputed["us-east-1"] = append(f.Nodes.Disputed["us-east-1"], fmt.Sprintf("node-%03d", i))
	}
	one := Compile(tenant, f).Findings
	slices.Reverse(f.Pods)
	slices.Reverse(f.Volumes)
	if diff := cmp.Diff(one, Compile(tenant, f).Findings); diff != "" {
		t.Errorf("in another order (-want +got):\n%s", diff)
	}
	for _, finding := range one {
		if len(finding.Message) > 600 {
			t.Errorf("%s has %d characters: %s", finding.Code, len(finding.Message), finding.Message)
		}
		if finding.Code == CodePodsMisplaced && (!strings.Contains(finding.Message, "1000 in all: acme/web-000 on node west") || !strings.Contains(finding.Message, "and 995 more")) {
			t.Errorf("message is %q", finding.Message)
		}
	}
}

// TestHold: whichever pods were tried, the first of each cause by name is told, and the finding goes when nothing is held.
func TestHold(t *testing.T) {
	tenant, f := evicting()
	p := Compile(tenant, f)
	held := func(name string, cause Cause, reason string) Held {
		return Held{Unwanted{Pod: Pod{Namespace: "acme", Name: name}, Cause: cause}, reason}
	}
	p.Hold([]Held{held("b", CauseMisplaced, "second"), held("a", CauseMisplaced, "first"), held("z", CauseChannel, "last")})
	p.Hold([]Held{held("c", CauseMisplaced, "third"), held("a", CauseMisplaced, "first"), held("z", CauseChannel, "last")})
	var told []string
	for _, finding := range p.Findings {
		if finding.Code == CodeEvictionHeld {
			told = append(told, finding.Message)
		}
	}
	want := []string{
		"not every misplaced pod is evicted: acme/a is left where it is, because first",
		"not every pod of a disabled channel is evicted: acme/z runs on, because last",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if p.Hold(nil); has(p, CodeEvictionHeld) {
		t.Error("nothing is held, and the finding stays")
	}
}

func TestLeftBehind(t *testing.T) {
	tenant, f := evicting()
	f.Volumes = []Volume{
		{Name: "pv-1", Namespace: "acme", Claim: "records", Regions: []string{"us-west-2"}},
		{Name: "pv-2", Namespace: "acme", Claim: "home", Regions: []string{"us-east-1"}},
		{Name: "pv-3", Namespace: "birch", Claim: "records", Regions: []string{"us-west-2"}},
	}
	p := Compile(tenant, f)
	for key, want := range map[[2]string]string{{"acme", "records"}: "pv-1", {"acme", "home"}: "", {"birch", "records"}: "", {"acme", "x"}: ""} {
		if got := p.LeftBehind(key[0], key[1]); got != want {
			t.Errorf("claim %v leaves %q behind, want %q", key, got, want)
		}
	}
}
