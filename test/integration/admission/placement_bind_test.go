package admission_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// binding is the body a scheduler posts; metadata is JSON to be added to it.
func binding(kind, node, metadata string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Binding","metadata":{"name":"web"%s},"target":{"kind":%q,"name":%q}}`, metadata, kind, node)
}

func bind(node string) pt.Request { return pt.Post("pods/web/binding", binding("Node", node, "")) }

// forged is a label the requester sends, hoping it passes for the one the API server copies from the node.
const forged = `,"labels":{"topology.kubernetes.io/region":"us-east-1"}`

const regionLabel = `{"metadata":{"labels":{"topology.kubernetes.io/region":"us-west-2"}}}`

var (
	aPod    = &corev1.Pod{ObjectMeta: named("web")}
	pending = []pt.Request{pt.Create(pod(""))}
	running = []pt.Request{pt.Create(pod("")), pt.As(pt.Scheduler, bind("us-1"))}
)

var placementBindTable = pt.Table{Policy: "placement-bind", Rows: []pt.Row{
	{Name: "binding in the region", As: pt.Scheduler, Given: pending, Do: bind("us-1"), Want: pt.Allowed()},
	{Name: "binding in the failover region", As: pt.Scheduler, Given: pending, Do: bind("west-1"), Want: pt.Allowed()},
	{Name: "binding in another region", As: pt.Scheduler, Given: pending, Do: bind("eu-1"), Want: pt.Refused("placement-bind",
		"region eu-west-1 of node eu-1 is not one of us-east-1,us-west-2 allowed to tenant acme-health; change spec.region or spec.failoverRegions of HIPAATenant acme-health")},
	{Name: "binding in another region", As: pt.Admin, Given: pending, Do: bind("eu-1"), Want: pt.Refused("placement-bind", "region eu-west-1 of node eu-1")},
	{Name: "binding in another region", As: pt.Developer, Given: pending, Do: bind("eu-1"), Want: pt.Refused("placement-bind", "region eu-west-1 of node eu-1")},
	{Name: "binding in another region", As: pt.Application, Given: pending, Do: bind("eu-1"), Want: pt.Refused("placement-bind", "region eu-west-1 of node eu-1")},
	{Name: "binding to a node without region", As: pt.Scheduler, Given: pending, Do: bind("bare-1"), Want: pt.Refused("placement-bind", "node bare-1 has no label topology.kubernetes.io/region")},
	{Name: "binding to a node that does not exist", As: pt.Scheduler, Given: pending, Do: bind("nowhere"), Want: pt.Refused("placement-bind", "node nowhere has no label")},
	{Name: "forged region, node without region", As: pt.Scheduler, Given: pending, Do: pt.Post("pods/web/binding", binding("Node", "bare-1", forged)),
		Want: pt.Refused("placement-bind", "the request sets label topology.kubernetes.io/region to us-east-1; leave it out")},
	{Name: "forged region, hidden behind empty managedFields", As: pt.Scheduler, Given: pending,
		Do:   pt.Post("pods/web/binding", binding("Node", "bare-1", forged+`,"managedFields":[]`)),
		Want: pt.Refused("placement-bind", "the request sets label topology.kubernetes.io/region")},
	{Name: "forged region, hidden behind forged managedFields", As: pt.Scheduler, Given: pending,
		Do: pt.Post("pods/web/binding", binding("Node", "bare-1", forged+
			`,"managedFields":[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:target":{}}}]`)),
		Want: pt.Refused("placement-bind", "the request sets label topology.kubernetes.io/region")},
	{Name: "forged region, target without kind", As: pt.Scheduler, Given: pending, Do: pt.Post("pods/web/binding", binding("", "eu-1", forged)),
		Want: pt.Refused("placement-bind", `target.kind is ""; set it to Node`)},
	{Name: "another label on a binding", As: pt.Scheduler, Given: pending, Do: pt.Post("pods/web/binding", binding("Node", "us-1", `,"labels":{"batch":"7"}`)), Want: pt.Allowed()},
	{Name: "legacy binding, even in the region", As: pt.Scheduler, Given: pending, Do: pt.Post("bindings", binding("Node", "us-1", "")),
		Want: pt.Refused("placement-bind", "the legacy resource bindings hides the region")},
	{Name: "legacy binding", As: pt.Admin, Given: pending, Do: pt.Post("bindings", binding("Node", "eu-1", "")), Want: pt.Refused("placement-bind", "the legacy resource bindings")},
	{Name: "region leaves the tenant while a pod is pending", As: pt.Scheduler, Inside: true, Given: pending,
		Do: pt.InOrder(setFacts(map[string]string{"hipaatenant.dev/regions": "us-east-1"}),
			untilRefused(pt.Post("pods/web/binding?dryRun=All", binding("Node", "west-1", "")))),
		Want: pt.Refused("placement-bind", "region us-west-2 of node west-1 is not one of us-east-1 allowed")},
	{Name: "no fact about regions any more", As: pt.Scheduler, Inside: true, Given: pending,
		Do: pt.InOrder(setFacts(map[string]string{"hipaatenant.dev/regions": pt.Without}),
			untilRefused(pt.Post("pods/web/binding?dryRun=All", binding("Node", "us-1", "")))),
		Want: pt.Refused("placement-bind", "has no annotation hipaatenant.dev/regions, so no region is allowed to tenant acme-health")},

	{Name: "nodeName, even in the region", Do: pt.Create(pod("nodeName: us-1")), Want: pt.Refused("placement-bind", "spec.nodeName is us-1, which goes past the scheduler")},
	{Name: "nodeName", As: pt.Admin, Do: pt.Create(pod("nodeName: eu-1")), Want: pt.Refused("placement-bind", "spec.nodeName is eu-1")},
	{Name: "nodeName", As: pt.Application, Do: pt.Create(pod("nodeName: eu-1")), Want: pt.Refused("placement-bind", "spec.nodeName is eu-1")},
	{Name: "nodeName, dry run", Do: pt.DryRun(pod("nodeName: eu-1")), Want: pt.Refused("placement-bind", "spec.nodeName is eu-1")},
	{Name: "mirror pod", As: pt.Admin, Do: pt.Create(pod("nodeName: eu-1, automountServiceAccountToken: false", "annotations: {kubernetes.io/config.mirror: abc}")),
		Want: pt.Refused("placement-bind", "mirror pods run on a node nobody scheduled them to")},

	{Name: "region label of a running pod", Given: running, Do: pt.Patch(aPod, types.MergePatchType, regionLabel),
		Want: pt.Refused("placement-bind", `stays "us-east-1"; the request sets "us-west-2"`)},
	{Name: "region label of a running pod, through its status", Given: running, Do: pt.Patch(aPod, types.MergePatchType, regionLabel, "status"),
		Want: pt.Refused("placement-bind", `stays "us-east-1"; the request sets "us-west-2"`)},
	{Name: "region label taken away", Given: running, Do: pt.Patch(aPod, types.JSONPatchType, `[{"op":"remove","path":"/metadata/labels/topology.kubernetes.io~1region"}]`),
		Want: pt.Refused("placement-bind", `stays "us-east-1"; the request sets ""`)},
	{Name: "another label of a running pod", Given: running, Do: pt.Patch(aPod, types.MergePatchType, `{"metadata":{"labels":{"tier":"edge"}}}`), Want: pt.Allowed()},
	{Name: "status of a running pod", As: pt.Kubelet, Given: running, Do: pt.Patch(aPod, types.MergePatchType, `{"status":{"message":"fine"}}`, "status"), Want: pt.Allowed()},
}}

var _ = placementBindTable.Specs(environment)
