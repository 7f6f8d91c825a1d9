package tenantconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

var (
	// ErrInvalid: the document is malformed, or says what no reader of this schema can honour.
	ErrInvalid = errors.New("invalid tenant config")
	// ErrSchema: the document is of another schema than this package reads. Rebuild the application with a newer one.
	ErrSchema = errors.New("unknown schema of the tenant config")
)

// maxBytes is more than a ConfigMap holds.
const maxBytes = 2 << 20

// Load reads the document in a file, such as hipaa.json in a mounted ConfigMap hipaa-config.
func Load(file string) (Config, error) {
	raw, err := read(file)
	if err != nil {
		return Config{}, fmt.Errorf("tenantconfig: %w", err)
	}
	c, err := Parse(raw)
	if err != nil {
		return Config{}, fmt.Errorf("tenantconfig: %s: %w", file, err)
	}
	return c, nil
}

// read reads a file. What is longer than any document is cut, and then does not parse.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxBytes))
}

// Parse reads a document. A field it does not know is passed over, because later versions of the operator may say more; a
// schema it does not know is refused with ErrSchema, and a document that is not whole, or asks for what is not defined, with
// ErrInvalid. docs/schemas/config.v1.json says the same as JSON Schema.
func Parse(raw []byte) (Config, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if head.Schema != Schema {
		return Config{}, fmt.Errorf("%w: expected %q, found %q", ErrSchema, Schema, head.Schema)
	}
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, nil
}

// rule is what a field must be.
type rule struct {
	holds    bool
	field    string
	expected string
	found    any
}

// check finds what a reader could misunderstand or not honour, and says so of the first field.
func (c Config) check() error {
	for _, r := range slices.Concat(c.rules(), c.Authentication.rules(), c.Application.rules()) {
		if !r.holds {
			return fmt.Errorf("%s: expected %s, found %#v", r.field, r.expected, r.found)
		}
	}
	return nil
}

func (c Config) rules() []rule {
	return []rule{
		{c.Tenant != "", "tenant", "a name", c.Tenant},
		{c.Region != "", "region", "a name", c.Region},
		{c.FailoverRegions != nil && filled(c.FailoverRegions), "failoverRegions", "a list of names", c.FailoverRegions},
		{within(c.Session.IdleTimeoutSeconds, 60, 86400), "session.idleTimeoutSeconds", "60 to 86400", c.Session.IdleTimeoutSeconds},
		{c.Session.Activity == ActivityUserInput, "session.activity", ActivityUserInput, c.Session.Activity},
		{c.DisabledChannels != nil && filled(c.DisabledChannels), "disabledChannels", "a list of names", c.DisabledChannels},
	}
}

func (a Authentication) rules() []rule {
	rules := []rule{
		{slices.Contains([]string{MethodSAML, MethodOIDC, MethodPassword}, a.Method), "authentication.method", "SAML, OIDC or Password", a.Method},
		{(a.SSO != nil) == (a.Method != MethodPassword), "authentication.sso", "it with SAML and OIDC alone", presence(a.SSO != nil)},
		{(a.Password != nil) == (a.Method == MethodPassword), "authentication.password", "it with Password alone", presence(a.Password != nil)},
	}
	mfa := MFAIdentityProvider
	if a.Method == MethodPassword {
		mfa = MFARequired
	}
	rules = append(rules, rule{a.MFA == mfa, "authentication.mfa", mfa, a.MFA})
	if a.SSO != nil {
		rules = append(rules,
			rule{(a.SSO.MetadataURL != "") == (a.Method == MethodSAML), "authentication.sso.metadataURL", "it with SAML alone", a.SSO.MetadataURL},
			rule{(a.SSO.IssuerURL != "") == (a.Method == MethodOIDC), "authentication.sso.issuerURL", "it with OIDC alone", a.SSO.IssuerURL})
	}
	if p := a.Password; p != nil {
		rules = append(rules,
			rule{within(p.MinLength, 8, 128), "authentication.password.minLength", "8 to 128", p.MinLength},
			rule{p.MaxAgeSeconds == 0 || p.MaxAgeSeconds >= 86400, "authentication.password.maxAgeSeconds", "0, or at least 86400", p.MaxAgeSeconds},
			rule{within(p.History, 0, 64), "authentication.password.history", "0 to 64", p.History})
	}
	return rules
}

func (a Application) rules() []rule {
	retention := a.RecordingRetentionSeconds
	rules := []rule{
		{slices.Contains([]string{RecordingDisabled, RecordingManual, RecordingAutomatic}, a.CallRecording),
			"application.callRecording", "Disabled, Manual or Automatic", a.CallRecording},
		{retention == 0 || retention >= 3600, "application.recordingRetentionSeconds", "0, or at least 3600", retention},
		{a.SearchableFields != nil && filled(a.SearchableFields), "application.searchableFields", "a list of names", a.SearchableFields},
		{a.HiddenFields != nil, "application.hiddenFields", "a list", a.HiddenFields},
	}
	for i, h := range a.HiddenFields {
		field := fmt.Sprintf("application.hiddenFields[%d]", i)
		rules = append(rules, rule{h.Role != "", field + ".role", "a name", h.Role},
			rule{len(h.Fields) > 0 && filled(h.Fields), field + ".fields", "one name or more", h.Fields})
	}
	if m := a.Mailbox; m != nil {
		rules = append(rules,
			rule{m.Host != "", "application.mailbox.host", "a name", m.Host},
			rule{len(m.CIDRs) > 0 && filled(m.CIDRs), "application.mailbox.cidrs", "one network or more", m.CIDRs},
			rule{within(m.Port, 1, 65535), "application.mailbox.port", "1 to 65535", m.Port},
			rule{m.TLS == TLSRequired, "application.mailbox.tls", TLSRequired, m.TLS})
	}
	return rules
}

func presence(there bool) string {
	if there {
		return "it"
	}
	return "none"
}

func within(n, least, most int) bool { return n >= least && n <= most }

// filled says that no entry is empty.
func filled(list []string) bool { return !slices.Contains(list, "") }
