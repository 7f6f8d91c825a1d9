// Package fields has, for every field a user can write, a change of it and where the change is to show. Tests take the list
// of fields from the types, so a field without a case fails them: give it one, in the table of its kind.
package fields

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// Part of what the operator makes of a spec.
type Part string

// Parts, in which a change can show. A change that shows in Objects may show elsewhere too; any other one changes no object.
const (
	// Objects the operator owns, the config in ConfigMap hipaa-config among them.
	Objects Part = "objects"
	// Keys are what is asked of the keyring: which data keys, wrapped by which key, how old.
	Keys Part = "keys"
	// Findings say what is out of place. What was enforced stays.
	Findings Part = "findings"
	// Narrowed: the spec cannot be honoured, and what stands is narrowed until it can.
	Narrowed Part = "narrowed"
	// Effective is status.effective.
	Effective Part = "effective"
	// Agreement is the verdict on the tenant's agreement.
	Agreement Part = "agreement"
	// Wake is when time alone changes the plan.
	Wake Part = "wake"
	// Evictions of pods.
	Evictions Part = "evictions"
	// Access is the verdict on an emergency access.
	Access Part = "access"
	// Associates are the verdicts on business associates.
	Associates Part = "associates"
	// Nowhere: the field rightly changes nothing; Why says where it is read instead.
	Nowhere Part = "nowhere"
	// Fixed: the API server takes one value alone.
	Fixed Part = "fixed"
)

// Case is a change of one field.
type Case struct {
	// Path of the field in spec, with [] for every item of a list.
	Path string
	// Given prepares the world, for a field that matters only then. Nil: nothing to prepare.
	Given func(*World)
	// Edit changes the field. Nil when it is Fixed.
	Edit func(*World)
	// In is where it shows.
	In Part
	// Why it shows nowhere, or has one value.
	Why string
}

// World is a tenant, and what its plan depends on.
type World struct {
	Tenant     *v1alpha1.HIPAATenant
	Profile    *v1alpha1.HIPAAProfile
	Other      *v1alpha1.HIPAAProfile
	Associates map[string]*v1alpha1.BusinessAssociate
}

// Names in the world.
const (
	Name     = "fields"
	App      = "fields-app"
	Data     = "fields-data"
	Customer = "fields-customer-key"
	Plain    = "fields-plain"
	Vendor   = "fields-vendor"
	Officer  = "system:serviceaccount:hipaa-ops:officer"
)

// Prepared is the world as the case finds it.
func (c Case) Prepared() *World {
	w := New()
	if c.Given != nil {
		c.Given(w)
	}
	return w
}

// Changed is the world after the case's change.
func (c Case) Changed() *World {
	w := c.Prepared()
	if c.Edit != nil {
		c.Edit(w)
	}
	return w
}

// New makes a world in which every field matters, and nothing is out of place.
func New() *World {
	w := &World{Tenant: newTenant(), Profile: newProfile(Name), Other: newProfile(Name + "-other"), Associates: map[string]*v1alpha1.BusinessAssociate{}}
	w.Other.Spec.DNS.Namespace = "fields-dns-other"
	for name, cidr := range map[string]v1alpha1.CIDR{"fields-cloud": "198.51.100.0/28", Vendor: "198.51.100.16/28", "fields-second": "198.51.100.32/28", "fields-relay": "198.51.100.48/28"} {
		w.Associates[name] = fixture.Associate(name, func(a *v1alpha1.BusinessAssociate) {
			a.Spec.Services, a.Spec.BAA.Scope, a.Spec.BAA.LastVerifiedOn = []string{"helpdesk"}, []string{"helpdesk"}, "2026-06-01"
			a.Spec.Endpoints[0].CIDRs = []v1alpha1.CIDR{cidr}
			a.Spec.Endpoints[0].Hosts = []v1alpha1.Host{"api." + v1alpha1.Host(name) + ".example"}
		})
	}
	w.vendor().Subcontractors, w.vendor().Channels = []v1alpha1.Name{"fields-relay"}, []v1alpha1.Name{"voice"}
	return w
}

