package admission_test

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// withAnnotations is metadata of a pod.
func withAnnotations(list string) string { return "annotations: {" + list + "}" }

// templateWith is a pod template with these annotations.
func templateWith(list, spec string) string {
	return fmt.Sprintf("{metadata: {labels: {app: web}, annotations: {%s}}, spec: {containers: [{name: web, image: example/web}]%s}}", list, more(spec))
}

const (
	hostNetwork = "k8s.v1.cni.cncf.io/networks: kube-system/hostnet"
	pastOthers  = "annotation k8s.v1.cni.cncf.io/networks leads a pod past the NetworkPolicies of tenant acme-health, so it is written by who may create network-attachment-definitions in kube-system, not by "
	getsHost    = `{"metadata":{"annotations":{"k8s.v1.cni.cncf.io/networks":"kube-system/hostnet"}}}`
)

// interfaceRows: no pod gets an interface that no NetworkPolicy sees.
var interfaceRows = []pt.Row{
	{Name: "interface of the host, pod", Do: pt.Create(pod("", withAnnotations(hostNetwork))), Want: pt.Refused("workload", pastOthers+"dev@acme.example; leave it out, or let k8s.v1.cni.cncf.io/networks list names")},
	{Name: "interface of the host, pod", As: pt.Application, Do: pt.DryRun(pod("", withAnnotations(hostNetwork))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, pod of a controller", As: "system:serviceaccount:kube-system:replicaset-controller", Do: pt.Create(pod("", withAnnotations(hostNetwork))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, in the other notation", Do: pt.Create(pod("", withAnnotations(`k8s.v1.cni.cncf.io/networks: '[{"name": "hostnet", "namespace": "kube-system"}]'`))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, second of two", Do: pt.Create(pod("", withAnnotations("k8s.v1.cni.cncf.io/networks: 'own, kube-system/hostnet@net1'"))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, Deployment", Do: pt.Create(apps("Deployment", templateWith(hostNetwork, ""))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, CronJob", Do: pt.Create(cronJob(templateWith(hostNetwork, onFailure))), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host later", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, getsHost), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host later, through the status", Given: pending, Do: pt.Patch(aPod, types.MergePatchType, getsHost, "status"), Want: pt.Refused("workload", pastOthers)},
	{Name: "interface of the host, through the binding", As: pt.Scheduler, Given: pending,
		Do: pt.Post("pods/web/binding", binding("Node", "us-1", `,"annotations":{"k8s.v1.cni.cncf.io/networks":"kube-system/hostnet"}`)), Want: pt.Refused("workload", pastOthers)},
	{Name: "another network instead of the cluster's", Do: pt.Create(pod("", withAnnotations("v1.multus-cni.io/default-network: hostnet"))), Want: pt.Refused("workload", "annotation v1.multus-cni.io/default-network leads a pod past")},
	{Name: "interface of GKE", Do: pt.Create(pod("", withAnnotations(`networking.gke.io/interfaces: '[{"interfaceName": "eth1", "network": "other"}]'`))), Want: pt.Refused("workload", "annotation networking.gke.io/interfaces leads a pod past")},
	{Name: "gateway of other namespaces", Do: pt.Create(pod("", withAnnotations("k8s.ovn.org/routing-namespaces: other-clinic"))), Want: pt.Refused("workload", "annotation k8s.ovn.org/routing-namespaces leads a pod past")},
	{Name: "address of somebody else", Do: pt.Create(pod("", withAnnotations(`cni.projectcalico.org/ipAddrsNoIpam: '["192.0.2.9"]', cni.projectcalico.org/floatingIPs: '["192.0.2.8"]', cni.projectcalico.org/allowedSourcePrefixes: '["0.0.0.0/0"]'`))),
		Want: pt.Refused("workload", "annotation cni.projectcalico.org/ipAddrsNoIpam, cni.projectcalico.org/floatingIPs, cni.projectcalico.org/allowedSourcePrefixes leads a pod past")},
	{Name: "interfaces the platform put into the namespace", Do: pt.Create(apps("Deployment", templateWith("k8s.v1.cni.cncf.io/networks: 'imaging@net1, archive'", ""))), Want: pt.Allowed()},
	{Name: "interface of the host, by the platform", As: pt.Admin, Do: pt.Create(pod("", withAnnotations(hostNetwork))), Want: pt.Allowed()},
	{Name: "pod with such an interface relabelled", Given: []pt.Request{pt.As(pt.Admin, pt.Create(pod("", withAnnotations(hostNetwork))))}, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"labels":{"tier":"edge"},"annotations":{"team":"blue"}}}`), Want: pt.Allowed()},
	{Name: "addresses reported by a plug-in", As: pt.Application, Given: pending, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"annotations":{"cni.projectcalico.org/podIP":"10.0.0.7/32","k8s.v1.cni.cncf.io/network-status":"[]"}}}`, "status"), Want: pt.Allowed()},
}

