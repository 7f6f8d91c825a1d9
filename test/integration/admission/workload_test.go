package admission_test

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	. "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
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
var gateRows = []Row{
	{Name: "pod, gate open", Facts: gate("open"), Do: Create(pod("")), Want: Allowed()},
	{Name: "pod, gate locked", Facts: gate("locked"), Do: Create(pod("")),
		Want: Refused("workload", "of tenant acme-health is locked and admits pods only while it is open; hipaa-tenant-operator opens it once HIPAATenant acme-health is Ready")},
	{Name: "pod, gate frozen", Facts: gate("frozen"), Do: Create(pod("")), Want: Refused("workload", "is frozen and admits pods only while it is open; see condition BAAInForce")},
	{Name: "pod, gate quarantined", Facts: gate("quarantined"), Do: Create(pod("")), Want: Refused("workload", "is quarantined and admits pods only")},
	{Name: "pod, gate missing", Facts: gate(Without), Do: Create(pod("")), Want: Refused("workload", "is without a gate and admits pods only")},
	{Name: "pod, gate unknown", Facts: gate("Open"), Do: Create(pod("")), Want: Refused("workload", "is Open and admits pods only")},
	{Name: "pod, gate locked", As: Admin, Facts: gate("locked"), Do: Create(pod("")), Want: Refused("workload", "is locked")},
	{Name: "pod, gate locked", As: Operator, Facts: gate("locked"), Do: Create(pod("")), Want: Refused("workload", "is locked")},
	{Name: "pod, gate locked", As: Application, Facts: gate("locked"), Do: Create(pod("")), Want: Refused("workload", "is locked")},
	{Name: "pod, gate locked, dry run", Facts: gate("locked"), Do: DryRun(pod("")), Want: Refused("workload", "is locked")},
	{Name: "pod, gate locked, server-side apply", Facts: gate("locked"), Do: Apply(pod("")), Want: Refused("workload", "is locked")},
	{Name: "Deployment waits while locked", Facts: gate("locked"), Do: Create(apps("Deployment", template("", ""))), Want: Allowed()},
	{Name: "label of a pod while frozen", Given: []Request{Create(pod("")), setFacts(gate("frozen")), untilRefusedOnly(DryRun(pod("", "labels: {a: b}")))},
		Do: Patch(aPod, types.MergePatchType, `{"metadata":{"labels":{"tier":"edge"}}}`), Want: Allowed()},
}