func newTenant() *v1alpha1.HIPAATenant {
	return fixture.Tenant(Name, func(t *v1alpha1.HIPAATenant) {
		s := &t.Spec
		s.Profile, s.FailoverRegions = Name, []v1alpha1.Region{fixture.FailoverRegion}
		s.BAA.LastVerifiedOn, s.BAA.Scope = "2026-06-01", []string{"helpdesk"}
		s.Encryption = v1alpha1.Encryption{
			KeyURI: "vault://transit/" + Name, RotationPeriod: "720h", DataKeys: []v1alpha1.DataKey{{Name: "records"}}, StorageClasses: []string{Customer, Plain},
		}
		s.IPAllowlist, s.SessionTimeout, s.DisabledChannels = []v1alpha1.CIDR{"203.0.113.0/24", "2001:db8:12::/48"}, "10m", []v1alpha1.Name{"fax"}
		s.Namespaces = []v1alpha1.TenantNamespace{{Name: App}, {Name: Data}}
		s.BusinessAssociates = []v1alpha1.Name{Vendor}
		s.Roles = []v1alpha1.RoleGrant{
			{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "fields-devs"}}, ExpiresOn: "2033-01-01"},
			{Role: "Auditor", Subjects: []v1alpha1.Subject{{Kind: "ServiceAccount", Name: "ci", Namespace: App}}},
		}
		s.Application = &v1alpha1.Application{
			CallRecording: "Manual", RecordingRetention: "720h", SearchableFields: []string{"ticketId"},
			HiddenFields: []v1alpha1.HiddenFields{{Role: "agent", Fields: []string{"ssn"}}},
			Mailbox:      &v1alpha1.Mailbox{Host: "mail.fields.example", CIDRs: []v1alpha1.CIDR{"192.0.2.25/32"}, Port: 587, TLS: "Required"},
		}
		s.Exposure = &v1alpha1.Exposure{PodSelector: selector("edge")}
		s.Quota = quota()
		s.Attestations = []v1alpha1.Attestation{attestation("164.310(c)")}
		s.DeletionPolicy = v1alpha1.DeletionRetain
	})
}

func newProfile(name string) *v1alpha1.HIPAAProfile {
	return fixture.Profile(name, func(p *v1alpha1.HIPAAProfile) {
		s := &p.Spec
		for i := range s.Regions {
			s.Regions[i].BusinessAssociate = "fields-cloud"
		}
		s.Channels = append(s.Channels, v1alpha1.Channel{Name: "voice"}, v1alpha1.Channel{Name: "pager", Ports: []v1alpha1.Port{{Port: 444, Protocol: "TCP"}}})
		s.Channels[1].CIDRs, s.Channels[1].Hosts = []v1alpha1.CIDR{"198.51.100.24/29"}, []v1alpha1.Host{"fax.example"}
		s.RequiredDisabledChannels = []v1alpha1.Name{"sms"}
		s.StorageClasses = &v1alpha1.StorageClassRules{Allowed: []string{Customer, Plain}}
		s.Gateways = []v1alpha1.PeerPods{{Namespace: "fields-edge", PodSelector: selector("gateway")}}
		s.DNS = &v1alpha1.PeerPods{Namespace: "fields-dns", PodSelector: selector("dns")}
		s.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: []v1alpha1.CIDR{"192.0.2.10/32"}, Port: 6443}
		s.Services = []string{"helpdesk"}
		s.BAA = &v1alpha1.BAARules{WarnBefore: "720h", ReverifyEvery: "26280h", OnLapse: v1alpha1.LapseFreeze}
		s.Placement = &v1alpha1.PlacementRules{OnMisplaced: "Report"}
		s.EmergencyAccess = &v1alpha1.EmergencyAccessRules{
			MaxDuration: "4h", Approvers: []v1alpha1.Subject{{Kind: "ServiceAccount", Name: "officer", Namespace: "hipaa-ops"}},
		}
		s.RequiredAttestations = []v1alpha1.RequiredAttestation{
			{Citation: "164.310(c)", Reason: "no cluster sees a workstation", ReviewedOn: "2026-05-01"},
			{Citation: "164.310(a)(1)", Reason: "no cluster sees a door", ReviewedOn: "2026-05-01"},
		}
		s.Attestations = []v1alpha1.Attestation{attestation("164.310(a)(1)")}
	})
}

func attestation(citation v1alpha1.Citation) v1alpha1.Attestation {
	return v1alpha1.Attestation{
		Citation: citation, Statement: "it is so", By: "Dana Ruiz", On: "2026-03-01", ExpiresOn: "2030-03-01",
		Evidence: &v1alpha1.Document{URI: "https://contracts.example/evidence.pdf", SHA256: hash("0")},
	}
}

func selector(app string) v1alpha1.PodSelector {
	return v1alpha1.PodSelector{MatchLabels: map[string]string{"app": app}}
}

func quota() *v1alpha1.Quota {
	return &v1alpha1.Quota{CPU: resource.MustParse("8"), Memory: resource.MustParse("32Gi"), Pods: 100, Storage: resource.MustParse("500Gi")}
}

func hash(digit string) v1alpha1.SHA256 { return v1alpha1.SHA256(strings.Repeat(digit, 64)) }

func (w *World) tenant() *v1alpha1.HIPAATenantSpec   { return &w.Tenant.Spec }
func (w *World) profile() *v1alpha1.HIPAAProfileSpec { return &w.Profile.Spec }
func (w *World) vendor() *v1alpha1.BusinessAssociateSpec {
	return &w.Associates[Vendor].Spec
}