func ends(seconds string) string { return "terminationGracePeriodSeconds: " + seconds }

const (
	tenYears = "315360000"
	inYears  = "a pod would take 315360000 seconds to end, and run on that long after it was evicted or deleted; tenant acme-health may have at most 3600: lower "
)

var (
	endsInYears = []pt.Request{formerly(pod(ends(tenYears)))}
	nothing     = pt.Patch(aDeployment, types.MergePatchType, `{"spec":{"replicas":0}}`)
)

// endRows: what is evicted, quarantined or shredded ends within the hour.
var endRows = []pt.Row{
	{Name: "pod that takes ten years to end", Do: pt.Create(pod(ends(tenYears))), Want: pt.Refused("workload", inYears+"spec.terminationGracePeriodSeconds")},
	{Name: "pod that takes ten years to end", As: pt.Admin, Do: pt.Create(pod(ends("3601"))), Want: pt.Refused("workload", "a pod would take 3601 seconds to end")},
	{Name: "pod that takes an hour to end", Do: pt.Create(pod(ends("3600"))), Want: pt.Allowed()},
	{Name: "Deployment that takes ten years to end", Do: pt.Create(apps("Deployment", template("", ends(tenYears)))), Want: pt.Refused("workload", inYears)},
	{Name: "CronJob that takes ten years to end", As: pt.Application, Do: pt.Create(cronJob(template("", onFailure+", "+ends(tenYears)))), Want: pt.Refused("workload", inYears)},
	{Name: "Deployment that takes longer to end than before", Given: []pt.Request{pt.Create(apps("Deployment", template("", "")))}, Do: pt.Apply(apps("Deployment", template("", ends(tenYears)))), Want: pt.Refused("workload", inYears)},
	{Name: "Deployment of former times that ends sooner than before", Given: []pt.Request{formerly(apps("Deployment", template("", ends(tenYears))))},
		Do: pt.InOrder(nothing, pt.Apply(apps("Deployment", template("", ends("7200"))))), Want: pt.Allowed()},
	{Name: "pod deleted in ten years", Given: running, Do: deleteIn(315360000), Want: pt.Refused("workload", inYears+"gracePeriodSeconds of the request")},
	{Name: "pods deleted in ten years", As: pt.Admin, Given: running, Want: pt.Refused("workload", inYears), Do: func(ctx context.Context, s *pt.Session) error {
		return s.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.Namespace), client.GracePeriodSeconds(315360000))
	}},
	{Name: "pod evicted in ten years", Given: running, Do: evictIn(tenYears), Want: pt.Refused("workload", inYears+"gracePeriodSeconds of the request")},
	{Name: "pod deleted in an hour", Given: running, Do: deleteIn(3600), Want: pt.Allowed()},
	{Name: "pod evicted in an hour, while the gate is closed", Given: append(running, setFacts(gate("frozen")), untilRefusedOnly(pt.DryRun(pod("", "labels: {a: b}")))), Do: evictIn("3600"), Want: pt.Allowed()},
	{Name: "pod of former times deleted", Given: append(endsInYears, pt.As(pt.Scheduler, bind("us-1"))), Do: pt.Delete(aPod), Want: pt.Allowed()},
	{Name: "pod of former times deleted in its own time", Given: endsInYears, Do: deleteIn(315360000), Want: pt.Allowed()},
	{Name: "label of a pod of former times", Given: endsInYears, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"labels":{"tier":"edge"}}}`), Want: pt.Allowed()},
}

func deleteIn(seconds int64) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		target := aPod.DeepCopy()
		target.Namespace = s.Namespace
		return s.Client.Delete(ctx, target, client.GracePeriodSeconds(seconds))
	}
}

func evictIn(seconds string) pt.Request {
	return pt.Post("pods/web/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"web"},"deleteOptions":{"gracePeriodSeconds":`+seconds+`}}`)
}
