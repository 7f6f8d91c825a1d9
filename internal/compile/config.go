package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

// configDocument is ConfigMap hipaa-config before it is put into a namespace. It is the same in all of them.
type configDocument struct {
	tenant string
	data   map[string]string
	hash   string
}

// config computes what workloads are told. Marshalling cannot fail: the types hold only strings and numbers.
func (r *resolved) config() configDocument {
	spec := r.tenant.Spec
	doc := tenantconfig.Config{
		Schema:           tenantconfig.Schema,
		Tenant:           r.tenant.Name,
		Region:           string(spec.Region),
		FailoverRegions:  stringsOf(spec.FailoverRegions),
		Session:          tenantconfig.Session{IdleTimeoutSeconds: seconds(r.timeout), Activity: tenantconfig.ActivityUserInput},
		DisabledChannels: stringsOf(r.channels),
		Authentication:   authentication(spec.Authentication),
		Application:      r.application(),
	}
	text, _ := json.MarshalIndent(doc, "", "  ")
	data := doc.Env()
	data[v1alpha1.ConfigKey] = string(text) + "\n"
	return configDocument{tenant: r.tenant.Name, data: data, hash: hashOf(data)}
}

func authentication(a v1alpha1.Authentication) tenantconfig.Authentication {
	if a.SSO != nil {
		return tenantconfig.Authentication{Method: a.SSO.Protocol, MFA: tenantconfig.MFAIdentityProvider,
			SSO: &tenantconfig.SSO{MetadataURL: a.SSO.MetadataURL, IssuerURL: a.SSO.IssuerURL}}
	}
	out := tenantconfig.Authentication{Method: tenantconfig.MethodPassword, MFA: tenantconfig.MFARequired}
	if p := a.Password; p != nil {
		out.Password = &tenantconfig.Password{MinLength: int(p.MinLength), MaxAgeSeconds: seconds(p.MaxAge.Value()), History: int(p.History)}
	}
	return out
}

func (r *resolved) application() tenantconfig.Application {
	a := r.tenant.Spec.Application
	if a == nil {
		a = &v1alpha1.Application{}
	}
	out := tenantconfig.Application{
		CallRecording:             r.callRecording(),
		RecordingRetentionSeconds: seconds(a.RecordingRetention.Value()),
		SearchableFields:          stringsOf(a.SearchableFields),
		HiddenFields:              []tenantconfig.HiddenFields{},
	}
	for _, h := range a.HiddenFields {
		out.HiddenFields = append(out.HiddenFields, tenantconfig.HiddenFields{Role: string(h.Role), Fields: stringsOf(h.Fields)})
	}
	if m := a.Mailbox; m != nil {
		out.Mailbox = &tenantconfig.Mailbox{Host: string(m.Host), CIDRs: stringsOf(m.CIDRs), Port: int(m.Port), TLS: m.TLS}
	}
	return out
}

// callRecording is what the tenant asks for, and Disabled while the channel of recordings is.
func (r *resolved) callRecording() string {
	a := r.tenant.Spec.Application
	if a == nil || a.CallRecording == "" || slices.Contains(r.channels, tenantconfig.ChannelCallRecording) {
		return tenantconfig.RecordingDisabled
	}
	return a.CallRecording
}

// resolveRecording says when workloads are told otherwise than the spec asks.
func (r *resolved) resolveRecording(p *Plan) {
	if a := r.tenant.Spec.Application; a != nil && a.CallRecording != "" && a.CallRecording != r.callRecording() {
		p.find(v1alpha1.SeverityInfo, CodeCallRecordingDisabled, "spec.application.callRecording",
			"callRecording %s is delivered as Disabled, because channel %s is disabled", a.CallRecording, tenantconfig.ChannelCallRecording)
	}
}

func (d configDocument) configMap(namespace string, p *Plan) {
	p.write(WaveData, v1alpha1.ObjectRef{Kind: "ConfigMap", Namespace: namespace, Name: v1alpha1.ConfigMapConfig},
		accore.ConfigMap(v1alpha1.ConfigMapConfig, namespace).WithLabels(managedLabels(d.tenant)).WithData(d.data))
}

// hashOf identifies a config: 16 hexadecimal digits over its keys and values in order.
func hashOf(data map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(data)) {
		h.Write([]byte(k + "\x00" + data[k] + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// stringsOf is never nil, so that JSON has an empty list and not null.
func stringsOf[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
