package status

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var (
	noon  = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Hour)
)

// ready is what a reconcile knows at the end of an undisturbed run.
func ready() Inputs {
	t := &v1alpha1.HIPAATenant{}
	t.Name, t.UID, t.Generation = "acme", "u-acme", 3
	t.Spec.Encryption.KeyURI = "vault://transit/acme"
	plan := &compile.Plan{
		Effective:  &v1alpha1.Effective{Regions: []string{"us-east-1", "us-west-2"}},
		Agreement:  compile.Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2030-01-01"},
		Gates:      map[string]v1alpha1.Gate{"acme": v1alpha1.GateOpen},
		FirstGates: map[string]v1alpha1.Gate{"acme": v1alpha1.GateLocked},
	}
	return Inputs{
		Tenant: t, Plan: plan, Now: noon,
		Keys:      Keys{Statuses: []v1alpha1.KeyStatus{{Name: "default", Assurance: v1alpha1.ReasonKMSWrapped}}},
		Applied:   &Applied{UIDs: map[v1alpha1.ObjectRef]types.UID{{Kind: "Namespace", Name: "acme"}: "ns-acme"}},
		Inventory: []v1alpha1.ObjectRef{{Kind: "Namespace", Name: "acme"}},
	}
}

func live(gate v1alpha1.Gate) map[string]compile.Namespace {
	return map[string]compile.Namespace{"acme": {
		UID:    "ns-acme",
		Labels: map[string]string{v1alpha1.LabelTenant: "acme"},
		Facts:  map[string]string{v1alpha1.AnnotationTenantUID: "u-acme", v1alpha1.AnnotationAdmission: string(gate)},
	}}
}

func failed(kind string) func(*Inputs) {
	return func(in *Inputs) {
		in.Applied.Failed = map[v1alpha1.ObjectRef]error{{Kind: kind, Namespace: "acme", Name: "x"}: errors.New("quota exceeded")}
		in.Err = errors.New("quota exceeded")
	}
}

func invalid(code string) func(*Inputs) {
	return func(in *Inputs) {
		in.Plan.Effective, in.Applied = nil, nil
		in.Plan.Findings = []v1alpha1.Finding{{Severity: v1alpha1.SeverityError, Code: code, Path: "spec.x", Message: "not so"}}
	}
}

func found(severity v1alpha1.Severity, code string) func(*Inputs) {
	return func(in *Inputs) {
		in.Plan.Findings = append(in.Plan.Findings, v1alpha1.Finding{Severity: severity, Code: code, Path: "spec.x", Message: "not so"})
	}
}

// wasServing: pods served a disabled channel the last time.
func wasServing(in *Inputs) {
	before := ready()
	found(v1alpha1.SeverityWarning, compile.CodeChannelPodsRunning)(&before)
	in.Tenant.Status = Compute(before)
	in.Live = live(v1alpha1.GateOpen)
}

// wasStale: pods ran with an older config the last time.
func wasStale(in *Inputs) {
	before := ready()
	found(v1alpha1.SeverityInfo, compile.CodeConfigStale)(&before)
	in.Tenant.Status = Compute(before)
	in.Live = live(v1alpha1.GateOpen)
}

// TestPodsByConfig are counted for each namespace, and kept where they were not counted.
func TestPodsByConfig(t *testing.T) {
	counted := ready()
	counted.Plan.Config = map[string]string{"acme": "0"}
	counted.Plan.Consumption = map[string]compile.Consumption{"acme": {Stale: 2, Uninjected: 1}, "elsewhere": {Stale: 9}}
	in := ready()
	in.Tenant.Status = Compute(counted)
	for name, got := range map[string]v1alpha1.HIPAATenantStatus{"counted": in.Tenant.Status, "not counted": Compute(in)} {
		if len(got.Namespaces) != 1 || got.Namespaces[0].StalePods != 2 || got.Namespaces[0].UninjectedPods != 1 {
			t.Errorf("%s: %+v", name, got.Namespaces)
		}
	}
	in.Plan.Config = map[string]string{"acme": "0"}
	if got := Compute(in).Namespaces[0]; got.StalePods != 0 || got.UninjectedPods != 0 {
		t.Errorf("every pod took it, and the status says %+v", got)
	}
}

// TestReadyTellsOfTheConfig, because it is True all the same.
func TestReadyTellsOfTheConfig(t *testing.T) {
	in := ready()
	found(v1alpha1.SeverityInfo, compile.CodeConfigStale)(&in)
	c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionReady)
	if !strings.HasSuffix(c.Message, "not every pod is known to have the settings in force: see ConfigDelivered") {
		t.Errorf("Ready says %q", c.Message)
	}
}

