package attack

import "fmt"

// podSpec is the spec of a pod that level restricted accepts.
func podSpec(container, spec string) string {
	return fmt.Sprintf("{securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: web, image: 'example/web:1', %s%s}]%s}",
		restrictedContainer, more(container), more(spec))
}

// controlled is an object that makes pods, labelled with its name.
func controlled(version, kind, spec, template string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: NAME, labels: {attempt: NAME}}, spec: {selector: {matchLabels: {attempt: NAME}}, template: {metadata: {labels: {attempt: NAME}}, spec: %s}%s}}",
		version, kind, template, more(spec))
}

const (
	atHome    = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-east-1, us-west-2]}]}]}}}"
	aVolume   = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: NAME}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, csi: {driver: ebs.csi.aws.com, volumeHandle: NAME}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-east-1]}]}]}}}}"
	minAvail1 = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: NAME}, spec: {minAvailable: 1, selector: {matchLabels: {attempt: NAME}}}}"
)

// nearVolume keeps a pod where the volumes are: elsewhere it would wait for one to be made, which nobody does here.
const nearVolume = "nodeSelector: {topology.kubernetes.io/region: us-east-1}"

var (
	deployment = controlled("apps/v1", "Deployment", "replicas: 2", podSpec("", ""))
	stateful   = controlled("apps/v1", "StatefulSet", "replicas: 1, serviceName: NAME, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, resources: {requests: {storage: 1Gi}}}}]",
		podSpec("volumeMounts: [{name: data, mountPath: /data}]", nearVolume))
	daemon = controlled("apps/v1", "DaemonSet", "", podSpec("", atHome))
	job    = "{apiVersion: batch/v1, kind: Job, metadata: {name: NAME}, spec: {template: {metadata: {labels: {attempt: NAME}}, spec: " + podSpec("", "restartPolicy: Never") + "}}}"
	cron   = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: NAME}, spec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {metadata: {labels: {attempt: NAME}}, spec: " + podSpec("", "restartPolicy: Never") + "}}}}}"
	richly = "{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {attempt: NAME, acme.example/team: blue}, annotations: {acme.example/note: x}, finalizers: [acme.example/backup]}, spec: " +
		podSpec("volumeMounts: [{name: all, mountPath: /all}, {name: tmp, mountPath: /tmp, subPath: mine}]", "initContainers: [{name: first, image: example/init, "+restrictedContainer+"}, {name: beside, image: example/proxy, restartPolicy: Always, "+restrictedContainer+"}], "+
			"volumes: [{name: tmp, emptyDir: {}}, {name: all, projected: {sources: [{serviceAccountToken: {path: token, audience: vault, expirationSeconds: 600}}, {configMap: {name: hipaa-config}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}], "+
			"priorityClassName: urgent, tolerations: [{key: own, operator: Exists}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {attempt: NAME}}}]") + "}"
	scratch = "{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {attempt: NAME}}, spec: " + podSpec("", nearVolume+", volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, resources: {requests: {storage: 1Gi}}}}}}]") + "}"
	gated   = "{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {attempt: NAME}}, spec: " + podSpec("", hold) + "}"
)

var rolledOut = kubectl("rollout", "status", "deployment/NAME", "--timeout=60s")

