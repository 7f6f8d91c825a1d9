package status

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// verdict of the network probe in a state.
func verdict(state netprobe.State) *netprobe.Verdict {
	return &netprobe.Verdict{State: state, Message: "seen: " + string(state)}
}

func network(state netprobe.State) func(*Inputs) {
	return func(in *Inputs) { in.Network = verdict(state) }
}

// wasNetwork: a state was known of the network plug-in the last time.
func wasNetwork(state netprobe.State, more ...func(*Inputs)) func(*Inputs) {
	return func(in *Inputs) {
		before := ready()
		network(state)(&before)
		for _, change := range more {
			change(&before)
		}
		in.Tenant.Status = Compute(before)
		in.Live = live(v1alpha1.GateOpen)
	}
}

// TestNetworkIsolated: what is wrong with the tenant's own policies is said first; only for policies that stand does the plug-in count.
func TestNetworkIsolated(t *testing.T) {
	tooWide, refused := found(v1alpha1.SeverityWarning, compile.CodeNetworkPolicyTooWide), found(v1alpha1.SeverityWarning, compile.CodeExtensionRefused)
	bad, good, dontKnow := network(netprobe.StateNotEnforced), network(netprobe.StateEnforced), network(netprobe.StateUnknown)
	for name, c := range map[string]struct {
		changes []func(*Inputs)
		want    string // NetworkIsolated Ready BAAInForce
	}{
		"not probed":                 {nil, "Unknown/PolicyWritten True/Ready True/InForce"},
		"could not be told":          {[]func(*Inputs){dontKnow}, "Unknown/PolicyWritten True/Ready True/InForce"},
		"enforced":                   {[]func(*Inputs){good}, "True/Verified True/Ready True/InForce"},
		"not enforced":               {[]func(*Inputs){bad}, "False/PluginDoesNotEnforce False/PluginDoesNotEnforce False/MandatorySettingMissing"},
		"not enforced, too wide":     {[]func(*Inputs){bad, tooWide}, "False/NetworkPolicyTooWide False/NetworkPolicyTooWide False/MandatorySettingMissing"},
		"enforced, too wide":         {[]func(*Inputs){good, tooWide}, "False/NetworkPolicyTooWide False/NetworkPolicyTooWide False/MandatorySettingMissing"},
		"enforced, refused":          {[]func(*Inputs){good, refused}, "False/ExtensionRefused False/ExtensionRefused True/InForce"},
		"enforced, failed":           {[]func(*Inputs){good, failed("NetworkPolicy.networking.k8s.io")}, "False/Failed False/Failed False/MandatorySettingMissing"},
		"enforced, never applied":    {[]func(*Inputs){good, invalid(compile.CodeUnknownChannel)}, "False/NotProvisioned False/Invalid True/InForce"},
		"not looked at since":        {[]func(*Inputs){wasNetwork(netprobe.StateEnforced)}, "True/Verified True/Ready True/InForce"},
		"bad, not looked at since":   {[]func(*Inputs){wasNetwork(netprobe.StateNotEnforced)}, "False/PluginDoesNotEnforce False/PluginDoesNotEnforce False/MandatorySettingMissing"},
		"the probe was turned off":   {[]func(*Inputs){wasNetwork(netprobe.StateEnforced), dontKnow}, "Unknown/PolicyWritten True/Ready True/InForce"},
		"not applied, turned bad":    {[]func(*Inputs){wasNetwork(netprobe.StateEnforced), invalid(compile.CodeUnknownChannel), bad}, "False/PluginDoesNotEnforce False/Invalid False/MandatorySettingMissing"},
		"not applied, turned good":   {[]func(*Inputs){wasNetwork(netprobe.StateNotEnforced), invalid(compile.CodeUnknownChannel), good}, "True/Verified False/Invalid True/InForce"},
		"not applied, not looked at": {[]func(*Inputs){wasNetwork(netprobe.StateEnforced), invalid(compile.CodeUnknownChannel)}, "True/Verified False/Invalid True/InForce"},
		"not applied, was refused":   {[]func(*Inputs){wasNetwork(netprobe.StateEnforced, refused), invalid(compile.CodeUnknownChannel), good}, "False/ExtensionRefused False/Invalid True/InForce"},
	} {
		t.Run(name, func(t *testing.T) {
			in := ready()
			for _, change := range c.changes {
				change(&in)
			}
			s := Compute(in)
			var got []string
			for _, kind := range []string{v1alpha1.ConditionNetworkIsolated, v1alpha1.ConditionReady, v1alpha1.ConditionBAAInForce} {
				c := meta.FindStatusCondition(s.Conditions, kind)
				got = append(got, string(c.Status)+"/"+c.Reason)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestNetworkMessages are the probe's own, and stay while it has not been heard of.
func TestNetworkMessages(t *testing.T) {
	in := ready()
	if m := networkMessage(in); m != "the network policies stand; whether the network plug-in enforces them has not been probed" {
		t.Errorf("without a probe it says %q", m)
	}
	for _, state := range netprobe.States() {
		in := ready()
		network(state)(&in)
		if m := networkMessage(in); m != "seen: "+string(state) {
			t.Errorf("%s: it says %q", state, m)
		}
		in = ready()
		wasNetwork(state)(&in)
		if m := networkMessage(in); m != "seen: "+string(state) {
			t.Errorf("%s, after a restart: it says %q", state, m)
		}
	}
}

func networkMessage(in Inputs) string {
	return meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionNetworkIsolated).Message
}

// TestNobodyVouchesForASuspendedTenant: its policies may go, and nobody would put them back.
func TestNobodyVouchesForASuspendedTenant(t *testing.T) {
	for state, want := range map[netprobe.State]string{
		netprobe.StateEnforced: "Unknown/Suspended", netprobe.StateNotEnforced: "False/PluginDoesNotEnforce", netprobe.StateUnknown: "Unknown/PolicyWritten",
	} {
		in := ready()
		wasNetwork(state)(&in)
		c := meta.FindStatusCondition(Suspend(in.Tenant, noon).Conditions, v1alpha1.ConditionNetworkIsolated)
		if got := string(c.Status) + "/" + c.Reason; got != want {
			t.Errorf("%s: suspended it is %s, want %s", state, got, want)
		}
	}
}