// TestConditions: one change to an undisturbed run, and the conditions it must show, as Type=Status/Reason.
// wasOutside: pods were found outside the last time.
func wasOutside(in *Inputs) {
	before := ready()
	before.Plan.Findings = []v1alpha1.Finding{{Severity: v1alpha1.SeverityWarning, Code: compile.CodePodsMisplaced}}
	in.Tenant.Status = Compute(before)
	in.Live = live(v1alpha1.GateOpen)
}

func TestConditions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Inputs)
		want   []string
	}{
		"undisturbed": {func(*Inputs) {}, []string{
			"Ready=True/Ready", "NamespacesReady=True/Enforced", "BAAInForce=True/InForce", "AdmissionEnforced=True/Enforced",
			"PlacementEnforced=True/Enforced", "NetworkIsolated=Unknown/PolicyWritten", "EncryptionReady=True/KMSWrapped",
			"AccessBound=True/Enforced", "ConfigDelivered=True/Enforced", "Reconciling=", "Stalled=",
		}},
		"a network policy of somebody else is too wide": {
			found(v1alpha1.SeverityWarning, compile.CodeNetworkPolicyTooWide),
			[]string{"NetworkIsolated=False/NetworkPolicyTooWide", "AccessBound=True/Enforced", "Ready=False/NetworkPolicyTooWide", "Reconciling="},
		},
		"a role binding of somebody else is too wide": {
			found(v1alpha1.SeverityWarning, compile.CodeAccessTooWide),
			[]string{"AccessBound=False/AccessTooWide", "NetworkIsolated=Unknown/PolicyWritten", "Ready=False/AccessTooWide", "Reconciling="},
		},
		"a role binding of somebody else, and the operator's could not be written": {
			func(in *Inputs) {
				found(v1alpha1.SeverityWarning, compile.CodeAccessTooWide)(in)
				failed("RoleBinding.rbac.authorization.k8s.io")(in)
			},
			[]string{"AccessBound=False/Failed", "Ready=False/Failed"},
		},
		"software key": {
			func(in *Inputs) { in.Keys.Statuses[0].Assurance = v1alpha1.ReasonSoftwareKey },
			[]string{"EncryptionReady=True/SoftwareKey", "Ready=True/Ready"},
		},
		"Secrets in etcd are encrypted": {
			found(v1alpha1.SeverityInfo, compile.CodeEncryptedAtRest), []string{"EncryptionReady=True/KMSWrapped", "Ready=True/Ready"},
		},
		"Secrets in etcd are encrypted without a KMS": {
			found(v1alpha1.SeverityWarning, compile.CodeAtRestWithoutKMS), []string{"EncryptionReady=True/KMSWrapped", "Ready=True/Ready"},
		},
		"Secrets in etcd are plaintext": {
			found(v1alpha1.SeverityWarning, compile.CodeNotEncryptedAtRest),
			[]string{"EncryptionReady=False/NotEncryptedAtRest", "Ready=True/Ready", "Reconciling=", "Stalled="},
		},
		"older Secrets in etcd are plaintext": {
			found(v1alpha1.SeverityWarning, compile.CodePlaintextAtRest), []string{"EncryptionReady=False/PlaintextAtRest", "Ready=True/Ready"},
		},
		"Secrets in etcd were not observed": {
			found(v1alpha1.SeverityWarning, compile.CodeAtRestUnknown), []string{"EncryptionReady=Unknown/AtRestUnknown", "Ready=True/Ready"},
		},
		"Secrets in etcd are vouched for": {
			found(v1alpha1.SeverityInfo, compile.CodeAtRestAttested), []string{"EncryptionReady=Unknown/AtRestAttested", "Ready=True/Ready"},
		},
		"KMS refused, and Secrets in etcd are plaintext": {
			func(in *Inputs) {
				found(v1alpha1.SeverityWarning, compile.CodeNotEncryptedAtRest)(in)
				in.Keys = Keys{Reason: v1alpha1.ReasonKMSRefused, Message: "permission denied"}
			},
			[]string{"EncryptionReady=False/KMSRefused", "Ready=False/KMSRefused"},
		},
		"KMS unreachable": {
			func(in *Inputs) { in.Keys = Keys{Reason: v1alpha1.ReasonKMSUnreachable, Message: "no answer"} },
			[]string{"EncryptionReady=Unknown/KMSUnreachable", "Ready=False/KMSUnreachable", "Reconciling=True/KMSUnreachable", "Stalled="},
		},
		"KMS refused": {
			func(in *Inputs) { in.Keys = Keys{Reason: v1alpha1.ReasonKMSRefused, Message: "permission denied"} },
			[]string{"EncryptionReady=False/KMSRefused", "Ready=False/KMSRefused", "Reconciling=", "Stalled="},
		},
		"foreign keyset": {
			func(in *Inputs) { in.Keys = Keys{Reason: v1alpha1.ReasonForeignKeyMaterial} },
			[]string{"EncryptionReady=False/ForeignKeyMaterial", "Ready=False/ForeignKeyMaterial"},
		},
		"policies missing": {
			func(in *Inputs) { in.AdmissionProblems = []string{"ValidatingAdmissionPolicy x: Missing"} },
			[]string{"AdmissionEnforced=False/PoliciesMissing", "PlacementEnforced=False/PoliciesMissing", "Ready=False/PoliciesMissing", "Reconciling=True/PoliciesMissing"},
		},
		"agreement lapsed": {
			func(in *Inputs) { in.Plan.Agreement = compile.Verdict{Reason: v1alpha1.ReasonExpired} },
			[]string{"BAAInForce=False/Expired", "Ready=False/Expired", "NamespacesReady=True/Enforced"},
		},
		"frozen": {
			func(in *Inputs) { in.Plan.Gates["acme"] = v1alpha1.GateFrozen },
			[]string{"NamespacesReady=False/Frozen", "Ready=False/Frozen"},
		},
		"quarantined": {
			func(in *Inputs) { in.Plan.Gates["acme"] = v1alpha1.GateQuarantined },
			[]string{"NamespacesReady=False/Quarantined", "Ready=False/Quarantined"},
		},
		"locked": {
			func(in *Inputs) { in.Plan.Gates["acme"] = v1alpha1.GateLocked },
			[]string{"NamespacesReady=False/Locked", "Ready=False/Locked"},
		},
		"region without nodes": {
			func(in *Inputs) {
				in.Plan.Findings = []v1alpha1.Finding{{Severity: v1alpha1.SeverityWarning, Code: compile.CodeRegionWithoutNodes}}
			},
			[]string{"PlacementEnforced=True/RegionWithoutNodes", "Ready=True/Ready"},
		},
		"pods outside": {
			func(in *Inputs) {
				in.Plan.Findings = []v1alpha1.Finding{
					{Severity: v1alpha1.SeverityWarning, Code: compile.CodeRegionWithoutNodes},
					{Severity: v1alpha1.SeverityWarning, Code: compile.CodeVolumesOutsideRegions},
					{Severity: v1alpha1.SeverityWarning, Code: compile.CodePodsMisplaced, Message: "two"},
				}
			},
			[]string{"PlacementEnforced=False/PodsMisplaced", "Ready=False/PodsMisplaced", "Reconciling=", "Stalled="},
		},
		"volumes outside": {
			func(in *Inputs) {
				in.Plan.Findings = []v1alpha1.Finding{{Severity: v1alpha1.SeverityWarning, Code: compile.CodeVolumesOutsideRegions}}
			},
			[]string{"PlacementEnforced=False/VolumesOutsideRegions", "Ready=False/VolumesOutsideRegions"},
		},
		"pods outside and the spec cannot be honoured": {
			func(in *Inputs) {
				invalid(compile.CodeRegionNotEligible)(in)
				in.Plan.Findings = append(in.Plan.Findings, v1alpha1.Finding{Severity: v1alpha1.SeverityWarning, Code: compile.CodePodsMisplaced})
			},
			[]string{"PlacementEnforced=False/PodsMisplaced", "Ready=False/Invalid"},
		},
		"pods were outside, and the spec cannot be honoured": {
			func(in *Inputs) {
				wasOutside(in)
				invalid(compile.CodeRegionNotEligible)(in)
			},
			[]string{"PlacementEnforced=Unknown/Progressing", "Ready=False/Invalid"},
		},
		"pods were outside, and the profile is gone": {
			func(in *Inputs) {
				wasOutside(in)
				*in.Plan = compile.Plan{Waiting: []string{"HIPAAProfile default"}}
				in.Applied = nil
			},
			[]string{"PlacementEnforced=False/PodsMisplaced", "Ready=False/Waiting"},
		},
		"pods were outside": {wasOutside, []string{"PlacementEnforced=True/Enforced", "Ready=True/Ready"}},
		"pods of a disabled channel": {
			found(v1alpha1.SeverityWarning, compile.CodeChannelPodsRunning),
			[]string{"ConfigDelivered=False/ChannelPodsRunning", "Ready=False/ChannelPodsRunning", "Reconciling=", "Stalled="},
		},
		"pods of a disabled channel, and config not written": {
			func(in *Inputs) {
				found(v1alpha1.SeverityWarning, compile.CodeChannelPodsRunning)(in)
				failed("ConfigMap")(in)
			},
			[]string{"ConfigDelivered=False/Failed", "Ready=False/Failed"},
		},
		"a network policy of somebody else, and the spec cannot be honoured": {
			func(in *Inputs) {
				invalid(compile.CodeUnknownChannel)(in)
				found(v1alpha1.SeverityWarning, compile.CodeNetworkPolicyTooWide)(in)
			},
			[]string{"NetworkIsolated=False/NetworkPolicyTooWide", "Ready=False/Invalid"},
		},
		"pods of a disabled channel, and the spec cannot be honoured": {
			func(in *Inputs) {
				invalid(compile.CodeUnknownChannel)(in)
				found(v1alpha1.SeverityWarning, compile.CodeChannelPodsRunning)(in)
			},
			[]string{"ConfigDelivered=False/ChannelPodsRunning", "Ready=False/Invalid"},
		},
		"pods served a disabled channel, and the spec cannot be honoured": {
			func(in *Inputs) {
				wasServing(in)
				invalid(compile.CodeUnknownChannel)(in)
			},
			[]string{"ConfigDelivered=Unknown/Progressing", "Ready=False/Invalid"},
		},
		"pods served a disabled channel, and the profile is gone": {
			func(in *Inputs) {
				wasServing(in)
				*in.Plan = compile.Plan{Waiting: []string{"HIPAAProfile default"}}
				in.Applied = nil
			},
			[]string{"ConfigDelivered=False/ChannelPodsRunning", "Ready=False/Waiting"},
		},
		"pods served a disabled channel": {wasServing, []string{"ConfigDelivered=True/Enforced", "Ready=True/Ready"}},
		"pods with an older config": {
			func(in *Inputs) {
				found(v1alpha1.SeverityInfo, compile.CodeConfigUnknown)(in)
				found(v1alpha1.SeverityInfo, compile.CodeConfigStale)(in)
			},
			[]string{"ConfigDelivered=True/ConfigStale", "Ready=True/Ready", "Reconciling=", "Stalled="},
		},
		"pods that asked for no config": {
			found(v1alpha1.SeverityInfo, compile.CodeConfigUnknown), []string{"ConfigDelivered=True/ConfigUnknown", "Ready=True/Ready"},
		},
		"pods with an older config, of a disabled channel": {
			func(in *Inputs) {
				found(v1alpha1.SeverityInfo, compile.CodeConfigStale)(in)
				found(v1alpha1.SeverityWarning, compile.CodeChannelPodsRunning)(in)
			},
			[]string{"ConfigDelivered=False/ChannelPodsRunning", "Ready=False/ChannelPodsRunning"},
		},
		"pods had an older config, and the spec cannot be honoured": {
			func(in *Inputs) {
				wasStale(in)
				invalid(compile.CodeUnknownChannel)(in)
				in.Plan.Config = map[string]string{"acme": "0"}
			},
			[]string{"ConfigDelivered=True/Enforced", "Ready=False/Invalid"},
		},
		"pods had an older config, and the profile is gone": {
			func(in *Inputs) {
				wasStale(in)
				*in.Plan = compile.Plan{Waiting: []string{"HIPAAProfile default"}}
				in.Applied = nil
			},
			[]string{"ConfigDelivered=True/ConfigStale", "Ready=False/Waiting"},
		},
		"network policy not written": {failed("NetworkPolicy.networking.k8s.io"), []string{
			"NetworkIsolated=False/Failed", "Ready=False/Failed", "Reconciling=True/Failed", "AccessBound=False/NotProvisioned", "NamespacesReady=False/Locked",
		}},
		"namespace not written":    {failed("Namespace"), []string{"NamespacesReady=False/Failed", "PlacementEnforced=False/Failed"}},
		"role binding not written": {failed("RoleBinding.rbac.authorization.k8s.io"), []string{"AccessBound=False/Failed"}},
		"config not written":       {failed("ConfigMap"), []string{"ConfigDelivered=False/Failed"}},
		"keyset not written":       {failed("Secret"), []string{"EncryptionReady=False/Failed"}},
		"something else went wrong": {
			func(in *Inputs) { in.Err = errors.New("no route") },
			[]string{"Ready=False/Failed", "Reconciling=True/Failed", "Stalled="},
		},
		"invalid and never provisioned": {invalid(compile.CodeRegionNotEligible), []string{
			"Ready=False/Invalid", "Stalled=True/Invalid", "Reconciling=", "NamespacesReady=False/NotProvisioned",
			"NetworkIsolated=False/NotProvisioned", "PlacementEnforced=False/NotProvisioned",
		}},
		"namespace conflict": {invalid(compile.CodeNamespaceConflict), []string{
			"Ready=False/NamespaceConflict", "Stalled=True/NamespaceConflict", "NamespacesReady=False/NamespaceConflict",
		}},
		"invalid and provisioned": {
			func(in *Inputs) {
				in.Tenant.Status = Compute(ready())
				in.Live = live(v1alpha1.GateOpen)
				invalid(compile.CodeRegionNotEligible)(in)
			},
			[]string{"Ready=False/Invalid", "NamespacesReady=True/Enforced", "NetworkIsolated=Unknown/PolicyWritten", "AccessBound=True/Enforced"},
		},
		"invalid, and only narrowed: it vouches for nothing that was not so before": {
			func(in *Inputs) {
				before := ready()
				failed("RoleBinding.rbac.authorization.k8s.io")(&before)
				in.Tenant.Status = Compute(before)
				in.Plan.Effective, in.Plan.Kept = nil, &v1alpha1.Effective{Regions: []string{"us-east-1"}}
				in.Plan.Gates["acme"] = v1alpha1.GateFrozen
				found(v1alpha1.SeverityError, compile.CodeRegionNotEligible)(in)
			},
			[]string{
				"Ready=False/Invalid", "Stalled=True/Invalid", "AccessBound=False/Failed", "ConfigDelivered=False/NotProvisioned",
				"PlacementEnforced=True/Enforced", "NamespacesReady=False/Frozen",
			},
		},
		"profile missing": {
			func(in *Inputs) { *in.Plan = compile.Plan{Waiting: []string{"HIPAAProfile default"}}; in.Applied = nil },
			[]string{"Ready=False/Waiting", "Reconciling=True/Waiting", "Stalled=", "BAAInForce=Unknown/Waiting"},
		},
		"nowhere to run": {
			func(in *Inputs) { in.Plan.Effective.Regions = nil },
			[]string{"PlacementEnforced=True/Enforced"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := ready()
			c.change(&in)
			s := Compute(in)
			for _, want := range c.want {
				kind, _, _ := strings.Cut(want, "=")
				if got := shown(s, kind); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			wellFormed(t, s, in.Tenant.Generation)
		})
	}
}

