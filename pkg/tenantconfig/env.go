package tenantconfig

import (
	"strconv"
	"strings"
)

// HiddenFieldsPrefix begins the variable of one role's hidden fields; its name in capitals follows, with _ for -.
const HiddenFieldsPrefix = "HIPAA_HIDDEN_FIELDS_"

// Env is the document as environment variables, which the operator delivers to every container of the tenant's pods. Lists
// are joined by commas. A variable that is empty says that there is nothing of the kind. A container sees what was so when it
// began: a program that is to follow changes reads the file.
func (c Config) Env() map[string]string {
	a := c.Application
	env := map[string]string{
		"HIPAA_TENANT":                       c.Tenant,
		"HIPAA_REGION":                       c.Region,
		"HIPAA_FAILOVER_REGIONS":             strings.Join(c.FailoverRegions, ","),
		"HIPAA_SESSION_IDLE_TIMEOUT_SECONDS": strconv.Itoa(c.Session.IdleTimeoutSeconds),
		"HIPAA_SESSION_ACTIVITY":             c.Session.Activity,
		"HIPAA_DISABLED_CHANNELS":            strings.Join(c.DisabledChannels, ","),
		"HIPAA_CALL_RECORDING":               a.CallRecording,
		"HIPAA_RECORDING_RETENTION_SECONDS":  unlessZero(a.RecordingRetentionSeconds),
		"HIPAA_SEARCHABLE_FIELDS":            strings.Join(a.SearchableFields, ","),
		"HIPAA_MAILBOX_HOST":                 "",
		"HIPAA_MAILBOX_PORT":                 "",
		"HIPAA_MAILBOX_TLS":                  "",
	}
	if a.Mailbox != nil {
		env["HIPAA_MAILBOX_HOST"], env["HIPAA_MAILBOX_PORT"], env["HIPAA_MAILBOX_TLS"] = a.Mailbox.Host, strconv.Itoa(a.Mailbox.Port), a.Mailbox.TLS
	}
	for _, h := range a.HiddenFields {
		env[HiddenFieldsPrefix+strings.ToUpper(strings.ReplaceAll(h.Role, "-", "_"))] = strings.Join(h.Fields, ",")
	}
	c.Authentication.addTo(env)
	return env
}

func (a Authentication) addTo(env map[string]string) {
	sso, password := SSO{}, Password{}
	if a.SSO != nil {
		sso = *a.SSO
	}
	if a.Password != nil {
		password = *a.Password
	}
	env["HIPAA_AUTH_METHOD"], env["HIPAA_MFA"] = a.Method, a.MFA
	env["HIPAA_SSO_METADATA_URL"], env["HIPAA_SSO_ISSUER_URL"] = sso.MetadataURL, sso.IssuerURL
	env["HIPAA_PASSWORD_MIN_LENGTH"] = unlessZero(password.MinLength)
	env["HIPAA_PASSWORD_MAX_AGE_SECONDS"] = unlessZero(password.MaxAgeSeconds)
	env["HIPAA_PASSWORD_HISTORY"] = unlessZero(password.History)
}

func unlessZero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
