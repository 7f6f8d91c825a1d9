package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// configSchema names the format of hipaa.json. A change that breaks readers gets a new name.
const configSchema = "hipaatenant.dev/config/v1"

// configDocument is ConfigMap hipaa-config before it is put into a namespace. It is the same in all of them.
type configDocument struct {
	tenant string
	data   map[string]string
	hash   string
}

// configJSON is the content of hipaa.json.
type configJSON struct {
	Schema           string          `json:"schema"`
	Tenant           string          `json:"tenant"`
	Region           string          `json:"region"`
	FailoverRegions  []string        `json:"failoverRegions"`
	Session          sessionJSON     `json:"session"`
	DisabledChannels []string        `json:"disabledChannels"`
	Authentication   authJSON        `json:"authentication"`
	Application      applicationJSON `json:"application"`
}

type sessionJSON struct {
	IdleTimeoutSeconds int    `json:"idleTimeoutSeconds"`
	Activity           string `json:"activity"`
}

type authJSON struct {
	Method   string                   `json:"method"`
	MFA      string                   `json:"mfa"`
	SSO      *v1alpha1.SSO            `json:"sso,omitempty"`
	Password *v1alpha1.PasswordPolicy `json:"password,omitempty"`
}

type applicationJSON struct {
	CallRecording             string                  `json:"callRecording"`
	RecordingRetentionSeconds int                     `json:"recordingRetentionSeconds,omitempty"`
	SearchableFields          []string                `json:"searchableFields,omitempty"`
	HiddenFields              []v1alpha1.HiddenFields `json:"hiddenFields,omitempty"`
	Mailbox                   *v1alpha1.Mailbox       `json:"mailbox,omitempty"`
}

// activityUserInput says that only what a person does keeps a session alive: background requests do not count.
const activityUserInput = "user-input"

// config computes what workloads are told. Marshalling cannot fail: the types hold only strings and numbers.
func (r *resolved) config() configDocument {
	spec := r.tenant.Spec
	doc := configJSON{
		Schema:           configSchema,
		Tenant:           r.tenant.Name,
		Region:           string(spec.Region),
		FailoverRegions:  stringsOf(spec.FailoverRegions),
		Session:          sessionJSON{IdleTimeoutSeconds: int(r.timeout.Seconds()), Activity: activityUserInput},
		DisabledChannels: stringsOf(r.channels),
		Authentication:   authentication(spec.Authentication),
		Application:      application(spec.Application),
	}
	text, _ := json.MarshalIndent(doc, "", "  ")
	data := map[string]string{
		v1alpha1.ConfigKey:                   string(text) + "\n",
		"HIPAA_TENANT":                       doc.Tenant,
		"HIPAA_REGION":                       doc.Region,
		"HIPAA_FAILOVER_REGIONS":             strings.Join(doc.FailoverRegions, ","),
		"HIPAA_SESSION_IDLE_TIMEOUT_SECONDS": strconv.Itoa(doc.Session.IdleTimeoutSeconds),
		"HIPAA_SESSION_ACTIVITY":             doc.Session.Activity,
		"HIPAA_DISABLED_CHANNELS":            strings.Join(doc.DisabledChannels, ","),
		"HIPAA_CALL_RECORDING":               doc.Application.CallRecording,
		"HIPAA_AUTH_METHOD":                  doc.Authentication.Method,
		"HIPAA_MFA":                          doc.Authentication.MFA,
	}
	return configDocument{tenant: r.tenant.Name, data: data, hash: hashOf(data)}
}

func authentication(a v1alpha1.Authentication) authJSON {
	if a.SSO != nil {
		return authJSON{Method: a.SSO.Protocol, MFA: "IdentityProvider", SSO: a.SSO}
	}
	return authJSON{Method: "Password", MFA: "Required", Password: a.Password}
}

func application(a *v1alpha1.Application) applicationJSON {
	if a == nil {
		return applicationJSON{CallRecording: "Disabled"}
	}
	out := applicationJSON{
		CallRecording:             a.CallRecording,
		RecordingRetentionSeconds: int(a.RecordingRetention.Value().Seconds()),
		SearchableFields:          a.SearchableFields,
		HiddenFields:              a.HiddenFields,
		Mailbox:                   a.Mailbox,
	}
	if out.CallRecording == "" {
		out.CallRecording = "Disabled"
	}
	return out
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

func stringsOf[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