// wellFormed holds for every status: one condition of a type, Reconciling and Stalled only while True and never both,
// Ready never True beside them (the kstatus convention).
func wellFormed(t *testing.T, s v1alpha1.HIPAATenantStatus, generation int64) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range s.Conditions {
		if seen[c.Type] {
			t.Errorf("two conditions %s", c.Type)
		}
		seen[c.Type] = true
		abnormal := c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled
		if abnormal && (c.Status != yes || meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady)) {
			t.Errorf("%s=%s beside Ready=%v", c.Type, c.Status, shown(s, v1alpha1.ConditionReady))
		}
	}
	if seen[v1alpha1.ConditionReconciling] && seen[v1alpha1.ConditionStalled] {
		t.Error("Reconciling and Stalled at once")
	}
	if s.ObservedGeneration != generation {
		t.Errorf("observedGeneration %d, want %d", s.ObservedGeneration, generation)
	}
}

func shown(s v1alpha1.HIPAATenantStatus, kind string) string {
	c := meta.FindStatusCondition(s.Conditions, kind)
	if c == nil {
		return kind + "="
	}
	return kind + "=" + string(c.Status) + "/" + c.Reason
}

// Computing twice from the same facts writes nothing new; a transition keeps its time while the status stays.
func TestSteady(t *testing.T) {
	in := ready()
	first := Compute(in)
	in.Tenant.Status, in.Now = first, later
	in.Live = live(v1alpha1.GateOpen)
	if diff := cmp.Diff(first, Compute(in)); diff != "" {
		t.Errorf("an hour later, nothing changed (-first +second):\n%s", diff)
	}
	in.AdmissionProblems = []string{"x"}
	c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionReady)
	if !c.LastTransitionTime.Time.Equal(later) {
		t.Errorf("Ready turned False at %s, want %s", c.LastTransitionTime, later)
	}
}

