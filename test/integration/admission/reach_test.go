package admission_test

import (
	"fmt"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const approved = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: emergency},
  rules: [{apiGroups: [hipaatenant.dev], resources: [emergencyaccesses], verbs: [use]}]}`

const approvedFor = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: hipaa-emergency-own},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: emergency},
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev@acme.example}]}`

// inEmergency grants the developer what an approved EmergencyAccess grants.
var inEmergency = append([]pt.Request{pt.Create(approved), pt.Create(approvedFor)}, running...)

// reachRows: nobody reaches into a running pod without an EmergencyAccess.
var reachRows = []pt.Row{
	{Name: "exec", Given: running, Do: pt.Post("pods/web/exec?command=sh&stdout=true", ""), Want: pt.Refused("workload",
		"exec reaches into running pods of tenant acme-health and needs verb use on emergencyaccesses.hipaatenant.dev", "which user dev@acme.example does not hold; ask for an EmergencyAccess")},
	{Name: "exec", As: pt.Application, Given: running, Do: pt.Post("pods/web/exec?command=sh&stdout=true", ""), Want: pt.Refused("workload", "exec reaches into running pods")},
	{Name: "attach", Given: running, Do: pt.Post("pods/web/attach?stdout=true", ""), Want: pt.Refused("workload", "attach reaches into running pods")},
	{Name: "port-forward", Given: running, Do: pt.Post("pods/web/portforward?ports=80", ""), Want: pt.Refused("workload", "portforward reaches into running pods")},
	{Name: "proxy to a pod", Given: running, Do: pt.Post("pods/web/proxy", ""), Want: pt.Refused("workload", "proxy reaches into running pods")},
	{Name: "proxy to a service", Given: append([]pt.Request{pt.Create("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}")}, running...),
		Do: pt.Post("services/web/proxy", ""), Want: pt.Refused("workload", "proxy reaches into running pods")},
	{Name: "ephemeral container", Given: running, Do: pt.Update(aPod, ephemeral, "ephemeralcontainers"), Want: pt.Refused("workload", "ephemeralcontainers reaches into running pods")},
	{Name: "ephemeral container in an emergency", Given: inEmergency, Do: pt.Eventually("the right to be seen", pt.Update(aPod, ephemeral, "ephemeralcontainers")), Want: pt.Allowed()},
	{Name: "exec in an emergency", Given: append(inEmergency, pt.Eventually("the right to be seen", pt.As(pt.Developer, pt.Update(aPod, ephemeral, "ephemeralcontainers")))),
		Do: pt.Post("pods/web/exec?command=sh&stdout=true", ""), Want: pt.Unhindered()},
	{Name: "exec, holding every verb", As: pt.Admin, Given: running, Do: pt.Post("pods/web/exec?command=sh&stdout=true", ""), Want: pt.Unhindered()},
}

