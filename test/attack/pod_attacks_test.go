package attack

// escapes is an attack by a pod that level restricted refuses; the API server names what is wrong.
func escapes(name, object string, parts ...string) Attack {
	return Attack{Name: name, Object: object, By: []refusal{podSecurity(parts...)}}
}

// reaches is an attack by a connection into a running pod.
func reaches(name, send string) Attack {
	return Attack{Name: name, Send: send, By: []refusal{policy("workload", "needs verb use on emergencyaccesses.hipaatenant.dev in namespace acme-health", "ask for an EmergencyAccess")}}
}

const (
	standing   = "{apiVersion: v1, kind: Pod, metadata: {name: standing}}"
	inStanding = "/api/v1/namespaces/NAMESPACE/pods/standing/"
	privileged = "securityContext: {privileged: true}"
)

var pods = Group{Name: "pod", Least: 8, Attacks: []Attack{
	escapes("privileged container", unsafePod(privileged, ""), "privileged"),
	escapes("privileged init container", pod("initContainers: [{name: first, image: example/init, "+privileged+"}]"), `container "first" must not set securityContext.privileged=true`),
	escapes("privileged sidecar", pod("initContainers: [{name: beside, image: example/init, restartPolicy: Always, "+privileged+"}]"), `container "beside"`),
	escapes("network of the host", pod("hostNetwork: true"), "hostNetwork=true"),
	escapes("processes of the host", pod("hostPID: true"), "hostPID=true"),
	escapes("memory of the host", pod("hostIPC: true"), "hostIPC=true"),
	escapes("port of the host", podWith("ports: [{containerPort: 443, hostPort: 443}]", ""), "hostPort"),
	// The policy of storage refuses these volumes at any level of pod security, and in templates.
	{Name: "files of the host", Object: pod("volumes: [{name: root, hostPath: {path: /}}]"), By: []refusal{podSecurity("hostPath"), policy("storage", "volume root (hostPath)")}},
	{Name: "volume that runs git on the node", Object: pod("volumes: [{name: code, gitRepo: {repository: 'https://example.com/x'}}]"), By: []refusal{podSecurity("gitRepo"), policy("storage", "volume code (gitRepo)")}},
	escapes("host process container of Windows", unsafePod("securityContext: {windowsOptions: {hostProcess: true}}", "hostNetwork: true"), "hostProcess"),
	escapes("capability to change the network", unsafePod("securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_ADMIN]}}", ""), "NET_ADMIN"),
	escapes("no seccomp", podWith("", "initContainers: [{name: first, image: example/init, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: Unconfined}}}]"), "seccompProfile"),
	escapes("root", unsafePod("securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsUser: 0}", ""), "runAsUser=0"),
	escapes("unsafe kernel setting", "{apiVersion: v1, kind: Pod, metadata: {name: NAME}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}, sysctls: [{name: kernel.msgmax, value: '1'}]}, containers: [{name: web, image: example/web, "+restrictedContainer+"}]}}", "kernel.msgmax"),
	// The names of volumes and mounts are checked before anything runs.
	{Name: "path out of a volume", Object: podWith("volumeMounts: [{name: tmp, mountPath: /tmp, subPath: ../../etc}]", "volumes: [{name: tmp, emptyDir: {}}]"), By: []refusal{validation("must not contain '..'")}},
	{Name: "ephemeral container at create", Object: pod("ephemeralContainers: [{name: debug, image: example/sh}]"), By: []refusal{validation("ephemeralContainers"), policy("workload")}},

	{Name: "ephemeral container", On: standing, Patch: "{spec: {ephemeralContainers: [{name: debug, image: example/sh, terminationMessagePolicy: File, imagePullPolicy: Always, " + restrictedContainer + "}]}}",
		By: []refusal{policy("workload", "ephemeralcontainers reaches into running pods"), validation("spec.ephemeralContainers"), validation("pod updates may not")}},
	reaches("exec", "POST "+inStanding+"exec?command=sh&stdin=true&stdout=true"),
	reaches("exec by websocket", "GET "+inStanding+"exec?command=sh&stdin=true&stdout=true"),
	reaches("attach", "POST "+inStanding+"attach?stdin=true"),
	reaches("port-forward", "POST "+inStanding+"portforward"),
	reaches("proxy to a pod", "GET "+inStanding+"proxy/records"),
	reaches("proxy to a pod, writing", "POST "+inStanding+"proxy/records"),
	reaches("proxy to a service", "GET /api/v1/namespaces/NAMESPACE/services/standing/proxy/records"),
	{Name: "proxy to a kubelet", Send: "GET /api/v1/nodes/us-1/proxy/run/acme-health/standing/web", By: []refusal{accessControl("nodes/proxy")}},
	{Name: "logs of a kubelet", Send: "GET /api/v1/nodes/us-1/proxy/logs/", By: []refusal{accessControl("nodes/proxy")}},

	{Name: "more than the quota by resizing", On: standing, Patch: "{spec: {containers: [{name: web, image: example/web, resources: {requests: {cpu: '1000', memory: 64Mi}, limits: {cpu: '1000', memory: 256Mi}}}]}}",
		By: []refusal{overQuota("hipaa-quota"), validation("pod updates may not change fields"), validation("only cpu and memory resources are mutable")}},
	{Name: "disabled channel", Object: pod("schedulerName: nobody", "labels: {hipaatenant.dev/channel: sms}"), From: waiting, By: []refusal{policy("workload", "channel sms (label hipaatenant.dev/channel) is disabled for tenant acme-health")}},
	{Name: "running pod relabelled for a disabled channel", On: standing, Patch: "{metadata: {labels: {hipaatenant.dev/channel: sms}}}", By: []refusal{policy("workload", "channel sms")}},
	{Name: "priority of the cluster's own", Object: pod("priorityClassName: system-cluster-critical"), By: []refusal{policy("workload", "priority classes that begin with system-")}},
	{Name: "priority of the node's own", Object: pod("priorityClassName: system-node-critical"), By: []refusal{policy("workload", "priority classes that begin with system-")}},
	{Name: "interface no NetworkPolicy sees", Object: pod("schedulerName: nobody", "annotations: {k8s.v1.cni.cncf.io/networks: kube-system/hostnet}"), From: waiting, By: []refusal{policy("workload", "leads a pod past the NetworkPolicies of tenant acme-health")}},
	{Name: "network instead of the cluster's", On: standing, Patch: "{metadata: {annotations: {v1.multus-cni.io/default-network: hostnet}}}", By: []refusal{policy("workload", "leads a pod past the NetworkPolicies of tenant acme-health")}},
	{Name: "ten years to end", Object: pod("terminationGracePeriodSeconds: 315360000"), By: []refusal{policy("workload", "a pod would take 315360000 seconds to end")}},
	{Name: "ten years to be evicted", On: standing, Send: "POST " + inStanding + "eviction", Body: "{apiVersion: policy/v1, kind: Eviction, metadata: {name: standing}, deleteOptions: {gracePeriodSeconds: 315360000}}", By: []refusal{policy("workload", "lower gracePeriodSeconds of the request")}},
	{Name: "token of 136 years in a volume", Object: pod("volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 4294967296}}]}}]"), By: []refusal{policy("workload", "holds a service account token of more than 86400 seconds")}},
	{Name: "stamp of a config it was not given", On: standing, Patch: "{metadata: {annotations: {hipaatenant.dev/config-hash: fedcba9876543210}}}", By: []refusal{policy("workload", "says which settings a pod was given")}},
	{Name: "config that may be missing", Object: podWith("envFrom: [{configMapRef: {name: hipaa-config, optional: true}}]", ""), By: []refusal{harmless(configDelivered)}},
	{Name: "config under other names", Object: podWith("envFrom: [{prefix: X_, configMapRef: {name: hipaa-config}}]", ""), By: []refusal{harmless(configDelivered)}},
	{Name: "pod in a namespace under quarantine", Without: []string{"create as"}, By: []refusal{policy("workload", "is quarantined and admits pods only while it is open")},
		Object: "{apiVersion: v1, kind: Pod, metadata: {name: NAME, namespace: cedar-lab}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: web, image: example/web, " + restrictedContainer + "}]}}"},
}}
