package chart

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// refused runs rows of bad values and the words each is answered with.
func refused(t *testing.T, args []string, rows []struct{ set, words string }) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.set, func(t *testing.T) {
			_, err := helm(t, append(args, "--set", row.set)...)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), row.words) {
				t.Errorf("expected the words\n%s\nfound\n%v", row.words, err)
			}
		})
	}
}

func TestBadOperatorValues(t *testing.T) {
	refused(t, []string{"template", "release", operatorChart}, []struct{ set, words string }{
		{"replica=3", `at '': additional properties 'replica' not allowed`},
		{"replicas=11", `at '/replicas': maximum: got 11, want 10`},
		{"replicas=two", `at '/replicas': got string, want integer`},
		{"image.digest=latest", `at '/image/digest': 'latest' does not match pattern`},
		{"image.pullPolicy=Sometimes", `at '/image/pullPolicy': value must be one of 'IfNotPresent', 'Always', 'Never'`},
		{"image.registry=x", `at '/image': additional properties 'registry' not allowed`},
		{"admissionPolicies=ignore", `at '/admissionPolicies': value must be one of 'manage', 'verify'`},
		{"concurrency=0", `at '/concurrency': minimum: got 0, want 1`},
		{"concurrency=257", `at '/concurrency': maximum: got 257, want 256`},
		{"crds.keep=perhaps", `at '/crds/keep': got string, want boolean`},
		{"serviceAccount.name=Guard", `at '/serviceAccount/name': 'Guard' does not match pattern`},
		{"podLabels.app\\.kubernetes\\.io/name=other", `at '/podLabels/app.kubernetes.io~1name': false schema`},
		{"podLabels.hipaatenant\\.dev/tenant=acme", `at '/podLabels/hipaatenant.dev~1tenant': false schema`},
		{"podLabels.a=1", `at '/podLabels/a': got number, want string`},
		{"podAnnotations=x", `at '/podAnnotations': got string, want object`},
		{"vault.address=http://vault:8200", `at '/vault/address': 'http://vault:8200' does not match pattern`},
		{"vault.address=https://user:pass@vault:8200", `at '/vault/address': 'https://user:pass@vault:8200' does not match pattern`},
		{"vault.address=https://vault:8200", `vault.address is set, and no way to log in: set vault.kubernetesRole, or vault.tokenSecret.name`},
		{"vault.address=https://vault:8200,vault.kubernetesRole=a,vault.tokenSecret.name=b", `vault.kubernetesRole and vault.tokenSecret.name exclude each other`},
		{"vault.token=s.123", `at '/vault': additional properties 'token' not allowed`},
		{"metrics.port=70000", `at '/metrics/port': maximum: got 70,000, want 65,535`},
		{"metrics.port=8081", `metrics.port must not be 8081: the probes are served there`},
		{"networkProbe.enabled=true,networkProbe.interval=0s", `networkProbe.interval must be at least 10s, found 0s: to turn the probe off, set networkProbe.enabled=false`},
		{"networkProbe.enabled=true,networkProbe.interval=0h0m9s", `networkProbe.interval must be at least 10s, found 0h0m9s`},
		{"networkProbe.enabled=true,networkProbe.interval=1.5h", `at '/networkProbe/interval': '1.5h' does not match pattern`},
		{"podDisruptionBudget.maxUnavailable=200%", `at '/podDisruptionBudget/maxUnavailable'`},
		{"networkPolicy.kubernetesAPIPorts=null", `at '/networkPolicy': missing property 'kubernetesAPIPorts'`},
		{"networkPolicy.vaultTo={vault}", `at '/networkPolicy/vaultTo/0': got string, want object`},
		{"extraArgs={debug}", `at '/extraArgs/0': 'debug' does not match pattern`},
	})
}

func TestBadTenantValues(t *testing.T) {
	refused(t, []string{"template", "release", tenantChart, "-f", acmeValues}, []struct{ set, words string }{
		{"regions=us-east-1", `at '': additional properties 'regions' not allowed`},
		{"region=", `at '/region': minLength: got 0, want 1`},
		{"region=null", `at '/region': got null, want string`},
		{"encryption.keyURI=null", `at '/encryption/keyURI': got null, want string`},
		{"encryption.key=x", `at '/encryption': additional properties 'key' not allowed`},
		{"ipAllowlist=203.0.113.0/24", `at '/ipAllowlist': got string, want array`},
		{"ipAllowlist={10.0.0.0/8,10.0.0.0/8}", `at '/ipAllowlist': items at 0 and 1 are equal`},
		{"sessionTimeout=15 minutes", `at '/sessionTimeout': '15 minutes' does not match pattern`},
		{"sessionTimeout=15", `at '/sessionTimeout': got number, want string`},
		{"disabledChannels={SMS}", `at '/disabledChannels/0': 'SMS' does not match pattern`},
		{"baa.signatures[0].party=Vendor", `at '/baa/signatures/0/party': value must be one of 'CoveredEntity', 'BusinessAssociate'`},
		{"baa.document.sha256=abc", `at '/baa/document/sha256': 'abc' does not match pattern '^[0-9a-f]{64}$'`},
		{"securityOfficer.email=dana", `at '/securityOfficer/email': 'dana' does not match pattern`},
		{"authentication.password.minLength=4", `at '/authentication/password/minLength': minimum: got 4, want 8`},
		{"authentication.password.mfa=Optional", `at '/authentication/password/mfa': value must be 'Required'`},
		{"roles[0].role=Admin", `at '/roles/0/role': value must be one of 'Developer', 'Operator', 'Auditor'`},
		{"application.mailbox.tls=None", `at '/application/mailbox/tls': value must be 'Required'`},
		{"quota.pods=many", `at '/quota/pods': got string, want integer`},
		{"deletionPolicy=Delete", `at '/deletionPolicy': value must be one of 'Retain', 'Shred'`},
		{"tenant.name=Acme", `at '/tenant/name': 'Acme' does not match pattern`},
		{"tenant.labels.a=b", `at '/tenant': additional properties 'labels' not allowed`},
		{"tenant.keep=yes", `at '/tenant/keep': got string, want boolean`},
	})
}

