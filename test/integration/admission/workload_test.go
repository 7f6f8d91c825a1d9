package admission_test

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// template is a pod template; both arguments are YAML in flow style.
func template(labels, spec string) string {
	return fmt.Sprintf("{metadata: {labels: {app: web%s}}, spec: {containers: [{name: web, image: example/web}]%s}}", more(labels), more(spec))
}

// apps is an object of group apps with this template.
func apps(kind, template string) string {
	extra := map[string]string{"Deployment": ", replicas: 1", "StatefulSet": ", replicas: 1, serviceName: web", "ReplicaSet": ", replicas: 1"}[kind]
	return fmt.Sprintf("{apiVersion: apps/v1, kind: %s, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}%s, template: %s}}", kind, extra, template)
}

func job(template string) string {
	return fmt.Sprintf("{apiVersion: batch/v1, kind: Job, metadata: {name: web}, spec: {template: %s}}", template)
}

func cronJob(template string) string {
	return fmt.Sprintf(`{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: %s}}}}`, template)
}

const (
	sms       = "hipaatenant.dev/channel: sms"
	chat      = "hipaatenant.dev/channel: chat"
	onFailure = "restartPolicy: OnFailure"
)

var (
	aDeployment = &appsv1.Deployment{ObjectMeta: named("web")}
	smsMessage  = "channel sms (label hipaatenant.dev/channel) is disabled for tenant acme-health"
	becomesSMS  = `{"metadata":{"labels":{"hipaatenant.dev/channel":"sms"}}}`
)

func gate(value string) map[string]string {
	return map[string]string{"hipaatenant.dev/admission": value}
}

