package compile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// configOf resolves a tenant of the fixture profile, whose catalogue is sms and fax, and returns its config.
func configOf(t *testing.T, change func(*v1alpha1.HIPAATenant)) configDocument {
	t.Helper()
	f := factsFor(fixture.Profile("default"))
	p := newPlan()
	r := resolve(fixture.Tenant("acme", change), f, p)
	if p.Invalid() {
		t.Fatalf("the tenant cannot be resolved: %v", p.Findings)
	}
	return r.config()
}

func withApplication(change func(*v1alpha1.Application)) func(*v1alpha1.HIPAATenant) {
	return func(h *v1alpha1.HIPAATenant) {
		h.Spec.Application = &v1alpha1.Application{}
		change(h.Spec.Application)
	}
}

// configChanges are a change of every value the config delivers.
var configChanges = map[string]func(*v1alpha1.HIPAATenant){
	"tenant":                func(h *v1alpha1.HIPAATenant) { h.Name = "birch" },
	"region":                func(h *v1alpha1.HIPAATenant) { h.Spec.Region = fixture.FailoverRegion },
	"failover regions":      func(h *v1alpha1.HIPAATenant) { h.Spec.FailoverRegions = []v1alpha1.Region{fixture.FailoverRegion} },
	"session timeout":       func(h *v1alpha1.HIPAATenant) { h.Spec.SessionTimeout = "14m59s" },
	"disabled channels":     func(h *v1alpha1.HIPAATenant) { h.Spec.DisabledChannels = []v1alpha1.Name{"sms"} },
	"all disabled channels": func(h *v1alpha1.HIPAATenant) { h.Spec.DisabledChannels = []v1alpha1.Name{"sms", "fax"} },
	"metadata URL":          func(h *v1alpha1.HIPAATenant) { h.Spec.Authentication.SSO.MetadataURL += "2" },
	"protocol": func(h *v1alpha1.HIPAATenant) {
		h.Spec.Authentication.SSO = &v1alpha1.SSO{Protocol: "OIDC", IssuerURL: "https://idp.acme.example"}
	},
	"password":            password(v1alpha1.PasswordPolicy{MinLength: 14, MFA: "Required"}),
	"password's length":   password(v1alpha1.PasswordPolicy{MinLength: 15, MFA: "Required"}),
	"password's age":      password(v1alpha1.PasswordPolicy{MinLength: 14, MFA: "Required", MaxAge: "24h"}),
	"password's history":  password(v1alpha1.PasswordPolicy{MinLength: 14, MFA: "Required", History: 3}),
	"call recording":      withApplication(func(a *v1alpha1.Application) { a.CallRecording = "Manual" }),
	"recording retention": withApplication(func(a *v1alpha1.Application) { a.RecordingRetention = "1h" }),
	"searchable fields":   withApplication(func(a *v1alpha1.Application) { a.SearchableFields = []string{"ticketId"} }),
	"more of them":        withApplication(func(a *v1alpha1.Application) { a.SearchableFields = []string{"ticketId", "status"} }),
	"hidden fields": withApplication(func(a *v1alpha1.Application) {
		a.HiddenFields = []v1alpha1.HiddenFields{{Role: "agent", Fields: []string{"ssn"}}}
	}),
	"the role of them": withApplication(func(a *v1alpha1.Application) {
		a.HiddenFields = []v1alpha1.HiddenFields{{Role: "night-nurse", Fields: []string{"ssn"}}}
	}),
	"mailbox":          mailbox(v1alpha1.Mailbox{Host: "mail.acme.example", CIDRs: cidrs("198.51.100.25/32"), Port: 587, TLS: "Required"}),
	"mailbox's host":   mailbox(v1alpha1.Mailbox{Host: "mx.acme.example", CIDRs: cidrs("198.51.100.25/32"), Port: 587, TLS: "Required"}),
	"mailbox's port":   mailbox(v1alpha1.Mailbox{Host: "mail.acme.example", CIDRs: cidrs("198.51.100.25/32"), Port: 465, TLS: "Required"}),
	"mailbox's ranges": mailbox(v1alpha1.Mailbox{Host: "mail.acme.example", CIDRs: cidrs("198.51.100.26/32"), Port: 587, TLS: "Required"}),
}

