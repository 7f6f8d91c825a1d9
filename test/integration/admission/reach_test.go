package admission_test

import (
	"fmt"

	. "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const approved = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: emergency},
  rules: [{apiGroups: [hipaatenant.dev], resources: [emergencyaccesses], verbs: [use]}]}`

const approvedFor = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: emergency},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: emergency},
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev@acme.example}]}`

// inEmergency grants the developer what an approved EmergencyAccess grants.
var inEmergency = append([]Request{As(Admin, Create(approved)), As(Admin, Create(approvedFor))}, running...)

// reachRows: nobody reaches into a running pod without an EmergencyAccess.
var reachRows = []Row{
	{Name: "exec", Given: running, Do: Post("pods/web/exec?command=sh&stdout=true", ""), Want: Refused("workload",
		"exec reaches into running pods of tenant acme-health and needs verb use on emergencyaccesses.hipaatenant.dev", "which user dev@acme.example does not hold; ask for an EmergencyAccess")},
	{Name: "exec", As: Application, Given: running, Do: Post("pods/web/exec?command=sh&stdout=true", ""), Want: Refused("workload", "exec reaches into running pods")},
	{Name: "attach", Given: running, Do: Post("pods/web/attach?stdout=true", ""), Want: Refused("workload", "attach reaches into running pods")},
	{Name: "port-forward", Given: running, Do: Post("pods/web/portforward?ports=80", ""), Want: Refused("workload", "portforward reaches into running pods")},
	{Name: "proxy to a pod", Given: running, Do: Post("pods/web/proxy", ""), Want: Refused("workload", "proxy reaches into running pods")},
	{Name: "proxy to a service", Given: append([]Request{Create("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}")}, running...),
		Do: Post("services/web/proxy", ""), Want: Refused("workload", "proxy reaches into running pods")},
	{Name: "ephemeral container", Given: running, Do: Update(aPod, ephemeral, "ephemeralcontainers"), Want: Refused("workload", "ephemeralcontainers reaches into running pods")},
	{Name: "ephemeral container in an emergency", Given: inEmergency, Do: Eventually("the right to be seen", Update(aPod, ephemeral, "ephemeralcontainers")), Want: Allowed()},
	{Name: "exec in an emergency", Given: append(inEmergency, Eventually("the right to be seen", As(Developer, Update(aPod, ephemeral, "ephemeralcontainers")))),
		Do: Post("pods/web/exec?command=sh&stdout=true", ""), Want: Unhindered()},
	{Name: "exec, holding every verb", As: Admin, Given: running, Do: Post("pods/web/exec?command=sh&stdout=true", ""), Want: Unhindered()},
}

// token asks for a token; bound is JSON added to the spec.
func token(seconds int, bound string) Request {
	return Post("serviceaccounts/app/token", fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":%d%s}}`, seconds, bound))
}

const (
	toPod  = `,"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"web"}`
	aDay   = "86400"
	sealed = "{apiVersion: v1, kind: Secret, metadata: {name: web, annotations: {kubernetes.io/service-account.name: app}}, type: %s}"
)

func session(seconds string) map[string]string {
	return map[string]string{"hipaatenant.dev/session-timeout-seconds": seconds}
}

// tokenRows: a token lives no longer than a session.
var tokenRows = []Row{
	{Name: "token as long as a session", Do: token(900, ""), Want: Allowed()},
	{Name: "token longer than a session", Do: token(901, ""),
		Want: Refused("workload", "a token of 901 seconds was asked for; tenant acme-health allows at most 900", "change spec.sessionTimeout of HIPAATenant acme-health")},
	{Name: "token of the default length", As: Admin, Want: Refused("workload", "a token of 3600 seconds was asked for"),
		Do: Post("serviceaccounts/app/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`)},
	{Name: "token longer than a session", As: Application, Do: token(7200, ""), Want: Refused("workload", "a token of 7200 seconds was asked for")},
	{Name: "shortest token the API server makes, shorter session", Facts: session("60"), Do: token(600, ""), Want: Allowed()},
	{Name: "token longer than the shortest, shorter session", Facts: session("60"), Do: token(601, ""), Want: Refused("workload", "allows at most 600")},
	{Name: "token without the fact", Facts: session(Without), Do: token(600, ""), Want: Refused("workload", "allows at most 0")},
	{Name: "token of an hour, session of a day", Facts: session(aDay), Do: token(3600, ""), Want: Allowed()},
	{Name: "token the API server would extend to a year", Facts: session(aDay), Given: []Request{Create(pod("serviceAccountName: app"))}, Do: token(3607, toPod),
		Want: Refused("workload", "a token of 3607 seconds was asked for")},
	{Name: "token of a pod it runs", As: Kubelet, Given: []Request{Create(pod("serviceAccountName: app")), As(Scheduler, bind("us-1"))}, Do: Eventually("the node to own the pod", token(3607, toPod)), Want: Allowed()},
	{Name: "Secret with a token without end", Do: Create(fmt.Sprintf(sealed, "kubernetes.io/service-account-token")), Want: Refused("workload", "holds a token that never ends")},
	{Name: "Secret with a token without end", As: Admin, Do: Create(fmt.Sprintf(sealed, "kubernetes.io/service-account-token")), Want: Refused("workload", "holds a token that never ends")},
	{Name: "ordinary Secret", Do: Create(fmt.Sprintf(sealed, "Opaque")), Want: Allowed()},
}