// channelRows: no workload for a disabled channel, whatever makes its pods.
var channelRows = []Row{
	{Name: "channel of a pod, enabled", Do: Create(pod("", "labels: {"+chat+"}")), Want: Allowed()},
	{Name: "channel of a pod, disabled", Do: Create(pod("", "labels: {"+sms+"}")), Want: Refused("workload", smsMessage, "as are all of sms,acd-email; change spec.disabledChannels of HIPAATenant acme-health")},
	{Name: "channel of a Deployment, enabled", Do: Create(apps("Deployment", template(chat, ""))), Want: Allowed()},
	{Name: "channel of a Deployment", Do: Create(apps("Deployment", template(sms, ""))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a ReplicaSet", Do: Create(apps("ReplicaSet", template(sms, ""))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a StatefulSet", Do: Create(apps("StatefulSet", template(sms, ""))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a DaemonSet", Do: Create(apps("DaemonSet", template(sms, ""))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a Job", Do: Create(job(template(sms, onFailure))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a CronJob", Do: Create(cronJob(template(sms, onFailure))), Want: Refused("workload", smsMessage)},
	{Name: "channel of a ReplicationController", Want: Refused("workload", smsMessage),
		Do: Create("{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {selector: {app: web}, template: " + template(sms, "") + "}}")},
	{Name: "channel of a PodTemplate", Do: Create("{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + template(sms, "") + "}"), Want: Refused("workload", smsMessage)},
	{Name: "channel of a pod, without the fact", Facts: map[string]string{"hipaatenant.dev/disabled-channels": Without}, Do: Create(pod("", "labels: {"+chat+"}")),
		Want: Refused("workload", "channel chat", "fact missing: every channel")},
	{Name: "channel of a pod, none disabled", Facts: map[string]string{"hipaatenant.dev/disabled-channels": ""}, Do: Create(pod("", "labels: {"+sms+"}")), Want: Allowed()},
	{Name: "pod becomes a disabled channel", Given: pending, Do: Patch(aPod, types.MergePatchType, becomesSMS), Want: Refused("workload", smsMessage)},
	{Name: "pod becomes a disabled channel, through its status", Given: pending, Do: Patch(aPod, types.MergePatchType, becomesSMS, "status"), Want: Refused("workload", smsMessage)},
	{Name: "Deployment becomes a disabled channel", Given: []Request{Create(apps("Deployment", template("", "")))},
		Do: Patch(aDeployment, types.MergePatchType, `{"spec":{"template":`+becomesSMS+`}}`), Want: Refused("workload", smsMessage)},
	{Name: "CronJob becomes a disabled channel", Given: []Request{Create(cronJob(template("", onFailure)))},
		Do: Apply(cronJob(template(sms, onFailure))), Want: Refused("workload", smsMessage)},
	{Name: "scale down a Deployment whose channel is disabled since", Want: Allowed(),
		Given: []Request{Create(apps("Deployment", template(chat, ""))), setFacts(map[string]string{"hipaatenant.dev/disabled-channels": "chat"}),
			untilRefusedOnly(DryRun(pod("", "labels: {"+chat+"}")))},
		Do: Patch(aDeployment, types.MergePatchType, `{"spec":{"replicas":0}}`)},
}

const everyTaint = "tolerations: [{operator: Exists}]"

// podRows: what a pod may claim of the cluster.
var podRows = []Row{
	{Name: "toleration of every taint, pod", Do: Create(pod(everyTaint)), Want: Refused("workload", "tolerates every taint; name the key")},
	{Name: "toleration of every taint with an effect, pod", Do: Create(pod("tolerations: [{operator: Exists, effect: NoSchedule}]")), Want: Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, DaemonSet", Do: Create(apps("DaemonSet", template("", everyTaint))), Want: Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, CronJob", Do: Create(cronJob(template("", onFailure+", "+everyTaint))), Want: Refused("workload", "tolerates every taint")},
	{Name: "toleration of every taint, added to a pod", Given: pending, Want: Refused("workload", "tolerates every taint"),
		Do: Patch(aPod, types.JSONPatchType, `[{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`)},
	{Name: "toleration of every taint, smuggled in by a RuntimeClass", Want: Refused("workload", "tolerates every taint"),
		Given: []Request{As(Admin, Create("{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: NAMESPACE}, handler: runc, scheduling: {tolerations: [{operator: Exists}]}}"))},
		Do:    decided(Create(pod("runtimeClassName: NAMESPACE")))},
	{Name: "toleration of a named taint", Do: Create(pod("tolerations: [{key: gpu, operator: Exists}]")), Want: Allowed()},
	{Name: "priority of the system, pod", Do: Create(pod("priorityClassName: system-node-critical")), Want: Refused("workload", "priority classes that begin with system-")},
	{Name: "priority of the system, Deployment", Do: Create(apps("Deployment", template("", "priorityClassName: system-cluster-critical"))), Want: Refused("workload", "priority classes that begin with system-")},
	{Name: "priority of the system, Job", As: Admin, Do: Create(job(template("", onFailure+", priorityClassName: system-cluster-critical"))), Want: Refused("workload", "priority classes that begin with system-")},
	{Name: "a priority class of the platform", Want: Allowed(),
		Given: []Request{As(Admin, Create("{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: NAMESPACE}, value: 100}"))},
		Do:    Eventually("the class to be seen", Create(pod("priorityClassName: NAMESPACE")))},
}

var workloadTable = Table{Policy: "workload", Rows: concat(gateRows, channelRows, podRows, reachRows, tokenRows)}

var _ = workloadTable.Specs(environment)

func ephemeral(s *corev1.Pod) {
	s.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "example/debug"}}}
}
