package attack

import "fmt"

const rbacGroup = "apiGroup: rbac.authorization.k8s.io"

// binding is a RoleBinding to one's own role, of these subjects.
func binding(subjects string) string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: NAME}, roleRef: {%s, kind: Role, name: none}, subjects: [%s]}", rbacGroup, subjects)
}

func user(name string) string { return "{" + rbacGroup + ", kind: User, name: '" + name + "'}" }
func team(name string) string { return "{" + rbacGroup + ", kind: Group, name: '" + name + "'}" }

// admits is an attack by a RoleBinding that names this subject.
func admits(name, subject string, parts ...string) Attack {
	return Attack{Name: name, Object: binding(user("jo@acme.example") + ", " + subject), From: binding(user("jo@acme.example")), By: []refusal{policy("tenancy", parts...)}}
}

// grants is an attack by a Role with this rule. The namespace's administrator may escalate, as far as RBAC goes.
func grants(name, rule string, parts ...string) Attack {
	role := func(rule string) string {
		return "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: NAME}, rules: [{" + rule + "}]}"
	}
	return Attack{Name: name, Object: role(rule), From: role("apiGroups: [''], resources: [configmaps], verbs: [get]"), By: []refusal{policy("tenancy", parts...)}}
}

// denied is a request that RBAC alone can refuse, and does.
func denied(name, send, body string, parts ...string) Attack {
	return Attack{Name: name, Send: send, Body: body, By: []refusal{accessControl(parts...)}}
}

func pretends(name, as string) Attack {
	return Attack{Name: name, Send: "GET /api/v1/namespaces/NAMESPACE/pods", Impersonate: as, By: []refusal{accessControl("impersonate")}}
}

func token(account, spec string) string {
	return "{apiVersion: authentication.k8s.io/v1, kind: TokenRequest, metadata: {name: " + account + "}, spec: {" + spec + "}}"
}

const (
	accounts       = "/api/v1/namespaces/NAMESPACE/serviceaccounts/deployer/token"
	standingAccess = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: hipaa-developer}}"
	everyone       = "which is not one identified user (45 CFR 164.312(a)(2)(i))"
	stranger       = "which is not a service account of namespace acme-health"
	rules          = "rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]"
)