// What the definition requires, the values file requires.
func TestMissingTenantValues(t *testing.T) {
	var acme map[string]any
	must(t, yaml.Unmarshal([]byte(read(t, acmeValues)), &acme))
	for _, required := range []string{
		"coveredEntity", "securityOfficer", "baa", "region", "encryption", "ipAllowlist", "sessionTimeout", "authentication",
	} {
		t.Run(required, func(t *testing.T) {
			without := maps.Clone(acme)
			delete(without, required)
			text, err := yaml.Marshal(without)
			must(t, err)
			values := t.TempDir() + "/values.yaml"
			write(t, values, string(text))
			_, err = helm(t, "template", "release", tenantChart, "-f", values)
			if err == nil || !strings.Contains(err.Error(), "at '': missing property '"+required+"'") {
				t.Errorf("expected a refusal that names %s, found %v", required, err)
			}
		})
	}
}

// A release's name may be longer than a tenant's.
func TestReleaseNameTooLongForATenant(t *testing.T) {
	name := strings.Repeat("a", 41)
	_, err := helm(t, "template", name, tenantChart, "-f", acmeValues, "--set=tenant.name=")
	if err == nil || !strings.Contains(err.Error(), "must be at most 40 characters") || !strings.Contains(err.Error(), "set tenant.name") {
		t.Errorf("expected a refusal that says what to do, found %v", err)
	}
}

// YAML reads a bare on as true. The refusal must point to the signature, not come from the API server hours later.
func TestBareOnIsRefused(t *testing.T) {
	values := t.TempDir() + "/values.yaml"
	write(t, values, strings.ReplaceAll(read(t, acmeValues), `"on":`, `on:`))
	_, err := helm(t, "template", "release", tenantChart, "-f", values)
	if err == nil || !strings.Contains(err.Error(), `at '/baa/signatures/0': missing property 'on'`) {
		t.Errorf("expected a refusal of the signature, found %v", err)
	}
}

// The samples are tenants people copy from: the onboarding chart must take every one of them, and give it back.
func TestSamplesPassAsValues(t *testing.T) {
	tenants := 0
	for _, sample := range directory(t, "config/samples") {
		if sample.GetKind() != "HIPAATenant" {
			continue
		}
		tenants++
		text, err := yaml.Marshal(sample.Object["spec"])
		must(t, err)
		values := t.TempDir() + "/values.yaml"
		write(t, values, string(text))
		got := render(t, tenantChart, "-f", values, "--set=tenant.name="+sample.GetName())[0]
		if at(t, got.Object, "spec") != at(t, sample.Object, "spec") || got.GetName() != sample.GetName() {
			t.Errorf("%s: the chart gave\n%s\nfor\n%s", sample.GetName(), at(t, got.Object, "spec"), at(t, sample.Object, "spec"))
		}
	}
	if tenants == 0 {
		t.Error("no tenant among config/samples")
	}
}

// An object somewhere in the schema that takes any name would let a misspelt safeguard pass in silence.
func TestSchemasAreClosed(t *testing.T) {
	open := map[string]bool{ // what is handed on as it is, or has keys of its own
		operatorChart + ":/global": true, operatorChart + ":/affinity": true, operatorChart + ":/kmsPlugins/volume": true,
		operatorChart + ":/resources/requests": true, operatorChart + ":/resources/limits": true,
		tenantChart + ":/global": true,
	}
	for _, chart := range []string{operatorChart, tenantChart} {
		var schema map[string]any
		must(t, json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &schema))
		walkSchema(schema, chart+":", func(path string, object map[string]any) {
			if _, closed := object["additionalProperties"]; !closed && !open[path] {
				t.Errorf("%s takes any property", path)
			}
			delete(open, path)
		})
	}
	if len(open) > 0 {
		t.Errorf("no longer in the schemas: %v", open)
	}
}

func walkSchema(schema map[string]any, path string, visit func(string, map[string]any)) {
	if schema["type"] == "object" {
		visit(path, schema)
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		for name, child := range properties {
			walkSchema(child.(map[string]any), path+"/"+name, visit)
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		walkSchema(items, path+"/*", visit)
	}
}
