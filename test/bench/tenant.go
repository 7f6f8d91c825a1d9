package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// tenantPrefix begins the name of every tenant that is counted, and so of its only namespace.
const tenantPrefix = "bench-"

func tenantName(i int) string { return fmt.Sprintf("%s%05d", tenantPrefix, i) }

// objectsPerTenant is what the representative tenant becomes.
const objectsPerTenant = 14

const associateName = "clearinghouse"

func benchProfile() *v1alpha1.HIPAAProfile {
	return fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Gateways = []v1alpha1.PeerPods{{
			Namespace: "edge", PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"app": "gateway"}},
		}}
	})
}

func benchAssociate() *v1alpha1.BusinessAssociate { return fixture.Associate(associateName) }

// benchTenant is a tenant as most are: one namespace, one vendor, a mail server, two roles, a closed channel.
func benchTenant(name string) *v1alpha1.HIPAATenant {
	return fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
		t.Spec.Encryption.KeyURI = "local://bench"
		t.Spec.DisabledChannels = []v1alpha1.Name{"sms"}
		t.Spec.BusinessAssociates = []v1alpha1.Name{associateName}
		t.Spec.Roles = []v1alpha1.RoleGrant{
			{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: name + "-developers"}}},
			{Role: "Auditor", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "auditors"}}},
		}
		t.Spec.Application = &v1alpha1.Application{
			CallRecording: "Manual", RecordingRetention: "720h", SearchableFields: []string{"ticketId", "status"},
			Mailbox: &v1alpha1.Mailbox{
				Host: "mail.acme.example", CIDRs: []v1alpha1.CIDR{"198.51.100.200/32"}, Port: 587, TLS: "Required",
			},
		}
	})
}

// drawer draws what the operator makes of a tenant, with the operator's own pure code.
type drawer struct {
	clusterUID string
	ring       *keyring.Ring
}

func newDrawer(clusterUID string) *drawer {
	return &drawer{clusterUID: clusterUID, ring: keyring.New(clock.RealClock{}, local.New(keyringtest.NewShelf(), clock.RealClock{}))}
}

// drawing is a tenant in its end state.
type drawing struct {
	// objects, the namespace first.
	objects []runtime.ApplyConfiguration
	status  v1alpha1.HIPAATenantStatus
}

// draw takes a tenant as the API server returned it: its UID stands on the namespace.
func (d *drawer) draw(ctx context.Context, t *v1alpha1.HIPAATenant) (drawing, error) {
	facts := compile.Facts{
		Profile:           benchProfile(),
		Associates:        map[string]*v1alpha1.BusinessAssociate{associateName: benchAssociate()},
		Nodes:             &compile.Survey{Ready: map[string]int{fixture.Region: 1}},
		AdmissionEnforced: true,
		OperatorNamespace: v1alpha1.OperatorNamespace,
		Now:               time.Now(),
		Extensions:        map[string]extension.API{},
	}
	// What is found of the API server of a benchmark: it has no encryption configuration, and serves no optional API.
	verdict := atrest.Judge([]string{"one"}, []atrest.Sample{{Server: "one", Writers: []string{""}, Unnamed: true}})
	facts.AtRest = &verdict
	for _, kind := range extension.Kinds() {
		facts.Extensions[kind.String()] = extension.API{State: extension.Absent}
	}
	namespaces := compile.NamespaceNames(t)
	keys, err := d.ring.Ensure(ctx, keyring.Request{
		ClusterUID: d.clusterUID, Tenant: t.Name, TenantUID: string(t.UID), KeyURI: t.Spec.Encryption.KeyURI,
		RotationPeriod: facts.Profile.Spec.Keys.MaxRotationPeriod.Value(),
		DataKeys:       compile.DataKeyNames(t), Namespaces: namespaces,
	})
	if err != nil {
		return drawing{}, err
	}
	facts.Keysets = map[string]compile.Keyset{}
	for _, namespace := range namespaces {
		facts.Keysets[namespace] = compile.Keyset{Document: keys.Keysets[namespace]}
	}
	plan := compile.Compile(t, facts)
	out := drawing{objects: endState(plan), status: finalStatus(t, plan, keys.Keys)}
	own := slices.DeleteFunc(slices.Clone(plan.Findings), compile.OfCluster)
	if !plan.Writable() || len(own) > 0 || len(out.objects) != objectsPerTenant {
		return out, fmt.Errorf("expected %d objects and no findings of tenant %s, found %d and %v: adapt benchTenant", objectsPerTenant, t.Name, len(out.objects), plan.Findings)
	}
	return out, nil
}

// endState is every object of the plan once, the namespace as the last wave leaves it.
func endState(plan *compile.Plan) []runtime.ApplyConfiguration {
	waves := plan.Waves()
	last := len(waves) - 1
	objects := append([]runtime.ApplyConfiguration{}, waves[last]...)
	for _, wave := range waves[1:last] {
		objects = append(objects, wave...)
	}
	return objects
}

// finalStatus is the status of a tenant of whom everything stands. UIDs have the length of real ones.
func finalStatus(t *v1alpha1.HIPAATenant, plan *compile.Plan, keys []v1alpha1.KeyStatus) v1alpha1.HIPAATenantStatus {
	uids := map[v1alpha1.ObjectRef]types.UID{}
	for _, ref := range plan.Refs() {
		uids[ref] = t.UID
	}
	return status.Compute(status.Inputs{
		Tenant: t, Plan: plan, Keys: status.Keys{Statuses: keys}, Applied: &status.Applied{UIDs: uids},
		Inventory: plan.Refs(), Now: time.Now(),
	})
}
