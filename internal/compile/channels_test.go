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

// texting is a tenant without channel sms, of which a pod still runs, under a profile that says Evict.
func texting() (*v1alpha1.HIPAATenant, Facts) {
	f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.OnDisabledChannel = "Evict" }))
	tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) {
		t.UID, t.Spec.DisabledChannels = "u-acme", []v1alpha1.Name{"sms"}
	})
	f.Namespaces["acme"] = standing("acme", "u-acme", v1alpha1.GateOpen)
	f.Nodes = NewSurvey([]Node{{"east", JudgeNode("us-east-1", ""), true}, {"west", JudgeNode("us-west-2", ""), true}})
	f.Pods = []Pod{{Namespace: "acme", Name: "texts", UID: "u-texts", Node: "east", Controller: "ReplicaSet", Channel: "sms"}}
	return tenant, f
}

// TestPodsOfDisabledChannels: which are found, which of them are evicted, and what keeps the others.
func TestPodsOfDisabledChannels(t *testing.T) {
	enforced := func(channels string) func(*Facts) {
		return func(f *Facts) { f.Namespaces["acme"].Facts[v1alpha1.AnnotationDisabledChannels] = channels }
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HIPAATenant, *Facts)
		found  bool
		evict  bool
		held   string // part of the finding
	}{
		"the tenant disables it":  {func(*v1alpha1.HIPAATenant, *Facts) {}, true, true, ""},
		"nobody disables it":      {func(t *v1alpha1.HIPAATenant, _ *Facts) { t.Spec.DisabledChannels = nil }, false, false, ""},
		"it was, until now":       {func(t *v1alpha1.HIPAATenant, f *Facts) { t.Spec.DisabledChannels = nil; enforced("sms,fax")(f) }, false, false, ""},
		"another is disabled":     {func(t *v1alpha1.HIPAATenant, _ *Facts) { t.Spec.DisabledChannels[0] = "fax" }, false, false, ""},
		"it says nothing":         {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Channel = "" }, false, false, ""},
		"it is somebody else's":   {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Namespace = "birch" }, false, false, ""},
		"it is leaving":           {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Leaving = true }, true, false, ""},
		"nodes were not read":     {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Nodes = nil }, true, true, ""},
		"the profile says Report": {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile.Spec.OnDisabledChannel = "Report" }, true, false, ""},
		"the profile says nothing": {
			func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile.Spec.OnDisabledChannel = "" }, true, false, "",
		},
		"the profile is gone": {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Profile = nil }, false, false, ""},
		"the profile disables it": {
			func(t *v1alpha1.HIPAATenant, f *Facts) {
				t.Spec.DisabledChannels, f.Profile.Spec.RequiredDisabledChannels = nil, []v1alpha1.Name{"sms"}
			}, true, true, "",
		},
		"it is misplaced too, and that is only reported": {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Node = "west" }, true, true, ""},
		"nobody would make it anew":                      {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Controller = "" }, true, true, ""},
		"no replacement could go anywhere":               {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Nodes.Ready = nil }, true, true, ""},
		"a static pod":                                   {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.Pods[0].Controller = "Node" }, true, false, "static pod of node east"},
		"policies not in force":                          {func(_ *v1alpha1.HIPAATenant, f *Facts) { f.AdmissionEnforced = false }, true, false, "admission policies"},
		"the namespace is locked": {func(_ *v1alpha1.HIPAATenant, f *Facts) {
			f.Keysets = nil
			f.Namespaces["acme"] = standing("acme", "u-acme", "locked")
		}, true, true, ""},
		"the spec cannot be honoured": {
			func(t *v1alpha1.HIPAATenant, _ *Facts) { t.Spec.DisabledChannels = []v1alpha1.Name{"sms", "pigeon"} },
			true, false, "the spec cannot be honoured",
		},
		"the spec cannot be honoured, and would enable it": {
			func(t *v1alpha1.HIPAATenant, f *Facts) {
				t.Spec.DisabledChannels = []v1alpha1.Name{"pigeon"}
				enforced("fax,sms")(f)
			}, true, false, "the spec cannot be honoured",
		},
		"the spec cannot be honoured, and no channel was disabled": {
			func(t *v1alpha1.HIPAATenant, f *Facts) {
				t.Spec.DisabledChannels = []v1alpha1.Name{"pigeon"}
				f.Pods[0].Channel = ""
				enforced("")(f)
			}, false, false, "",
		},
	} {
		tenant, f := texting()
		tc.change(tenant, &f)
		p := Compile(tenant, f)
		if (len(p.Serving) == 1) != tc.found || has(p, CodeChannelPodsRunning) != tc.found {
			t.Errorf("%s: finds %v, findings %v", name, p.Serving, p.Findings)
		}
		if (len(p.Evict) == 1) != tc.evict || has(p, CodeEvictionHeld) != (tc.held != "") {
			t.Errorf("%s: evicts %v, findings %v", name, p.Evict, p.Findings)
		}
		if tc.held != "" && !slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool {
			return f.Code == CodeEvictionHeld && f.Path == "profile spec.onDisabledChannel" && strings.Contains(f.Message, "acme/texts runs on, because") && strings.Contains(f.Message, tc.held)
		}) {
			t.Errorf("%s: findings %v do not say %q of acme/texts", name, p.Findings, tc.held)
		}
	}
}

// TestAPodThatIsUnwantedTwice is evicted once, for the cause that needs no replacement; where only the other cause evicts,
// it stays, because no replacement would be admitted.
func TestAPodThatIsUnwantedTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		channel string
		want    []Cause
		held    bool
	}{
		"both evict":           {"Evict", []Cause{CauseChannel}, false},
		"only misplaced evict": {"Report", nil, true},
	} {
		tenant, f := texting()
		f.Pods[0].Node = "west"
		f.Profile.Spec.OnDisabledChannel, f.Profile.Spec.Placement = tc.channel, &v1alpha1.PlacementRules{OnMisplaced: "Evict"}
		p := Compile(tenant, f)
		var causes []Cause
		for _, u := range p.Evict {
			causes = append(causes, u.Cause)
		}
		if diff := cmp.Diff(tc.want, causes); diff != "" || has(p, CodeEvictionHeld) != tc.held || len(p.Misplaced) != 1 || len(p.Serving) != 1 {
			t.Errorf("%s: findings %v, evicted (-want +got):\n%s", name, p.Findings, diff)
		}
	}
}

// TestChannelMessagesAreShortAndStable, however many pods there are, in whatever order they were read.
func TestChannelMessagesAreShortAndStable(t *testing.T) {
	tenant, f := texting()
	f.Pods = nil
	for i := range 1000 {
		f.Pods = append(f.Pods, Pod{Namespace: "acme", Name: fmt.Sprintf("texts-%03d", i), Node: "east", Channel: "sms"})
	}
	one := Compile(tenant, f)
	slices.Reverse(f.Pods)
	if diff := cmp.Diff(one.Findings, Compile(tenant, f).Findings); diff != "" {
		t.Errorf("in another order (-want +got):\n%s", diff)
	}
	const want = "pods of disabled channels still run, 1000 in all: acme/texts-000 (sms), acme/texts-001 (sms), acme/texts-002 (sms), " +
		"acme/texts-003 (sms), acme/texts-004 (sms) and 995 more; they are evicted as far as PodDisruptionBudgets allow, and no new ones are admitted"
	if !slices.ContainsFunc(one.Findings, func(f v1alpha1.Finding) bool { return f.Message == want }) {
		t.Errorf("findings %v", one.Findings)
	}
}