func TestNamespaces(t *testing.T) {
	in := ready()
	in.Live = live(v1alpha1.GateOpen)
	in.Live["foreign"] = compile.Namespace{UID: "f", Labels: map[string]string{v1alpha1.LabelTenant: "birch"}}
	in.Applied.Failed = map[v1alpha1.ObjectRef]error{{Kind: "Secret"}: errors.New("x")}
	in.Plan.Gates["acme"], in.Plan.FirstGates = v1alpha1.GateFrozen, map[string]v1alpha1.Gate{"acme": v1alpha1.GateOpen}
	want := []v1alpha1.NamespaceStatus{{Name: "acme", UID: "ns-acme", Gate: v1alpha1.GateOpen}}
	if diff := cmp.Diff(want, Compute(in).Namespaces); diff != "" {
		t.Errorf("the last wave was not reached, so the gate is the first wave's (-want +got):\n%s", diff)
	}
}

func TestEffectiveIsWhatWasApplied(t *testing.T) {
	in := ready()
	old := &v1alpha1.Effective{Profile: "old"}
	in.Tenant.Status.Effective = old
	failed("Secret")(&in)
	if got := Compute(in).Effective; got.Profile != "old" {
		t.Errorf("effective %+v after a failed apply, want the old one", got)
	}
	in = ready()
	in.Tenant.Status = Compute(in)
	in.Plan.Kept, in.Plan.Effective = &v1alpha1.Effective{Regions: []string{"us-west-2"}}, nil
	after := Compute(in)
	if got := after.Effective.Regions; len(got) != 1 || got[0] != "us-west-2" {
		t.Errorf("effective regions %v after a plan that narrows, want what is left", got)
	}
	if c := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionPlacementEnforced); c.Message != "new pods are let into us-west-2" {
		t.Errorf("PlacementEnforced says %q", c.Message)
	}
	in = ready()
	in.Tenant.Status.Keys = []v1alpha1.KeyStatus{{Name: "kept"}}
	in.Keys = Keys{Reason: v1alpha1.ReasonKMSUnreachable}
	if got := Compute(in).Keys; len(got) != 1 || got[0].Name != "kept" {
		t.Errorf("keys %+v while the KMS is away, want those known before", got)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	in := ready()
	in.AdmissionProblems = []string{strings.Repeat("x", 9000)}
	for _, c := range Compute(in).Conditions {
		if len(c.Message) > MaxText {
			t.Errorf("%s has %d characters", c.Type, len(c.Message))
		}
	}
}

