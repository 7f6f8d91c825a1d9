package main

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// request is made in a tenant's namespace, by a cluster administrator.
type request struct {
	name string
	// policy that refuses it; empty for what is lawful.
	policy string
	// object to create in a dry run, or, with patch or remove, to change or delete in earnest. NAMESPACE stands for the
	// tenant's namespace, which is named as the tenant.
	object string
	patch  string
	remove bool
}

const (
	home     = "{apiVersion: v1, kind: Namespace, metadata: {name: NAMESPACE}}"
	denyAll  = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-default-deny}}"
	podStart = "{apiVersion: v1, kind: Pod, metadata: {name: web%s}, spec: {%sautomountServiceAccountToken: false, securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, " +
		"containers: [{name: web, image: example/web, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, resources: {requests: {cpu: 10m, memory: 1Mi}, limits: {cpu: 10m, memory: 1Mi}}}]}}"
)

func pod(metadata, spec string) string { return fmt.Sprintf(podStart, metadata, spec) }

func netpol(spec string) string {
	return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: mine}, spec: {podSelector: {}, " + spec + "}}"
}

func claim(name, class string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: %s}}", name, class)
}

func service(spec string) string {
	return "{apiVersion: v1, kind: Service, metadata: {name: mine}, spec: {selector: {app: web}, ports: [{port: 443}], " + spec + "}}"
}

// forbidden are of every class of policy that both versions have.
var forbidden = []request{
	{name: "open to everybody", policy: "network", object: netpol("ingress: [{}]")},
	{name: "reach everybody", policy: "network", object: netpol("policyTypes: [Egress], egress: [{}]")},
	{name: "open outside the allowlist", policy: "network", object: netpol("ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]")},
	{name: "delete deny-all", policy: "tenancy", object: denyAll, remove: true},
	{name: "move deny-all off the pods", policy: "tenancy", object: denyAll, patch: "{spec: {podSelector: {matchLabels: {app: nothing}}}}"},
	{name: "delete the namespace", policy: "tenancy", object: home, remove: true},
	{name: "leave the tenant", policy: "tenancy", object: home, patch: "{metadata: {labels: {hipaatenant.dev/tenant: null}}}"},
	{name: "widen the allowlist", policy: "tenancy", object: home, patch: "{metadata: {annotations: {hipaatenant.dev/ip-allowlist: 0.0.0.0/0}}}"},
	{name: "delete the data keys", policy: "tenancy", object: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", remove: true},
	{name: "delete the quota", policy: "tenancy", object: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota}}", remove: true},
	{name: "let everybody in", policy: "tenancy", object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: mine}, " +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: none}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]}"},
	{name: "go past the scheduler", policy: "placement-bind", object: pod("", "nodeName: eu-1, ")},
	{name: "serve a disabled channel", policy: "workload", object: pod(", labels: {hipaatenant.dev/channel: sms}", "")},
	{name: "keep data elsewhere", policy: "storage", object: claim("mine", "plain")},
	{name: "open a port on every node", policy: "exposure", object: service("type: NodePort")},
}

// lawful is what tenants do all day, and what happens in a namespace that is no tenant's.
var lawful = []request{
	{name: "run a pod", object: pod("", "")},
	{name: "open within the allowlist", object: netpol("ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/28}}]}]")},
	{name: "talk among one's own", object: netpol("ingress: [{from: [{podSelector: {}}]}]")},
	{name: "keep data", object: claim("mine", "encrypted")},
	{name: "offer a service", object: service("type: ClusterIP")},
	{name: "change a setting", object: "{apiVersion: v1, kind: ConfigMap, metadata: {name: app-counter}}", patch: "{data: {count: 'NUMBER'}}"},
	{name: "be no tenant", object: "{apiVersion: v1, kind: Service, metadata: {name: other, namespace: default}, spec: {type: NodePort, selector: {app: web}, ports: [{port: 443}]}}"},
}

// send makes a request in the namespace of a tenant. The number is a new one each time.
func (q request) send(ctx context.Context, c client.Client, tenant string, number int) error {
	fill := strings.NewReplacer("NAMESPACE", tenant, "NUMBER", fmt.Sprint(number))
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(fill.Replace(q.object)), &o.Object); err != nil {
		return err
	}
	if o.GetNamespace() == "" && o.GetKind() != "Namespace" {
		o.SetNamespace(tenant)
	}
	switch {
	case q.remove:
		return c.Delete(ctx, o)
	case q.patch != "":
		patch, err := yaml.YAMLToJSON([]byte(fill.Replace(q.patch)))
		if err != nil {
			return err
		}
		return c.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
	default:
		return c.Create(ctx, o, client.DryRunAll)
	}
}

// verdict on the answer to a request.
type verdict int

const (
	// asMeant: lawful and done, or forbidden and refused by the policy in charge.
	asMeant verdict = iota
	// amiss: lawful and refused, or forbidden and done.
	amiss
	// unclear: answered otherwise, such as by a server that is away, or for something that is gone.
	unclear
)

func (q request) judge(err error) verdict {
	refused := err != nil && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err))
	switch {
	case q.policy == "" && err == nil:
		return asMeant
	case q.policy == "" && refused, q.policy != "" && err == nil:
		return amiss
	case refused && strings.Contains(err.Error(), "hipaatenant-"+q.policy):
		return asMeant
	default:
		return unclear
	}
}
