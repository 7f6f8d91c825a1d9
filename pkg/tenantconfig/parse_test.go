package tenantconfig_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

const schemaFile = "../../docs/schemas/config.v1.json"

// schema is the published one. Compiling it checks it against draft 2020-12 as well.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validates(t testing.TB, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(document)
}

// full has every field but those of passwords.
func full() tenantconfig.Config {
	return tenantconfig.Config{
		Schema: tenantconfig.Schema, Tenant: "acme", Region: "us-east-1", FailoverRegions: []string{"us-west-2"},
		Session:          tenantconfig.Session{IdleTimeoutSeconds: 900, Activity: tenantconfig.ActivityUserInput},
		DisabledChannels: []string{"acd-email", "sms"},
		Authentication: tenantconfig.Authentication{Method: "SAML", MFA: "IdentityProvider",
			SSO: &tenantconfig.SSO{MetadataURL: "https://idp.acme.example/metadata"}},
		Application: tenantconfig.Application{
			CallRecording: "Manual", RecordingRetentionSeconds: 2592000, SearchableFields: []string{"ticketId", "status"},
			HiddenFields: []tenantconfig.HiddenFields{{Role: "agent", Fields: []string{"ssn", "status"}}},
			Mailbox:      &tenantconfig.Mailbox{Host: "mail.acme.example", CIDRs: []string{"198.51.100.25/32"}, Port: 587, TLS: "Required"},
		},
	}
}

func withPassword(c *tenantconfig.Config) {
	c.Authentication = tenantconfig.Authentication{Method: "Password", MFA: "Required",
		Password: &tenantconfig.Password{MinLength: 14, MaxAgeSeconds: 86400, History: 12}}
}

