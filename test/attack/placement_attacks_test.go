package attack

// abroad pods are admitted and stay where they may not run: nowhere.
func abroad(name, spec string) Attack {
	return Attack{Name: name, Object: pod(spec), By: []refusal{harmless(staysInside)}}
}

// binds is an attack by a Binding of a pod nobody has scheduled.
func binds(name, path, binding string, parts ...string) Attack {
	return Attack{Name: name, Given: []string{waiting}, On: "{apiVersion: v1, kind: Pod, metadata: {name: NAME}}",
		Send: "POST /api/v1/namespaces/NAMESPACE/" + path, Body: "{apiVersion: v1, kind: Binding, " + binding + "}", By: []refusal{policy("placement-bind", parts...)}}
}

const (
	anyTerm = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" +
		"{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-east-1]}]}, " +
		"{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}]}]}}}"
	notHome = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" +
		"{matchExpressions: [{key: topology.kubernetes.io/region, operator: NotIn, values: [us-east-1, us-west-2]}]}]}}}"
	byNodeField = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" +
		"{matchFields: [{key: metadata.name, operator: In, values: [eu-1]}]}]}}}"
	hold = "schedulingGates: [{name: example.com/hold}]"
)

// tolerant is a pod nobody schedules, with a toleration tenants may have.
var tolerant = pod("schedulerName: nobody, tolerations: [{key: own, operator: Exists}]")

var placement = Group{Name: "placement", Least: 12, Attacks: []Attack{
	{Name: "nodeName at create", Object: pod("nodeName: eu-1"), From: waiting, By: []refusal{policy("placement-bind", "spec.nodeName is eu-1", "goes past the scheduler")}},
	{Name: "nodeName of a node in the regions", Object: pod("nodeName: us-1"), By: []refusal{policy("placement-bind", "spec.nodeName is us-1")}},
	{Name: "mirror pod", Object: pod("nodeName: eu-1", "annotations: {kubernetes.io/config.mirror: abc}"), By: []refusal{policy("placement-bind", "mirror pods run on a node nobody scheduled them to")}},
	binds("binding to a node outside", "pods/NAME/binding", "metadata: {name: NAME}, target: {kind: Node, name: eu-1}", "region eu-west-1 of node eu-1 is not one of us-east-1,us-west-2"),
	binds("binding to a node of no region", "pods/NAME/binding", "metadata: {name: NAME}, target: {kind: Node, name: bare-1}", "node bare-1 has no label topology.kubernetes.io/region"),
	binds("binding that names a region itself", "pods/NAME/binding", "metadata: {name: NAME, labels: {topology.kubernetes.io/region: us-east-1}}, target: {kind: Node, name: bare-1}", "the request sets label topology.kubernetes.io/region"),
	binds("binding to no kind", "pods/NAME/binding", "metadata: {name: NAME, labels: {topology.kubernetes.io/region: us-east-1}}, target: {name: eu-1}", `target.kind is ""`),
	binds("binding, dry run", "pods/NAME/binding?dryRun=All", "metadata: {name: NAME}, target: {kind: Node, name: eu-1}", "region eu-west-1 of node eu-1"),
	binds("legacy binding", "bindings", "metadata: {name: NAME}, target: {kind: Node, name: eu-1}", "the legacy resource bindings hides the region"),
	{Name: "binding that relabels the pod for a disabled channel", Given: []string{waiting}, On: "{apiVersion: v1, kind: Pod, metadata: {name: NAME}}", Send: "POST /api/v1/namespaces/NAMESPACE/pods/NAME/binding",
		Body: "{apiVersion: v1, kind: Binding, metadata: {name: NAME, labels: {hipaatenant.dev/channel: sms}}, target: {kind: Node, name: us-1}}", By: []refusal{policy("workload", "channel sms")}},
	abroad("nodeSelector of another region", "nodeSelector: {topology.kubernetes.io/region: eu-west-1}"),
	abroad("nodeSelector of a node's name", "nodeSelector: {kubernetes.io/hostname: bare-1}"),
	abroad("affinity with one good term and one bad", anyTerm),
	abroad("affinity for anywhere else", notHome),
	abroad("affinity for a node by field", byNodeField),
	abroad("affinity preferred abroad", "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}]}}]}}"),
	abroad("spread over all regions, affinity ignored", "topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/region, whenUnsatisfiable: DoNotSchedule, nodeAffinityPolicy: Ignore, nodeTaintsPolicy: Ignore, labelSelector: {matchLabels: {attempt: NAME}}}]"),
	abroad("RuntimeClass that selects nodes abroad", "runtimeClassName: abroad"),
	{Name: "RuntimeClass that tolerates everything", Object: pod("runtimeClassName: tolerant"), By: []refusal{policy("workload", "tolerates every taint")}},
	{Name: "RuntimeClass of one's own", Object: "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: NAME}, handler: runc, scheduling: {nodeSelector: {topology.kubernetes.io/region: eu-west-1}}}",
		By: []refusal{accessControl("runtimeclasses")}},
	{Name: "toleration of every taint", Object: pod("schedulerName: nobody, tolerations: [{key: own, operator: Exists}, {operator: Exists}]"), From: tolerant, By: []refusal{policy("workload", "tolerates every taint")}},
	{Name: "toleration of every taint of one effect", Object: pod("schedulerName: nobody, tolerations: [{key: own, operator: Exists}, {operator: Exists, effect: NoExecute}]"), From: tolerant, By: []refusal{policy("workload", "tolerates every taint")}},
	// The device is of no class that exists: the claim cannot pull the pod anywhere the affinity does not allow.
	{Name: "claim of a device", Object: pod("resourceClaims: [{name: gpu, resourceClaimName: NAME}]"), By: []refusal{harmless(staysInside)},
		Given: []string{"{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: NAME}, spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: none}}]}}}"}},
	{Name: "gated pod given a node selector and let go", From: pod(hold), Object: pod("nodeSelector: {topology.kubernetes.io/region: eu-west-1}"), By: []refusal{harmless(staysInside)}},
	{Name: "gated pod given one more term and let go", From: pod(hold), Object: pod(anyTerm), By: []refusal{harmless(staysInside), validation("nodeSelectorTerms"), validation("nodeAffinity")}},
	{Name: "region of a pod forged", On: "{apiVersion: v1, kind: Pod, metadata: {name: standing}}", Patch: "{metadata: {labels: {topology.kubernetes.io/region: eu-west-1}}}", By: []refusal{policy("placement-bind", "is evidence of where it runs")}},
	{Name: "region of a pod forged at create", Object: pod("", "labels: {topology.kubernetes.io/region: eu-west-1}"), By: []refusal{harmless(regionLabelIsTrue)}},
	{Name: "node relabelled into the region", On: "{apiVersion: v1, kind: Node, metadata: {name: eu-1}}", Patch: "{metadata: {labels: {topology.kubernetes.io/region: us-east-1}}}", By: []refusal{accessControl("nodes")}},
}}