func password(p v1alpha1.PasswordPolicy) func(*v1alpha1.HIPAATenant) {
	return func(h *v1alpha1.HIPAATenant) { h.Spec.Authentication = v1alpha1.Authentication{Password: &p} }
}

func mailbox(m v1alpha1.Mailbox) func(*v1alpha1.HIPAATenant) {
	return withApplication(func(a *v1alpha1.Application) { a.Mailbox = &m })
}

// TestConfigHashSeesEveryValue: pods with an older config are recognised by the hash, so no two configs may share one.
func TestConfigHashSeesEveryValue(t *testing.T) {
	same := func(*v1alpha1.HIPAATenant) {}
	seen := map[string]string{configOf(t, same).hash: "no change"}
	if again := configOf(t, same).hash; seen[again] == "" {
		t.Fatalf("the hash of an unchanged config changed to %s", again)
	}
	for what, change := range configChanges {
		hash := configOf(t, change).hash
		if len(hash) != 16 {
			t.Errorf("%s: hash %q has %d digits, want 16", what, hash, len(hash))
		}
		if other, taken := seen[hash]; taken {
			t.Errorf("%s: hash %s is that of %s", what, hash, other)
		}
		seen[hash] = what
	}
}

// TestConfigHashIgnoresTheRest: what workloads are not told does not make their config old.
func TestConfigHashIgnoresTheRest(t *testing.T) {
	want := configOf(t, func(*v1alpha1.HIPAATenant) {}).hash
	for what, change := range map[string]func(*v1alpha1.HIPAATenant){
		"allowlist": func(h *v1alpha1.HIPAATenant) { h.Spec.IPAllowlist = cidrs("198.51.100.0/24") },
		"roles":     func(h *v1alpha1.HIPAATenant) { h.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Auditor"}} },
		"quota":     func(h *v1alpha1.HIPAATenant) { h.Spec.Quota = &v1alpha1.Quota{Pods: 1} },
		"uid":       func(h *v1alpha1.HIPAATenant) { h.UID = "another" },
	} {
		if got := configOf(t, change).hash; got != want {
			t.Errorf("%s changes the hash of the config", what)
		}
	}
}

func TestHashOf(t *testing.T) {
	different := []map[string]string{
		nil, {"": ""}, {"a": ""}, {"a": "b"}, {"a": "c"}, {"b": "a"}, {"ab": ""}, {"a": "b", "c": "d"}, {"a": "d", "c": "b"}, {"a": "bc", "d": ""},
	}
	seen := map[string]int{}
	for i, data := range different {
		hash := hashOf(data)
		if j, taken := seen[hash]; taken {
			t.Errorf("%v and %v have the same hash", data, different[j])
		}
		seen[hash] = i
	}
}

// TestConfigDocument: hipaa.json can be decoded without a field left over, and says what the flat keys say.
func TestConfigDocument(t *testing.T) {
	for what, change := range configChanges {
		t.Run(what, func(t *testing.T) {
			data := configOf(t, change).data
			var doc tenantconfig.Config
			decode(t, data[v1alpha1.ConfigKey], &doc)
			if parsed, err := tenantconfig.Parse([]byte(data[v1alpha1.ConfigKey])); err != nil || !cmp.Equal(doc, parsed) {
				t.Errorf("workloads read something else (%v):\n%s", err, cmp.Diff(doc, parsed))
			}
			flat := flatOf(doc)
			rest := maps.Clone(data)
			delete(rest, v1alpha1.ConfigKey)
			if diff := cmp.Diff(flat, rest); diff != "" {
				t.Errorf("the flat keys do not say what hipaa.json says (-json +flat):\n%s", diff)
			}
			if doc.Schema != "hipaatenant.dev/config/v1" || doc.Session.Activity != "user-input" || doc.Tenant == "" {
				t.Errorf("schema %q, activity %q, tenant %q", doc.Schema, doc.Session.Activity, doc.Tenant)
			}
			again, err := json.MarshalIndent(doc, "", "  ")
			if err != nil || string(again)+"\n" != data[v1alpha1.ConfigKey] {
				t.Errorf("hipaa.json changes when it is read and written again (%v):\n%s", err, again)
			}
		})
	}
}

// flatOf says for each variable where in the document its value stands.
func flatOf(doc tenantconfig.Config) map[string]string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	sso, password, box := tenantconfig.SSO{}, tenantconfig.Password{}, tenantconfig.Mailbox{}
	if doc.Authentication.SSO != nil {
		sso = *doc.Authentication.SSO
	}
	if doc.Authentication.Password != nil {
		password = *doc.Authentication.Password
	}
	if doc.Application.Mailbox != nil {
		box = *doc.Application.Mailbox
	}
	flat := map[string]string{
		"HIPAA_TENANT":                       doc.Tenant,
		"HIPAA_REGION":                       doc.Region,
		"HIPAA_FAILOVER_REGIONS":             joined(doc.FailoverRegions),
		"HIPAA_SESSION_IDLE_TIMEOUT_SECONDS": fmt.Sprint(doc.Session.IdleTimeoutSeconds),
		"HIPAA_SESSION_ACTIVITY":             doc.Session.Activity,
		"HIPAA_DISABLED_CHANNELS":            joined(doc.DisabledChannels),
		"HIPAA_AUTH_METHOD":                  doc.Authentication.Method,
		"HIPAA_MFA":                          doc.Authentication.MFA,
		"HIPAA_SSO_METADATA_URL":             sso.MetadataURL,
		"HIPAA_SSO_ISSUER_URL":               sso.IssuerURL,
		"HIPAA_PASSWORD_MIN_LENGTH":          number(password.MinLength),
		"HIPAA_PASSWORD_MAX_AGE_SECONDS":     number(password.MaxAgeSeconds),
		"HIPAA_PASSWORD_HISTORY":             number(password.History),
		"HIPAA_CALL_RECORDING":               doc.Application.CallRecording,
		"HIPAA_RECORDING_RETENTION_SECONDS":  number(doc.Application.RecordingRetentionSeconds),
		"HIPAA_SEARCHABLE_FIELDS":            joined(doc.Application.SearchableFields),
		"HIPAA_MAILBOX_HOST":                 box.Host,
		"HIPAA_MAILBOX_PORT":                 number(box.Port),
		"HIPAA_MAILBOX_TLS":                  box.TLS,
	}
	for _, h := range doc.Application.HiddenFields {
		flat["HIPAA_HIDDEN_FIELDS_"+strings.ToUpper(strings.ReplaceAll(h.Role, "-", "_"))] = joined(h.Fields)
	}
	return flat
}