// gateRows: a pod is admitted while the gate is open and at no other time, whoever asks.
var gateRows = []pt.Row{
	{Name: "pod, gate open", Facts: gate("open"), Do: pt.Create(pod("")), Want: pt.Allowed()},
	{Name: "pod, gate locked", Facts: gate("locked"), Do: pt.Create(pod("")),
		Want: pt.Refused("workload", "of tenant acme-health is locked and admits pods only while it is open; hipaa-tenant-operator opens it once HIPAATenant acme-health is Ready")},
	{Name: "pod, gate frozen", Facts: gate("frozen"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is frozen and admits pods only while it is open; see condition BAAInForce")},
	{Name: "pod, gate quarantined", Facts: gate("quarantined"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is quarantined and admits pods only")},
	{Name: "pod, gate missing", Facts: gate(pt.Without), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is without a gate and admits pods only")},
	{Name: "pod, gate unknown", Facts: gate("Open"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is Open and admits pods only")},
	{Name: "no regions", Facts: map[string]string{"hipaatenant.dev/regions": ""}, Do: pt.Create(pod("")),
		Want: pt.Refused("workload", "has no annotation hipaatenant.dev/regions, so no region is allowed to tenant acme-health")},
	{Name: "no fact about regions", Facts: map[string]string{"hipaatenant.dev/regions": pt.Without}, Do: pt.Create(pod("")), Want: pt.Refused("workload", "has no annotation hipaatenant.dev/regions")},
	{Name: "pod, gate locked", As: pt.Admin, Facts: gate("locked"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is locked")},
	{Name: "pod, gate locked", As: pt.Operator, Facts: gate("locked"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is locked")},
	{Name: "pod, gate locked", As: pt.Application, Facts: gate("locked"), Do: pt.Create(pod("")), Want: pt.Refused("workload", "is locked")},
	{Name: "pod, gate locked, dry run", Facts: gate("locked"), Do: pt.DryRun(pod("")), Want: pt.Refused("workload", "is locked")},
	{Name: "pod, gate locked, server-side apply", Facts: gate("locked"), Do: pt.Apply(pod("")), Want: pt.Refused("workload", "is locked")},
	{Name: "Deployment waits while locked", Facts: gate("locked"), Do: pt.Create(apps("Deployment", template("", ""))), Want: pt.Allowed()},
	{Name: "label of a pod while frozen", Given: []pt.Request{pt.Create(pod("")), setFacts(gate("frozen")), untilRefusedOnly(pt.DryRun(pod("", "labels: {a: b}")))},
		Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"labels":{"tier":"edge"}}}`), Want: pt.Allowed()},
}

// channelRows: no workload for a disabled channel, whatever makes its pods.
var channelRows = []pt.Row{
	{Name: "channel of a pod, enabled", Do: pt.Create(pod("", "labels: {"+chat+"}")), Want: pt.Allowed()},
	{Name: "channel of a pod, disabled", Do: pt.Create(pod("", "labels: {"+sms+"}")), Want: pt.Refused("workload", smsMessage, "as are all of sms,acd-email; change spec.disabledChannels of HIPAATenant acme-health")},
	{Name: "channel of a Deployment, enabled", Do: pt.Create(apps("Deployment", template(chat, ""))), Want: pt.Allowed()},
	{Name: "channel of a Deployment", Do: pt.Create(apps("Deployment", template(sms, ""))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a ReplicaSet", Do: pt.Create(apps("ReplicaSet", template(sms, ""))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a StatefulSet", Do: pt.Create(apps("StatefulSet", template(sms, ""))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a DaemonSet", Do: pt.Create(apps("DaemonSet", template(sms, ""))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a Job", Do: pt.Create(job(template(sms, onFailure))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a CronJob", Do: pt.Create(cronJob(template(sms, onFailure))), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a ReplicationController", Want: pt.Refused("workload", smsMessage),
		Do: pt.Create("{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {selector: {app: web}, template: " + template(sms, "") + "}}")},
	{Name: "channel of a PodTemplate", Do: pt.Create("{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + template(sms, "") + "}"), Want: pt.Refused("workload", smsMessage)},
	{Name: "channel of a pod, without the fact", Facts: map[string]string{"hipaatenant.dev/disabled-channels": pt.Without}, Do: pt.Create(pod("", "labels: {"+chat+"}")),
		Want: pt.Refused("workload", "channel chat", "fact missing: every channel")},
	{Name: "channel of a pod, none disabled", Facts: map[string]string{"hipaatenant.dev/disabled-channels": ""}, Do: pt.Create(pod("", "labels: {"+sms+"}")), Want: pt.Allowed()},
	{Name: "pod becomes a disabled channel", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, becomesSMS), Want: pt.Refused("workload", smsMessage)},
	{Name: "pod becomes a disabled channel, through its status", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, becomesSMS, "status"), Want: pt.Refused("workload", smsMessage)},
	{Name: "pod becomes a disabled channel, through its binding", As: pt.Scheduler, Given: pending,
		Do: pt.Post("pods/web/binding", binding("Node", "us-1", `,"labels":{"hipaatenant.dev/channel":"sms"}`)), Want: pt.Refused("workload", smsMessage)},
	{Name: "Deployment becomes a disabled channel", Given: []pt.Request{pt.Create(apps("Deployment", template("", "")))},
		Do: pt.Patch(aDeployment, types.MergePatchType, `{"spec":{"template":`+becomesSMS+`}}`), Want: pt.Refused("workload", smsMessage)},
	{Name: "CronJob becomes a disabled channel", Given: []pt.Request{pt.Create(cronJob(template("", onFailure)))},
		Do: pt.Apply(cronJob(template(sms, onFailure))), Want: pt.Refused("workload", smsMessage)},
	{Name: "scale down a Deployment whose channel is disabled since", Want: pt.Allowed(),
		Given: []pt.Request{pt.Create(apps("Deployment", template(chat, ""))), setFacts(map[string]string{"hipaatenant.dev/disabled-channels": "chat"}),
			untilRefusedOnly(pt.DryRun(pod("", "labels: {"+chat+"}")))},
		Do: pt.Patch(aDeployment, types.MergePatchType, `{"spec":{"replicas":0}}`)},
}

const (
	otherStamp = `{"metadata":{"annotations":{"hipaatenant.dev/config-hash":"fedcba9876543210"}}}`
	aStamp     = "says which settings a pod was given, and is stamped when it is created; make the pod anew"
)

// stampRows: a pod passes for no other than it was made.
var stampRows = []pt.Row{
	{Name: "stamp of another config", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, otherStamp), Want: pt.Refused("workload", aStamp)},
	{Name: "stamp of another config", As: pt.Admin, Given: pending, Do: pt.Patch(aPod, types.MergePatchType, otherStamp), Want: pt.Refused("workload", aStamp)},
	{Name: "stamp of another config, through the status", As: pt.Application, Given: pending, Do: pt.Patch(aPod, types.MergePatchType, otherStamp, "status"), Want: pt.Refused("workload", aStamp)},
	{Name: "stamp of another config, through the binding", As: pt.Scheduler, Given: pending,
		Do: pt.Post("pods/web/binding", binding("Node", "us-1", `,"annotations":{"hipaatenant.dev/config-hash":"fedcba9876543210"}`)), Want: pt.Refused("workload", aStamp)},
	{Name: "stamp on a pod that had none", Given: []pt.Request{pt.Create(pod("", withAnnotations(`hipaatenant.dev/inject-config: "false"`)))},
		Do: pt.Patch(aPod, types.MergePatchType, otherStamp), Want: pt.Refused("workload", aStamp)},
	{Name: "stamp taken away", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"annotations":{"hipaatenant.dev/config-hash":null}}}`), Want: pt.Allowed()},
	{Name: "annotation beside the stamp", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"annotations":{"team":"blue"}}}`), Want: pt.Allowed()},
	{Name: "stamp in a template", Do: pt.Create(apps("Deployment", templateWith("hipaatenant.dev/config-hash: fedcba9876543210", ""))), Want: pt.Allowed()},
}

const everyTaint = "tolerations: [{operator: Exists}]"

// podRows: what a pod may claim of the cluster.
var podRows = []pt.Row{
	{Name: "toleration of every taint, pod", Do: pt.Create(pod(everyTaint)), Want: pt.Refused("workload", "tolerates every taint; name the key")},
	{Name: "toleration of every taint with an effect, pod", Do: pt.Create(pod("tolerations: [{operator: Exists, effect: NoSchedule}]")), Want: pt.Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, DaemonSet", Do: pt.Create(apps("DaemonSet", template("", everyTaint))), Want: pt.Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, CronJob", Do: pt.Create(cronJob(template("", onFailure+", "+everyTaint))), Want: pt.Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, added to a pod", Given: pending, Want: pt.Refused("workload", "tolerates every taint"),
		Do: pt.Patch(aPod, types.JSONPatchType, `[{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`)},
	{Name: "toleration of every taint, smuggled in by a RuntimeClass", Want: pt.Refused("workload", "tolerates every taint"),
		Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: NAMESPACE}, handler: runc, scheduling: {tolerations: [{operator: Exists}]}}"))},
		Do:    decided(pt.Create(pod("runtimeClassName: NAMESPACE")))},
	{Name: "toleration of a named taint", Do: pt.Create(pod("tolerations: [{key: gpu, operator: Exists}]")), Want: pt.Allowed()},
	{Name: "priority of the system, pod", Do: pt.Create(pod("priorityClassName: system-node-critical")), Want: pt.Refused("workload", "priority classes that begin with system-")},
	{Name: "priority of the system, Deployment", Do: pt.Create(apps("Deployment", template("", "priorityClassName: system-cluster-critical"))), Want: pt.Refused("workload", "priority classes that begin with system-")},
	{Name: "priority of the system, Job", As: pt.Admin, Do: pt.Create(job(template("", onFailure+", priorityClassName: system-cluster-critical"))), Want: pt.Refused("workload", "priority classes that begin with system-")},
	{Name: "a priority class of the platform", Want: pt.Allowed(),
		Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: NAMESPACE}, value: 100}"))},
		Do:    pt.Eventually("the class to be seen", pt.Create(pod("priorityClassName: NAMESPACE")))},
}

var workloadTable = pt.Table{Policy: "workload", Rows: concat(gateRows, channelRows, stampRows, podRows, interfaceRows, endRows, reachRows, tokenRows)}

var _ = workloadTable.Specs(environment)

func ephemeral(s *corev1.Pod) {
	s.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "example/debug"}}}
}
