package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const (
	tenantObject = "{apiVersion: hipaatenant.dev/v1alpha1, kind: HIPAATenant, metadata: {name: NAMESPACE}}"
	vendorObject = "{apiVersion: hipaatenant.dev/v1alpha1, kind: BusinessAssociate, metadata: {name: clearing}}"
	ready        = "conditions: [{type: Ready, status: 'True', reason: Ready, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]"
)

// byTenant: tenants have no right to the operator's kinds at all.
var byTenant = accessControl("hipaatenant.dev")

// rulesBroken is an attack on an object that rules tenants, by those ruled.
func rulesBroken(name, target, patch string) Attack {
	return Attack{Name: name, On: target, Patch: patch, By: []refusal{byTenant}}
}

// ofTenant is a HIPAATenant with this in its spec, as a cluster administrator would make it by mistake.
func ofTenant(name, spec string) string {
	networks := "ipAllowlist: [203.0.113.0/24]"
	if strings.HasPrefix(spec, "ipAllowlist") {
		networks, spec = spec, ""
	}
	return "{apiVersion: hipaatenant.dev/v1alpha1, kind: HIPAATenant, metadata: {name: " + name + "}, spec: {coveredEntity: {name: Mallory, contact: m@example.com}, securityOfficer: {name: M, email: m@example.com}, " +
		"baa: {executedOn: '2026-01-15', expiresOn: '2036-01-15', signatures: [{party: CoveredEntity, name: A, 'on': '2026-01-15'}, {party: BusinessAssociate, name: B, 'on': '2026-01-15'}], " +
		"document: {uri: 'https://example.com/a.pdf', sha256: " + strings.Repeat("0123456789abcdef", 4) + "}}, region: us-east-1, encryption: {keyURI: 'local://NAME'}, " + networks + ", sessionTimeout: 15m, " +
		"authentication: {sso: {protocol: SAML, metadataURL: 'https://idp.example/metadata'}}" + more(spec) + "}}"
}

var tenantObjects = Group{Name: "tenant-object", Least: 8, Attacks: []Attack{
	rulesBroken("region changed", tenantObject, "{spec: {region: us-west-2, failoverRegions: [us-east-1]}}"),
	rulesBroken("allowlist widened", tenantObject, "{spec: {ipAllowlist: [0.0.0.0/1]}}"),
	rulesBroken("channel enabled", tenantObject, "{spec: {disabledChannels: []}}"),
	rulesBroken("role for oneself", tenantObject, "{spec: {roles: [{role: Operator, subjects: [{kind: User, name: mallory}]}]}}"),
	rulesBroken("reconciling suspended", tenantObject, "{spec: {suspend: true}}"),
	rulesBroken("shredding confirmed", tenantObject, "{metadata: {annotations: {hipaatenant.dev/confirm-shred: x}}}"),
	rulesBroken("tenant deleted", tenantObject, ""),
	rulesBroken("another tenant deleted", "{apiVersion: hipaatenant.dev/v1alpha1, kind: HIPAATenant, metadata: {name: VICTIM}}", ""),
	rulesBroken("ceiling raised", "{apiVersion: hipaatenant.dev/v1alpha1, kind: HIPAAProfile, metadata: {name: default}}", "{spec: {maxSessionTimeout: 24h}}"),
	rulesBroken("vendor's networks widened", vendorObject, "{spec: {endpoints: [{cidrs: [0.0.0.0/1]}]}}"),
	{Name: "kind of the operator deleted", On: "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: hipaatenants.hipaatenant.dev}}", By: []refusal{accessControl("customresourcedefinitions")}},
	{Name: "tenant of one's own", Object: ofTenant("NAME", ""), By: []refusal{byTenant}},

	// A cluster administrator may write the spec; what the operator found, nobody may.
	{Name: "status forged", On: tenantObject, Send: "PATCH /apis/hipaatenant.dev/v1alpha1/hipaatenants/NAMESPACE/status", Body: "{status: {" + ready + "}}", As: withRoot, By: []refusal{byTenant, policy("tenancy", "is what hipaa-tenant-operator found")}},
	{Name: "status forged, dry run", On: tenantObject, Send: "PATCH /apis/hipaatenant.dev/v1alpha1/hipaatenants/NAMESPACE/status?dryRun=All", Body: "{status: {" + ready + "}}", As: withRoot, By: []refusal{byTenant, policy("tenancy", "is what hipaa-tenant-operator found")}},
	{Name: "vendor's status forged", On: vendorObject, Send: "PATCH /apis/hipaatenant.dev/v1alpha1/businessassociates/clearing/status", Body: "{status: {" + strings.Replace(ready, "Ready, status", "inForce, status", 1) + "}}", As: withRoot, By: []refusal{byTenant, policy("tenancy", "is what hipaa-tenant-operator found")}},
	{Name: "finalizer stripped", On: tenantObject, Patch: "{metadata: {finalizers: null}}", As: withRoot, Without: []string{"patch through", "update through"}, By: []refusal{byTenant, policy("tenancy", "finalizer hipaatenant.dev/finalizer of HIPAATenant acme-health")}},

	// What the API itself refuses, to anybody.
	{Name: "name that looks like another's", Object: ofTenant("аcme-health", ""), As: []actor{root}, By: []refusal{validation("metadata.name"), validation("аcme-health")}}, // the first letter is Cyrillic
	{Name: "list without end", Object: ofTenant("NAME", "ipAllowlist: ["+strings.Repeat("203.0.113.0/24, ", 2000)+"203.0.113.0/24]"), As: []actor{root}, By: []refusal{validation("ipAllowlist")}},
	{Name: "network with host bits", Object: ofTenant("NAME", "ipAllowlist: [203.0.113.7/24]"), As: []actor{root}, By: []refusal{validation("ipAllowlist")}},
	{Name: "network with IPv4 as IPv6", Object: ofTenant("NAME", "ipAllowlist: ['::ffff:203.0.113.0/120']"), As: []actor{root}, By: []refusal{validation("ipAllowlist")}},
	{Name: "namespace of the cluster", Object: ofTenant("NAME", "namespaces: [{name: kube-system, adopt: true}]"), As: []actor{root}, By: []refusal{validation("namespaces")}},
	// Accepted, and never provisioned: the first to hold the namespace keeps it.
	{Name: "namespace that another tenant holds", Object: ofTenant("NAME", "namespaces: [{name: birch-clinic, adopt: true}]"), As: []actor{root}, Without: []string{"create with", "update into"}, By: []refusal{harmless(leavesVictimAlone)}},
}}

// leavesVictimAlone: a tenant that names another's namespace is told so, and gets nothing of it.
func leavesVictimAlone(ctx context.Context, t *trial) error {
	mallory := &v1alpha1.HIPAATenant{}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		ns := &corev1.Namespace{}
		if err := errors.Join(t.w.admin.Get(ctx, client.ObjectKey{Name: victim}, ns), t.w.admin.Get(ctx, client.ObjectKey{Name: t.name}, mallory)); err != nil {
			return false, err
		}
		if owner := ns.Labels[v1alpha1.LabelTenant]; owner != victim {
			return false, fmt.Errorf("namespace %s belongs to %s", victim, owner)
		}
		c := meta.FindStatusCondition(mallory.Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Status == metav1.ConditionFalse, nil
	})
}