// token asks for a token; bound is JSON added to the spec.
func token(seconds int, bound string) pt.Request {
	return pt.Post("serviceaccounts/app/token", fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":%d%s}}`, seconds, bound))
}

const (
	toPod  = `,"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"web"}`
	aDay   = "86400"
	sealed = "{apiVersion: v1, kind: Secret, metadata: {name: web, annotations: {kubernetes.io/service-account.name: app}}, type: %s}"
)

func session(seconds string) map[string]string {
	return map[string]string{"hipaatenant.dev/session-timeout-seconds": seconds}
}

var runningAsApp = []pt.Request{pt.Create(pod("serviceAccountName: app")), pt.As(pt.Scheduler, bind("us-1"))}

// tokenVolume holds a token for another audience, as long-lived as asked for.
func tokenVolume(seconds string) string {
	return volumes("{name: token, projected: {sources: [{serviceAccountToken: {audience: sts.example.com, path: token, expirationSeconds: " + seconds + "}}]}}")
}

// tokenRows: a token lives no longer than a session.
var tokenRows = []pt.Row{
	{Name: "token as long as a session", Do: token(900, ""), Want: pt.Allowed()},
	{Name: "token longer than a session", Do: token(901, ""),
		Want: pt.Refused("workload", "a token of 901 seconds was asked for; tenant acme-health allows at most 900", "change spec.sessionTimeout of HIPAATenant acme-health")},
	{Name: "token of the default length", As: pt.Admin, Want: pt.Refused("workload", "a token of 3600 seconds was asked for"),
		Do: pt.Post("serviceaccounts/app/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`)},
	{Name: "token longer than a session", As: pt.Application, Do: token(7200, ""), Want: pt.Refused("workload", "a token of 7200 seconds was asked for")},
	{Name: "shortest token the API server makes, shorter session", Facts: session("60"), Do: token(600, ""), Want: pt.Allowed()},
	{Name: "token longer than the shortest, shorter session", Facts: session("60"), Do: token(601, ""), Want: pt.Refused("workload", "allows at most 600")},
	{Name: "token without the fact", Facts: session(pt.Without), Do: token(600, ""), Want: pt.Refused("workload", "allows at most 0")},
	{Name: "token of an hour, session of a day", Facts: session(aDay), Do: token(3600, ""), Want: pt.Allowed()},
	{Name: "token the API server would extend to a year", Facts: session(aDay), Given: []pt.Request{pt.Create(pod("serviceAccountName: app"))}, Do: token(3607, toPod),
		Want: pt.Refused("workload", "a token of 3607 seconds was asked for")},
	{Name: "token of a pod it runs", As: pt.Kubelet, Given: runningAsApp, Do: pt.Eventually("the node to own the pod", token(3607, toPod)), Want: pt.Allowed()},
	{Name: "token of a day, of a pod it runs", As: pt.Kubelet, Given: runningAsApp, Do: pt.Eventually("the node to own the pod", token(86400, toPod)), Want: pt.Allowed()},
	{Name: "token of a day and more, of a pod it runs", As: pt.Kubelet, Given: runningAsApp, Do: decided(token(86401, toPod)), Want: pt.Refused("workload", "a token of 86401 seconds was asked for", "or, for a token of a pod, ask for at most 86400")},
	{Name: "token of 136 years in a volume", Do: pt.Create(pod(tokenVolume("4294967296"))),
		Want: pt.Refused("workload", "volume token holds a service account token of more than 86400 seconds, allowed to tenant acme-health at most; lower projected.sources[].serviceAccountToken.expirationSeconds")},
	{Name: "token of 136 years in a volume", As: pt.Admin, Do: pt.Create(pod(tokenVolume("4294967296"))), Want: pt.Refused("workload", "volume token holds a service account token")},
	{Name: "token of 136 years in a volume, Deployment", Do: pt.Create(apps("Deployment", template("", tokenVolume("4294967296")))), Want: pt.Refused("workload", "volume token holds a service account token")},
	{Name: "token of 136 years in a volume, CronJob", As: pt.Application, Do: pt.Create(cronJob(template("", onFailure+", "+tokenVolume("86401")))), Want: pt.Refused("workload", "volume token holds a service account token")},
	{Name: "token of a day in a volume, for a cloud provider", Do: pt.Create(pod(tokenVolume("86400"))), Want: pt.Allowed()},
	{Name: "Deployment of former times scaled to nothing, with its token", Given: []pt.Request{formerly(apps("Deployment", template("", tokenVolume("4294967296"))))}, Do: nothing, Want: pt.Allowed()},
	{Name: "Secret with a token without end", Do: pt.Create(fmt.Sprintf(sealed, "kubernetes.io/service-account-token")), Want: pt.Refused("workload", "holds a token that never ends")},
	{Name: "Secret with a token without end", As: pt.Admin, Do: pt.Create(fmt.Sprintf(sealed, "kubernetes.io/service-account-token")), Want: pt.Refused("workload", "holds a token that never ends")},
	{Name: "ordinary Secret", Do: pt.Create(fmt.Sprintf(sealed, "Opaque")), Want: pt.Allowed()},
}