func TestOtherStatuses(t *testing.T) {
	in := ready()
	in.Tenant.Status = Compute(in)
	in.Tenant.Generation = 4
	refs := []v1alpha1.ObjectRef{{Kind: "Namespace", Name: "acme"}, {Kind: "Namespace", Name: "new"}}
	for name, c := range map[string]struct {
		got  v1alpha1.HIPAATenantStatus
		want []string
	}{
		"remember": {Remember(in.Tenant, refs, later), []string{"Ready=False/Progressing", "Reconciling=True/Progressing", "Stalled=", "AccessBound=True/Enforced"}},
		"suspend":  {Suspend(in.Tenant, later), []string{"Ready=Unknown/Suspended", "BAAInForce=Unknown/Suspended", "Reconciling=", "Stalled="}},
		"delete":   {Delete(in.Tenant, "stuck", later), []string{"Ready=False/Deleting", "Reconciling=True/Deleting"}},
	} {
		for _, want := range c.want {
			kind, _, _ := strings.Cut(want, "=")
			if got := shown(c.got, kind); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		wellFormed(t, c.got, 4)
	}
	once := in.Tenant.DeepCopy()
	once.Status = Suspend(in.Tenant, later)
	if diff := cmp.Diff(once.Status, Suspend(once, later)); diff != "" {
		t.Errorf("a suspended tenant says something else the next time:\n%s", diff)
	}
	if diff := cmp.Diff(refs, Remember(in.Tenant, refs, later).Inventory); diff != "" {
		t.Error(diff)
	}
	if c := meta.FindStatusCondition(Suspend(in.Tenant, later).Conditions, v1alpha1.ConditionAccessBound); c.ObservedGeneration != 3 {
		t.Errorf("a suspended tenant vouches for generation %d", c.ObservedGeneration)
	}
}