var accessRights = Group{Name: "rbac-and-tokens", Least: 9, Attacks: []Attack{
	admits("role for the anonymous user", user("system:anonymous"), everyone),
	admits("role for everybody without a login", team("system:unauthenticated"), everyone),
	admits("role for everybody with a login", team("system:authenticated"), everyone),
	admits("role for every service account", team("system:serviceaccounts"), everyone),
	admits("role for every service account of another tenant", team("system:serviceaccounts:birch-clinic"), everyone),
	admits("role for another tenant's service account", "{kind: ServiceAccount, name: app, namespace: birch-clinic}", "names birch-clinic/app", stranger),
	admits("role for another tenant's service account, by user name", user("system:serviceaccount:birch-clinic:app"), stranger),
	admits("role for a service account of the cluster", "{kind: ServiceAccount, name: default, namespace: kube-system}", stranger),
	admits("role for a component of the cluster", user("system:kube-scheduler"), "is an identity of the cluster itself"),
	admits("role for the nodes", team("system:nodes"), "is an identity of the cluster itself"),
	grants("role that reaches into pods without an EmergencyAccess", "apiGroups: [hipaatenant.dev], resources: [emergencyaccesses], verbs: [use]", "use on emergencyaccesses.hipaatenant.dev"),
	grants("role that holds everything", "apiGroups: ['*'], resources: ['*'], verbs: ['*']", "use on emergencyaccesses.hipaatenant.dev"),
	grants("role that may give itself more", "apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]", "escalate on roles.rbac.authorization.k8s.io"),
	grants("role that may bind any role", "apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [bind]", "bind on clusterroles.rbac.authorization.k8s.io"),
	grants("role that may be somebody else", "apiGroups: [''], resources: [serviceaccounts], verbs: [impersonate]", "impersonate on serviceaccounts"),
	{Name: "cluster-admin in the namespace", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: NAME}, roleRef: {" + rbacGroup + ", kind: ClusterRole, name: cluster-admin}, subjects: [" + user("ada@acme.example") + "]}",
		By: []refusal{policy("tenancy", "binds cluster-admin, which holds what an approved EmergencyAccess is for")}},
	{Name: "operator's binding extended", On: standingAccess, Patch: "{subjects: [" + team("acme-devs") + ", " + user("mallory") + "]}", By: []refusal{byItAlone}},
	{Name: "operator's binding deleted", On: standingAccess, By: []refusal{byItAlone}},
	{Name: "binding that looks like an emergency's", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: hipaa-emergency-mine, generateName: hipaa-emergency-}, roleRef: {" + rbacGroup + ", kind: Role, name: none}, subjects: [" + user("ada@acme.example") + "]}", By: []refusal{byItAlone}},
	{Name: "shipped role widened", On: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: hipaatenant-developer}}", Patch: "{" + rules + "}", By: []refusal{accessControl("clusterroles")}},
	{Name: "role that is aggregated into others", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NAME, labels: {rbac.authorization.k8s.io/aggregate-to-edit: 'true'}}, " + rules + "}", By: []refusal{accessControl("clusterroles")}},
	{Name: "role of the cluster for oneself", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: NAME}, roleRef: {" + rbacGroup + ", kind: ClusterRole, name: cluster-admin}, subjects: [" + team("acme-admins") + "]}", By: []refusal{accessControl("clusterrolebindings")}},
	{Name: "role in another tenant's namespace", Object: "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: NAME, namespace: VICTIM}, roleRef: {" + rbacGroup + ", kind: ClusterRole, name: hipaatenant-developer}, subjects: [" + team("acme-devs") + "]}", By: []refusal{accessControl("rolebindings")}},
	pretends("impersonation of an administrator", "system:admin"),
	pretends("impersonation of the operator", "system:serviceaccount:hipaa-system:hipaa-tenant-operator"),
	pretends("impersonation of another tenant's service account", "system:serviceaccount:birch-clinic:app"),
	pretends("impersonation of a node", "system:node:us-1"),
	denied("token of the operator", "POST /api/v1/namespaces/hipaa-system/serviceaccounts/hipaa-tenant-operator/token", token("hipaa-tenant-operator", "expirationSeconds: 600"), "serviceaccounts/token"),
	denied("token of another tenant's service account", "POST /api/v1/namespaces/VICTIM/serviceaccounts/default/token", token("default", "expirationSeconds: 600"), "serviceaccounts/token"),
	{Name: "token for a day", Send: "POST " + accounts, Body: token("deployer", "expirationSeconds: 86400"), By: []refusal{policy("workload", "a token of 86400 seconds was asked for; tenant acme-health allows at most 900")}},
	{Name: "token for as long as is usual", Send: "POST " + accounts, Body: token("deployer", ""), By: []refusal{policy("workload", "a token of 3600 seconds")}},
	{Name: "token for another audience, for a day", Send: "POST " + accounts, Body: token("deployer", "audiences: [vault], expirationSeconds: 86400"), By: []refusal{policy("workload", "a token of 86400 seconds")}},
	{Name: "token the API server would extend to a year", Send: "POST " + accounts, Body: token("deployer", "expirationSeconds: 3607, boundObjectRef: {kind: Pod, apiVersion: v1, name: standing}"), By: []refusal{policy("workload", "a token of 3607 seconds")}},
	{Name: "token without an end", Object: "{apiVersion: v1, kind: Secret, metadata: {name: NAME, annotations: {kubernetes.io/service-account.name: deployer}}, type: kubernetes.io/service-account-token}", By: []refusal{policy("workload", "holds a token that never ends")}},
	denied("certificate of a node", "POST /apis/certificates.k8s.io/v1/certificatesigningrequests", "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: NAME}, spec: {signerName: kubernetes.io/kube-apiserver-client, request: '', usages: [client auth]}}", "certificatesigningrequests"),
	denied("certificate approved by oneself", "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/mine/approval", "{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: mine}, spec: {}}", "certificatesigningrequests/approval"),
	denied("exec by the kubelet's own port", "GET /api/v1/nodes/us-1/proxy/exec/acme-health/standing/web?command=sh", "", "nodes/proxy"),
	denied("what others may do", "POST /apis/authorization.k8s.io/v1/subjectaccessreviews", "{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {user: root, nonResourceAttributes: {path: /, verb: get}}}", "subjectaccessreviews"),
}}