func encode(t testing.TB, document any) []byte {
	t.Helper()
	raw, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// changed is full, after changes of its JSON: a value at a path of keys and indexes; nil removes the key.
func changed(t testing.TB, base tenantconfig.Config, path string, value any) []byte {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(encode(t, base), &document); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(path, ".")
	at := document
	for _, key := range keys[:len(keys)-1] {
		if list, ok := at[key].([]any); ok {
			at = list[0].(map[string]any)
			continue
		}
		at = at[key].(map[string]any)
	}
	if last := keys[len(keys)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	return encode(t, document)
}

type change struct {
	path  string
	value any
}

var refused = []change{
	{"schema", nil}, {"schema", "hipaatenant.dev/config/v2"}, {"schema", ""}, {"schema", 1},
	{"tenant", nil}, {"tenant", ""}, {"tenant", 7},
	{"region", nil}, {"region", ""},
	{"failoverRegions", nil}, {"failoverRegions", []string{""}}, {"failoverRegions", "us-west-2"},
	{"session", nil}, {"session.idleTimeoutSeconds", nil}, {"session.idleTimeoutSeconds", -900}, {"session.idleTimeoutSeconds", 0},
	{"session.idleTimeoutSeconds", 59}, {"session.idleTimeoutSeconds", 86401}, {"session.idleTimeoutSeconds", "900"}, {"session.idleTimeoutSeconds", 900.5},
	{"session.activity", nil}, {"session.activity", "any-request"}, {"session.activity", ""},
	{"disabledChannels", nil}, {"disabledChannels", []int{1}},
	{"authentication", nil}, {"authentication.method", nil}, {"authentication.method", "LDAP"}, {"authentication.method", "OIDC"},
	{"authentication.method", "Password"}, {"authentication.mfa", nil}, {"authentication.mfa", "Required"}, {"authentication.mfa", "None"},
	{"authentication.sso", nil}, {"authentication.sso.metadataURL", nil}, {"authentication.sso.issuerURL", "https://idp.example"},
	{"authentication.password", map[string]any{"minLength": 14, "maxAgeSeconds": 0, "history": 0}},
	{"application", nil}, {"application.callRecording", nil}, {"application.callRecording", "Sometimes"},
	{"application.recordingRetentionSeconds", -1}, {"application.recordingRetentionSeconds", 3599},
	{"application.searchableFields", nil}, {"application.searchableFields", []string{""}},
	{"application.hiddenFields", nil}, {"application.hiddenFields.role", nil}, {"application.hiddenFields.fields", nil},
	{"application.hiddenFields.fields", []string{}}, {"application.hiddenFields.role", ""},
	{"application.mailbox.host", nil}, {"application.mailbox.cidrs", nil}, {"application.mailbox.cidrs", []string{}},
	{"application.mailbox.port", nil}, {"application.mailbox.port", 0}, {"application.mailbox.port", 65536},
	{"application.mailbox.tls", nil}, {"application.mailbox.tls", "Optional"},
}

var refusedPasswords = []change{
	{"authentication.password", nil}, {"authentication.password.minLength", 7}, {"authentication.password.minLength", 129},
	{"authentication.password.minLength", nil}, {"authentication.password.maxAgeSeconds", 86399}, {"authentication.password.maxAgeSeconds", -1},
	{"authentication.password.history", -1}, {"authentication.password.history", 65}, {"authentication.method", "SAML"},
	{"authentication.mfa", "IdentityProvider"}, {"authentication.sso", map[string]any{"metadataURL": "https://idp.example"}},
}

var accepted = []change{
	{"newcomer", map[string]any{"of": "a later version"}}, {"session.newcomer", true}, {"application.mailbox.newcomer", 1},
	{"session.idleTimeoutSeconds", 60}, {"session.idleTimeoutSeconds", 86400}, {"failoverRegions", []string{}}, {"disabledChannels", []string{}},
	{"application.mailbox", nil}, {"application.hiddenFields", []string{}}, {"application.searchableFields", []string{}},
	{"application.recordingRetentionSeconds", 0}, {"application.recordingRetentionSeconds", 3600}, {"application.callRecording", "Automatic"},
	{"application.callRecording", "Disabled"},
}

// TestReaderAndSchemaAgree: what the package takes is what the published schema permits.
func TestReaderAndSchemaAgree(t *testing.T) {
	s := schema(t)
	password := full()
	withPassword(&password)
	for _, table := range []struct {
		base tenantconfig.Config
		rows []change
		good bool
	}{{full(), refused, false}, {password, refusedPasswords, false}, {full(), accepted, true}, {password, accepted, true}} {
		for _, row := range table.rows {
			raw := changed(t, table.base, row.path, row.value)
			_, err := tenantconfig.Parse(raw)
			if (err == nil) != table.good {
				t.Errorf("%s = %v: Parse says %v", row.path, row.value, err)
			}
			if err := validates(t, s, raw); (err == nil) != table.good {
				t.Errorf("%s = %v: the schema says %v", row.path, row.value, err)
			}
			if err != nil && !errors.Is(err, tenantconfig.ErrInvalid) && !errors.Is(err, tenantconfig.ErrSchema) {
				t.Errorf("%s = %v: %v is neither ErrInvalid nor ErrSchema", row.path, row.value, err)
			}
		}
	}
}

// TestUnknownSchema: a program that is too old for the document says so, whatever else the document says.
func TestUnknownSchema(t *testing.T) {
	_, err := tenantconfig.Parse([]byte(`{"schema": "hipaatenant.dev/config/v2", "session": [15]}`))
	if !errors.Is(err, tenantconfig.ErrSchema) || !strings.Contains(err.Error(), `found "hipaatenant.dev/config/v2"`) {
		t.Errorf("%v; expected the schema to be named", err)
	}
}

func TestParseKeepsEverything(t *testing.T) {
	password := full()
	withPassword(&password)
	for _, want := range []tenantconfig.Config{full(), password} {
		got, err := tenantconfig.Parse(encode(t, want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-written +read):\n%s", err, diff)
		}
	}
}

// TestErrorsNameTheField: whoever reads the log of an application finds field and value.
func TestErrorsNameTheField(t *testing.T) {
	_, err := tenantconfig.Parse(changed(t, full(), "session.idleTimeoutSeconds", -900))
	if err == nil || !strings.Contains(err.Error(), "session.idleTimeoutSeconds: expected 60 to 86400, found -900") {
		t.Error(err)
	}
}

// TestWhatTheOperatorWrites: every document of the operator's own stories follows the schema, and can be read.
func TestWhatTheOperatorWrites(t *testing.T) {
	stories, err := filepath.Glob("../../internal/compile/testdata/*/want.yaml")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories found: %v", err)
	}
	s, seen := schema(t), 0
	for _, story := range stories {
		text, err := os.ReadFile(story)
		if err != nil {
			t.Fatal(err)
		}
		var plan struct {
			Waves [][]struct {
				Data map[string]string `json:"data"`
			} `json:"waves"`
		}
		if err := yaml.Unmarshal(text, &plan); err != nil {
			t.Fatal(err)
		}
		for _, wave := range plan.Waves {
			for _, object := range wave {
				raw, there := object.Data["hipaa.json"]
				if !there {
					continue
				}
				seen++
				if err := validates(t, s, []byte(raw)); err != nil {
					t.Errorf("%s: %v", story, err)
				}
				checkEnv(t, story, raw, object.Data)
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d documents in the stories, want at least 20", seen)
	}
}

// checkEnv compares what stands beside a document with what the package says it is.
func checkEnv(t *testing.T, story, raw string, data map[string]string) {
	t.Helper()
	c, err := tenantconfig.Parse([]byte(raw))
	if err != nil {
		t.Errorf("%s: %v", story, err)
	}
	want := c.Env()
	want["hipaa.json"] = raw
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("%s: variables (-document +config map):\n%s", story, diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hipaa.json")
	if _, err := tenantconfig.Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v; expected no file", err)
	}
	for name, raw := range map[string][]byte{
		"half": encode(t, full())[:200], "empty": nil, "twice": append(encode(t, full()), encode(t, full())...), "a list": []byte("[]"),
	} {
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := tenantconfig.Load(file)
		if !errors.Is(err, tenantconfig.ErrInvalid) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(file, encode(t, full()), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := tenantconfig.Load(file); err != nil || !cmp.Equal(c, full()) {
		t.Errorf("%v, %+v", err, c)
	}
}

// FuzzParse: nothing makes it panic, and what it takes follows the schema.
func FuzzParse(f *testing.F) {
	s := schema(f)
	f.Add(encode(f, full()))
	password := full()
	withPassword(&password)
	f.Add(encode(f, password))
	for _, row := range refused {
		f.Add(changed(f, full(), row.path, row.value))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := tenantconfig.Parse(raw)
		if err != nil {
			return
		}
		if err := validates(t, s, encode(t, c)); err != nil {
			t.Errorf("%s is taken, and what was understood does not follow the schema: %v", raw, err)
		}
	})
}