var workloads = UseGroup{Name: "workloads", Uses: []Use{
	{Name: "Deployment, from rollout to rollback", Steps: []step{creates(deployment), rolledOut, runsInside,
		kubectl("set", "image", "deployment/NAME", "web=example/web:2"), rolledOut,
		kubectl("rollout", "restart", "deployment/NAME"), rolledOut,
		kubectl("rollout", "history", "deployment/NAME"), kubectl("rollout", "undo", "deployment/NAME"), rolledOut,
		kubectl("scale", "deployment/NAME", "--replicas=3"), rolledOut,
		asks("PATCH /apis/apps/v1/namespaces/NAMESPACE/deployments/NAME/scale", "{spec: {replicas: 1}}"), rolledOut,
		kubectl("rollout", "pause", "deployment/NAME"), kubectl("rollout", "resume", "deployment/NAME"), kubectl("delete", "deployment/NAME", "--timeout=60s")}},
	{Name: "StatefulSet with its claim", Steps: []step{prepared(aVolume), creates(stateful), kubectl("rollout", "status", "statefulset/NAME", "--timeout=60s"), runsInside,
		kubectl("wait", "pvc/data-NAME-0", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s"),
		kubectl("rollout", "restart", "statefulset/NAME"), kubectl("rollout", "history", "statefulset/NAME"), kubectl("scale", "statefulset/NAME", "--replicas=0"), kubectl("delete", "statefulset/NAME", "pvc/data-NAME-0", "--timeout=60s")}},
	{Name: "DaemonSet in the regions", Steps: []step{creates(daemon), kubectl("rollout", "status", "daemonset/NAME", "--timeout=60s"), runsInside,
		kubectl("set", "image", "daemonset/NAME", "web=example/web:2"), kubectl("rollout", "status", "daemonset/NAME", "--timeout=60s"), kubectl("rollout", "undo", "daemonset/NAME"), kubectl("delete", "daemonset/NAME", "--timeout=60s")}},
	{Name: "Job", Steps: []step{creates(job), kubectl("wait", "job/NAME", "--for=condition=complete", "--timeout=60s"), runsInside, kubectl("delete", "job/NAME", "--timeout=60s")}},
	{Name: "CronJob, and a Job from it by hand", Steps: []step{creates(cron), kubectl("create", "job", "NAME-now", "--from=cronjob/NAME"), kubectl("wait", "job/NAME-now", "--for=condition=complete", "--timeout=60s"), kubectl("delete", "job/NAME-now", "cronjob/NAME", "--timeout=60s")}},
	{Name: "HorizontalPodAutoscaler", Steps: []step{creates(deployment), kubectl("autoscale", "deployment/NAME", "--min=1", "--max=3", "--cpu=50%"), kubectl("get", "hpa", "NAME"), kubectl("delete", "hpa/NAME", "deployment/NAME", "--timeout=60s")}},
	{Name: "pod of many parts", Steps: []step{creates(richly), kubectl("wait", "pod/NAME", "--for=condition=Ready", "--timeout=60s"), runsInside, unhindered("GET /api/v1/namespaces/NAMESPACE/pods/NAME/log?container=web"),
		kubectl("label", "pod/NAME", "acme.example/shift=night"), kubectl("annotate", "pod/NAME", "acme.example/note=y", "--overwrite"), kubectl("patch", "pod/NAME", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`), kubectl("delete", "pod/NAME", "--timeout=60s")}},
	{Name: "ephemeral volume of an allowed class", Steps: []step{prepared(aVolume), creates(scratch), kubectl("wait", "pod/NAME", "--for=condition=Ready", "--timeout=60s"), runsInside, kubectl("delete", "pod/NAME", "--timeout=60s")}},
	{Name: "gated pod let go", Steps: []step{creates(gated), kubectl("patch", "pod/NAME", "--type=json", "-p", `[{"op":"remove","path":"/spec/schedulingGates"}]`), kubectl("wait", "pod/NAME", "--for=condition=Ready", "--timeout=60s"), runsInside, kubectl("delete", "pod/NAME", "--timeout=60s")}},
	{Name: "disruption budget and eviction", As: []actor{operations, account}, Steps: []step{creates(minAvail1, deployment), rolledOut, evicts, rolledOut, kubectl("delete", "pdb/NAME", "deployment/NAME", "--timeout=60s")}},
	{Name: "resize in place", As: []actor{operations, account, administrator}, Steps: []step{creates(waitingPod), kubectl("patch", "pod/NAME", "--subresource=resize", "-p", `{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"100m"}}}]}}`), kubectl("delete", "pod/NAME", "--timeout=60s")}},
}}

var waitingPod = "{apiVersion: v1, kind: Pod, metadata: {name: NAME}, spec: " + podSpec("resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 200m, memory: 256Mi}}", "schedulerName: nobody") + "}"

var traffic = UseGroup{Name: "traffic", Uses: []Use{
	{Name: "Service with pods behind it", Steps: []step{creates(service("selector: {attempt: NAME}, ports: [{port: 443, targetPort: 8443}]"), deployment), rolledOut, hasEndpoints, kubectl("get", "endpointslices"), kubectl("delete", "service/NAME", "deployment/NAME", "--timeout=60s")}},
	{Name: "headless Service", Steps: []step{creates(service("clusterIP: None, selector: {attempt: NAME}, ports: [{port: 443}]"), deployment), hasEndpoints, kubectl("delete", "service/NAME", "deployment/NAME", "--timeout=60s")}},
	{Name: "load balancer for the allowlist", Steps: []step{creates(service(balanced)), kubectl("delete", "service/NAME")}},
	{Name: "load balancer for a part of the allowlist", Steps: []step{creates(service(balanced + ", loadBalancerSourceRanges: [203.0.113.16/28, '2001:db8:12:1::/64'], externalTrafficPolicy: Local")), kubectl("patch", "service/NAME", "-p", `{"spec":{"loadBalancerSourceRanges":["203.0.113.0/28"]}}`), kubectl("patch", "service/NAME", "-p", `{"spec":{"type":"ClusterIP"}}`), kubectl("delete", "service/NAME")}},
	{Name: "Ingress with TLS", Steps: []step{creates(ownIngress), kubectl("annotate", "ingress/NAME", "cert-manager.io/cluster-issuer=letsencrypt"), kubectl("get", "ingress/NAME"), kubectl("delete", "ingress/NAME")}},
	{Name: "Gateway API routes", Steps: []step{creates(ownRoute, gateway("GRPCRoute", "rules: [{backendRefs: [{name: web, port: 443}]}]")), kubectl("get", "httproute/NAME"), kubectl("delete", "httproute/NAME", "grpcroute/NAME")}},
	{Name: "Gateway with TLS", As: []actor{operations, account}, Steps: []step{creates(ownGateway), kubectl("delete", "gateway/NAME")}},
	{Name: "NetworkPolicies inside the limits", As: []actor{operations, account, administrator}, Steps: []step{creates(ownPods), kubectl("delete", "networkpolicy/NAME"),
		creates(netpol("policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/25, except: [203.0.113.7/32]}}], ports: [{port: 443}]}]")), kubectl("delete", "networkpolicy/NAME"),
		creates(netpol("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/26}}], ports: [{port: 443}]}]")), kubectl("delete", "networkpolicy/NAME"),
		creates(netpol("ingress: [{from: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: NAMESPACE}}, podSelector: {matchLabels: {app: web}}}]}]")), kubectl("label", "networkpolicy/NAME", "a=b"), kubectl("delete", "networkpolicy/NAME")}},
}}

var upkeep = UseGroup{Name: "upkeep", Uses: []Use{
	{Name: "kubectl apply, diff, apply again", Steps: []step{kubectlWith(deployment, "apply", "--dry-run=server", "-f", "-"), kubectlWith(deployment, "apply", "-f", "-"), rolledOut, kubectlWith(deployment, "diff", "-f", "-"), kubectlWith(deployment, "apply", "-f", "-"), kubectlWith(deployment, "delete", "-f", "-")}},
	{Name: "server-side apply, twice", Steps: []step{kubectlWith(deployment, "apply", "--server-side", "-f", "-"), rolledOut, kubectlWith(deployment, "apply", "--server-side", "-f", "-"), kubectlWith(deployment, "diff", "--server-side", "-f", "-"), kubectlWith(deployment, "delete", "-f", "-")}},
	{Name: "ConfigMap", Steps: []step{kubectl("create", "configmap", "NAME", "--from-literal=a=b"), kubectl("patch", "configmap/NAME", "-p", `{"data":{"a":"c"}}`), kubectl("get", "configmap/NAME"), kubectl("delete", "configmap/NAME")}},
	{Name: "Secret, written and not read", Steps: []step{creates("{apiVersion: v1, kind: Secret, metadata: {name: NAME}, stringData: {a: b}}"), asks("PATCH /api/v1/namespaces/NAMESPACE/secrets/NAME", "{stringData: {a: c}}"), asks("DELETE /api/v1/namespaces/NAMESPACE/secrets/NAME", "")}},
	{Name: "service account, and a pod that runs as it", As: []actor{operations, account, administrator}, Steps: []step{kubectl("create", "serviceaccount", "NAME"),
		creates("{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {attempt: NAME}}, spec: " + podSpec("", "serviceAccountName: NAME") + "}"), kubectl("wait", "pod/NAME", "--for=condition=Ready", "--timeout=60s"), kubectl("delete", "pod/NAME", "serviceaccount/NAME", "--timeout=60s")}},
	{Name: "owner within the namespace", Steps: []step{ownsConfigMap}},
	{Name: "what the operator made, read", Steps: []step{kubectl("get", "configmap/hipaa-config"), kubectl("get", "networkpolicies,resourcequotas,limitranges,rolebindings"), kubectl("get", "events"), kubectl("get", "all"), kubectl("auth", "can-i", "--list")}},
	{Name: "tokens within the session", As: []actor{administrator}, Steps: []step{kubectl("create", "token", "deployer", "--duration=15m")}},
	{Name: "roles for people and accounts of the namespace", As: []actor{administrator}, Steps: []step{creates("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: NAME}, rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]}",
		binding(user("jo@acme.example")+", "+team("acme-devs")+", {kind: ServiceAccount, name: deployer, namespace: NAMESPACE}")), kubectl("delete", "rolebinding/NAME", "role/NAME")}},
	{Name: "many objects deleted at once", As: []actor{administrator}, Steps: []step{kubectl("create", "configmap", "NAME", "--from-literal=a=b"), kubectl("label", "configmap/NAME", "attempt=NAME"), kubectl("delete", "configmap", "-l", "attempt=NAME")}},
}}