// TestRecordingIsAChannel: while the channel of recordings is disabled, workloads are told not to record, and the reader of the
// status why.
func TestRecordingIsAChannel(t *testing.T) {
	for _, tc := range []struct {
		asked, want string
		closed      bool
		found       bool
	}{
		{"Manual", "Manual", false, false}, {"Automatic", "Automatic", false, false}, {"", "Disabled", false, false},
		{"Manual", "Disabled", true, true}, {"Automatic", "Disabled", true, true}, {"Disabled", "Disabled", true, false}, {"", "Disabled", true, false},
	} {
		f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
			p.Spec.Channels = append(p.Spec.Channels, v1alpha1.Channel{Name: "call-recording"})
		}))
		p := newPlan()
		r := resolve(fixture.Tenant("acme", withApplication(func(a *v1alpha1.Application) { a.CallRecording = tc.asked }), func(h *v1alpha1.HIPAATenant) {
			if tc.closed {
				h.Spec.DisabledChannels = []v1alpha1.Name{"call-recording"}
			}
		}), f, p)
		if got := r.config().data["HIPAA_CALL_RECORDING"]; got != tc.want || has(p, CodeCallRecordingDisabled) != tc.found {
			t.Errorf("%+v: delivered %s, findings %v", tc, got, p.Findings)
		}
	}
}

// TestConfigLists: lists that are empty are there as empty lists, so that a reader need not tell absent from none.
func TestConfigLists(t *testing.T) {
	var doc map[string]any
	decode(t, configOf(t, func(*v1alpha1.HIPAATenant) {}).data[v1alpha1.ConfigKey], &doc)
	for _, key := range []string{"failoverRegions", "disabledChannels"} {
		if list, ok := doc[key].([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v, want an empty list", key, doc[key])
		}
	}
	if got := slices.Sorted(maps.Keys(doc)); len(got) != 8 {
		t.Errorf("hipaa.json has the keys %v, want the 8 of its schema", got)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := unmarshalStrict(text, into); err != nil {
		t.Fatalf("hipaa.json cannot be read: %v\n%s", err, text)
	}
}
