package admission_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// service is YAML in flow style; spec and metadata are appended.
func service(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: web%s}, spec: {selector: {app: web}, ports: [{port: 443}]%s}}", more(metadata...), more(spec))
}

func balancer(spec string, metadata ...string) string {
	return service("type: LoadBalancer"+more(spec), metadata...)
}

func ranges(cidrs ...string) string {
	return "loadBalancerSourceRanges: ['" + strings.Join(cidrs, "', '") + "']"
}

// reachable compares the Service: this type, these ranges, and this policy for external traffic.
func reachable(kind corev1.ServiceType, external corev1.ServiceExternalTrafficPolicy, cidrs ...string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		live := &corev1.Service{ObjectMeta: named("web")}
		if err := s.Get(ctx, live); err != nil {
			return err
		}
		want := corev1.ServiceSpec{Type: kind, ExternalTrafficPolicy: external, LoadBalancerSourceRanges: cidrs}
		got := corev1.ServiceSpec{
			Type: live.Spec.Type, ExternalTrafficPolicy: live.Spec.ExternalTrafficPolicy, LoadBalancerSourceRanges: live.Spec.LoadBalancerSourceRanges,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("service (-want +got):\n%s", diff)
		}
		return nil
	}
}

const (
	serviceController  pt.User = "system:serviceaccount:kube-system:service-controller"
	endpointController pt.User = "system:serviceaccount:kube-system:endpoint-controller"
	sliceController    pt.User = "system:serviceaccount:kube-system:endpointslice-controller"
	mirrorController   pt.User = "system:serviceaccount:kube-system:endpointslicemirroring-controller"

	taken       = `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.53"}]}}}`
	toBalancer  = `{"spec":{"type":"LoadBalancer"}}`
	toClusterIP = `{"spec":{"type":"ClusterIP"}}`
	otherPort   = `{"spec":{"ports":[{"port":8443}]}}`
	widened     = `{"spec":{"loadBalancerSourceRanges":["0.0.0.0/0"]}}`
)

var (
	aService   = &corev1.Service{ObjectMeta: named("web")}
	aBalancer  = []pt.Request{pt.Create(balancer(""))}
	everything = []string{"203.0.113.0/24", "2001:db8:12::/48"}
)

// narrowedTo makes a LoadBalancer, and an allowlist afterwards that does not have all of 203.0.113.0/24.
func narrowedTo(allowlist string, balanced pt.Request) []pt.Request {
	return []pt.Request{balanced, setFacts(map[string]string{"hipaatenant.dev/ip-allowlist": allowlist}), untilRefusedOnly(pt.DryRun(balancer(ranges("203.0.113.0/24"))))}
}

// balancerRows: a load balancer is reached from the allowlist, and its pods see who comes.
var balancerRows = []pt.Row{
	{Name: "LoadBalancer without ranges gets the allowlist", Do: pt.InOrder(pt.Create(balancer("")), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "LoadBalancer with part of the allowlist keeps it", Do: pt.InOrder(pt.Create(balancer(ranges("203.0.113.8/29", "2001:db8:12:7::/64"))), reachable("LoadBalancer", "Local", "203.0.113.8/29", "2001:db8:12:7::/64")), Want: pt.Allowed()},
	{Name: "LoadBalancer that hides who comes is set right", Do: pt.InOrder(pt.Create(balancer("externalTrafficPolicy: Cluster")), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "LoadBalancer that hides who comes later is set right", Given: aBalancer,
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, `{"spec":{"externalTrafficPolicy":"Cluster"}}`), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "LoadBalancer whose ranges are taken away gets them again", Given: []pt.Request{pt.Create(balancer(ranges("203.0.113.8/29")))},
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, `{"spec":{"loadBalancerSourceRanges":null}}`), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "LoadBalancer by server-side apply", Do: pt.InOrder(pt.Apply(balancer("")), pt.Apply(balancer("externalTrafficPolicy: Cluster")), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "Service becomes a LoadBalancer", Given: []pt.Request{pt.Create(service(""))}, Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, toBalancer), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "LoadBalancer becomes an ordinary Service again", Given: aBalancer, Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, toClusterIP), reachable("ClusterIP", "")), Want: pt.Allowed()},
	{Name: "ordinary Service is left alone", Do: pt.InOrder(pt.Create(service("")), reachable("ClusterIP", "")), Want: pt.Allowed()},
	{Name: "headless Service", Do: pt.Create(service("clusterIP: None")), Want: pt.Allowed()},
	{Name: "LoadBalancer for everybody", Do: pt.Create(balancer(ranges("0.0.0.0/0"))),
		Want: pt.Refused("exposure", "loadBalancerSourceRanges 0.0.0.0/0 is not inside 203.0.113.0/24,2001:db8:12::/48 allowed to tenant acme-health; narrow it, leave loadBalancerSourceRanges out to have it filled in, or change spec.ipAllowlist of HIPAATenant acme-health")},
	{Name: "LoadBalancer for everybody", As: pt.Admin, Do: pt.Create(balancer(ranges("::/0"))), Want: pt.Refused("exposure", "loadBalancerSourceRanges ::/0 is not inside")},
	{Name: "LoadBalancer for everybody", As: pt.Application, Do: pt.Create(balancer(ranges("0.0.0.0/0"))), Want: pt.Refused("exposure", "0.0.0.0/0 is not inside")},
	{Name: "LoadBalancer for everybody", As: pt.Operator, Do: pt.Create(balancer(ranges("0.0.0.0/0"))), Want: pt.Refused("exposure", "0.0.0.0/0 is not inside")},
	{Name: "LoadBalancer for everybody, dry run", Do: pt.DryRun(balancer(ranges("0.0.0.0/0"))), Want: pt.Refused("exposure", "0.0.0.0/0 is not inside")},
	{Name: "LoadBalancer for everybody, in two halves", Do: pt.Create(balancer(ranges("203.0.113.0/24", "0.0.0.0/1", "128.0.0.0/1"))), Want: pt.Refused("exposure", "0.0.0.0/1 (and 1 more) is not inside")},
	{Name: "LoadBalancer for a range around the allowlist", Do: pt.Create(balancer(ranges("203.0.112.0/23"))), Want: pt.Refused("exposure", "203.0.112.0/23 is not inside")},
	{Name: "LoadBalancer for a range hidden behind blanks", Do: pt.Create(balancer(ranges(" 0.0.0.0/0 "))), Want: pt.Refused("exposure", "is not inside")},
	{Name: "LoadBalancer widened", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, widened), Want: pt.Refused("exposure", "0.0.0.0/0 is not inside")},
	{Name: "LoadBalancer widened by server-side apply", Given: aBalancer, Do: pt.Apply(balancer(ranges("0.0.0.0/0"))), Want: pt.Refused("exposure", "0.0.0.0/0 is not inside")},
	{Name: "LoadBalancer widened by a JSON patch", Given: aBalancer, Do: pt.Patch(aService, types.JSONPatchType, `[{"op":"add","path":"/spec/loadBalancerSourceRanges/-","value":"198.51.100.0/24"}]`), Want: pt.Refused("exposure", "198.51.100.0/24 is not inside")},
	{Name: "LoadBalancer, allowlist empty", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": ""}, Do: pt.Create(balancer("")), Want: pt.Refused("exposure", "the allowlist of tenant acme-health is empty", "fill spec.ipAllowlist of HIPAATenant acme-health, or use type ClusterIP")},
	{Name: "LoadBalancer, allowlist missing", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": pt.Without}, Do: pt.Create(balancer(ranges("203.0.113.0/24"))), Want: pt.Refused("exposure", "the allowlist of tenant acme-health is empty")},
	{Name: "LoadBalancer, allowlist of nothing", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": ","}, Do: pt.Create(balancer("")), Want: pt.Refused("exposure", "a LoadBalancer of a tenant has loadBalancerSourceRanges")},
	{Name: "LoadBalancer, allowlist spoilt", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": "everywhere"}, Do: pt.Create(balancer(ranges("203.0.113.0/24"))), Want: pt.Refused("exposure")},
	{Name: "LoadBalancer with ranges in an annotation", Do: pt.Create(balancer("", "annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: 0.0.0.0/0}")),
		Want: pt.Refused("exposure", "annotations of a Service do not say who may reach it", "use spec.loadBalancerSourceRanges")},
	{Name: "LoadBalancer with ranges in an annotation later", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, `{"metadata":{"annotations":{"service.beta.kubernetes.io/azure-allowed-ip-ranges":"0.0.0.0/0"}}}`),
		Want: pt.Refused("exposure", "annotations of a Service do not say")},
	{Name: "LoadBalancer open to the cloud's own services", Do: pt.Create(balancer("", "annotations: {service.beta.kubernetes.io/azure-allowed-service-tags: Internet}")), Want: pt.Refused("exposure", "annotations of a Service do not say")},
	{Name: "other annotations of a LoadBalancer", Do: pt.Create(balancer("", "annotations: {service.beta.kubernetes.io/aws-load-balancer-internal: 'true'}")), Want: pt.Allowed()},
	{Name: "label of a LoadBalancer that is wider than the allowlist by now", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": "203.0.113.0/24"},
		Given: narrowedTo("203.0.113.0/28", pt.Create(balancer(""))),
		Do:    pt.InOrder(pt.Patch(aService, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), reachable("LoadBalancer", "Local", "203.0.113.0/24")), Want: pt.Allowed()},
	{Name: "annotation of a LoadBalancer that is wider than the allowlist by now", As: pt.Admin, Given: narrowedTo("203.0.113.0/28", pt.Create(balancer(""))),
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, annotate("cloud.google.com/neg-status", "{}")), reachable("LoadBalancer", "Local", everything...)), Want: pt.Allowed()},
	{Name: "port of a LoadBalancer that is wider than the allowlist by now", Given: narrowedTo("203.0.113.0/28", pt.Create(balancer(""))),
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, otherPort), reachable("LoadBalancer", "Local", "203.0.113.0/28")), Want: pt.Allowed()},
	{Name: "port of a LoadBalancer with chosen ranges, of which the allowlist left some", Given: narrowedTo("203.0.113.0/28,203.0.113.64/26", pt.Create(balancer(ranges("203.0.113.8/30", "203.0.113.64/30", "203.0.113.240/28", "203.0.113.0/29")))),
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, otherPort), reachable("LoadBalancer", "Local", "203.0.113.8/30", "203.0.113.64/30", "203.0.113.0/29")), Want: pt.Allowed()},
	{Name: "port of a LoadBalancer that has nothing in common with the allowlist", Inside: true, Given: narrowedTo("192.0.2.0/24", pt.Create(balancer(""))), Do: pt.Patch(aService, types.MergePatchType, otherPort),
		Want: pt.Refused("exposure", "loadBalancerSourceRanges 203.0.113.0/24 (and 1 more) is not inside 192.0.2.0/24", "leave loadBalancerSourceRanges out to have it filled in")},
	{Name: "ranges left out where the allowlist left them", Given: narrowedTo("192.0.2.0/24", pt.Create(balancer(""))),
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, `{"spec":{"loadBalancerSourceRanges":null}}`), reachable("LoadBalancer", "Local", "192.0.2.0/24")), Want: pt.Allowed()},
	{Name: "range of a LoadBalancer that is wider than the allowlist by now", Inside: true, Given: narrowedTo("203.0.113.0/28", pt.Create(balancer(""))), Do: pt.Patch(aService, types.MergePatchType, `{"spec":{"loadBalancerSourceRanges":["203.0.113.0/25"]}}`),
		Want: pt.Refused("exposure", "loadBalancerSourceRanges 203.0.113.0/25 is not inside 203.0.113.0/28")},
	{Name: "port of a LoadBalancer with 64 ranges around 64 networks", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": strings.Join(append(networks("10.%d.0.0/16")[1:], "203.0.113.0/24"), ",")}, Given: narrowedTo(strings.Join(networks("10.%d.7.0/24"), ","), pt.Create(balancer(""))),
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, otherPort), reachable("LoadBalancer", "Local", networks("10.%d.7.0/24")[1:]...)), Want: pt.Allowed()},
	{Name: "64 ranges in the last of 64 networks", Facts: lists("2001:db8:1%02x::/48"), Do: pt.Create(balancer(ranges(networks("2001:db8:13f:1234:5678:9abc:def0:%x/128")...))), Want: pt.Allowed()},
	{Name: "64 ranges in none of 64 networks", Facts: lists("2001:db8:1%02x::/48"), Do: pt.Create(balancer(ranges(networks("2001:db8:140:1234:5678:9abc:def0:%x/128")...))), Want: pt.Refused("exposure", "(and 63 more) is not inside")},
}

// serviceRows: other ways for a Service to take traffic, or to hand it on.
var serviceRows = []pt.Row{
	{Name: "NodePort", Do: pt.Create(service("type: NodePort")), Want: pt.Refused("exposure", "type NodePort is not one of ClusterIP, LoadBalancer allowed to tenant acme-health: a node port answers everybody")},
	{Name: "NodePort", As: pt.Admin, Do: pt.Apply(service("type: NodePort")), Want: pt.Refused("exposure", "type NodePort")},
	{Name: "Service becomes a NodePort", Given: []pt.Request{pt.Create(service(""))}, Do: pt.Patch(aService, types.StrategicMergePatchType, `{"spec":{"type":"NodePort"}}`), Want: pt.Refused("exposure", "type NodePort")},
	{Name: "ExternalName to another tenant", Do: pt.Create("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: ExternalName, externalName: db.other-clinic.svc.cluster.local}}"),
		Want: pt.Refused("exposure", "type ExternalName is not one of", "an external name leads anywhere; change spec.type of the Service")},
	{Name: "ExternalName", As: pt.Application, Do: pt.Create("{apiVersion: v1, kind: Service, metadata: {generateName: web-}, spec: {type: ExternalName, externalName: example.com}}"), Want: pt.Refused("exposure", "type ExternalName")},
	{Name: "Service becomes an ExternalName", Given: []pt.Request{pt.Create(service(""))}, Do: pt.Patch(aService, types.MergePatchType, `{"spec":{"type":"ExternalName","externalName":"example.com"}}`), Want: pt.Refused("exposure", "type ExternalName")},
	{Name: "external address", Do: pt.Create(service("externalIPs: [192.0.2.53]")), Want: pt.Refused("exposure", "spec.externalIPs of a Service would take traffic meant for whoever has the address")},
	{Name: "external address of a LoadBalancer", As: pt.Admin, Do: pt.Create(balancer("externalIPs: [192.0.2.53]")), Want: pt.Refused("exposure", "spec.externalIPs")},
	{Name: "external address later", Given: []pt.Request{pt.Create(service(""))}, Do: pt.Patch(aService, types.MergePatchType, `{"spec":{"externalIPs":["192.0.2.53"]}}`), Want: pt.Refused("exposure", "spec.externalIPs")},
	{Name: "who may come, through status", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, `{"metadata":{"annotations":{"service.beta.kubernetes.io/load-balancer-source-ranges":"0.0.0.0/0"}}}`, "status"),
		Want: pt.Refused("exposure", "annotations of a Service do not say who may reach it")},
	{Name: "address of a LoadBalancer taken", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, taken, "status"),
		Want: pt.Refused("exposure", "status.loadBalancer of Service web is written by the load balancer of the cluster (who may write services/status in kube-system), not by dev@acme.example")},
	{Name: "address of a LoadBalancer taken", As: pt.Application, Given: aBalancer, Do: pt.Update(aService, func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.53"}}
	}, "status"),
		Want: pt.Refused("exposure", "status.loadBalancer of Service web")},
	{Name: "address of a LoadBalancer", As: serviceController, Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, taken, "status"), Want: pt.Allowed()},
	{Name: "condition of a Service", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, `{"status":{"conditions":[{"type":"x","status":"True","reason":"y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, "status"), Want: pt.Allowed()},
	{Name: "label of a NodePort of former times", Given: []pt.Request{formerly(service("type: NodePort"))}, Do: pt.Patch(aService, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: pt.Allowed()},
	{Name: "label of a LoadBalancer of former times, and nothing else", Given: []pt.Request{formerly(balancer("externalTrafficPolicy: Cluster, externalIPs: [192.0.2.53]"))},
		Do: pt.InOrder(pt.Patch(aService, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), reachable("LoadBalancer", "Cluster")), Want: pt.Allowed()},
	{Name: "NodePort of former times closed", Given: []pt.Request{formerly(service("type: NodePort"))}, Do: pt.Patch(aService, types.MergePatchType, toClusterIP), Want: pt.Allowed()},
	{Name: "port of a NodePort of former times", Inside: true, Given: []pt.Request{formerly(service("type: NodePort"))}, Do: pt.Patch(aService, types.MergePatchType, `{"spec":{"ports":[{"port":8443}]}}`), Want: pt.Refused("exposure", "type NodePort")},
}

const (
	foreignSlice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [10.9.8.7]}], ports: [{name: '', port: 443}]}"
	looseSlice   = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1}, addressType: IPv4, endpoints: [{addresses: [10.9.8.7]}]}"
	foreignList  = "{apiVersion: v1, kind: Endpoints, metadata: {name: web}, subsets: [{addresses: [{ip: 10.9.8.7}], ports: [{port: 443}]}]}"
	ourName      = `{"metadata":{"labels":{"kubernetes.io/service-name":"web"}}}`
	moved        = `{"status":{"podIP":"10.9.8.7","podIPs":[{"ip":"10.9.8.7"}]}}`
	movedHost    = `{"status":{"hostIP":"10.9.8.7","hostIPs":[{"ip":"10.9.8.7"}]}}`
)

var (
	aSlice   = &discoveryv1.EndpointSlice{ObjectMeta: named("web-1")}
	bySlicer = []pt.Request{pt.As(sliceController, pt.Create(looseSlice))}
)

// endpointRows: where a Service leads is made from pods, whose addresses come from kubelets.
var endpointRows = []pt.Row{
	{Name: "EndpointSlice by hand", Do: pt.Create(foreignSlice), Want: pt.Refused("exposure", "EndpointSlice web-1 of tenant acme-health is written by the controllers of the cluster", "not by dev@acme.example; give the Service a selector")},
	{Name: "EndpointSlice by hand", As: pt.Application, Do: pt.Apply(foreignSlice), Want: pt.Refused("exposure", "EndpointSlice web-1")},
	{Name: "EndpointSlice by hand, dry run", Do: pt.DryRun(foreignSlice), Want: pt.Refused("exposure", "EndpointSlice web-1")},
	{Name: "EndpointSlice", As: sliceController, Do: pt.InOrder(pt.Create(foreignSlice), pt.Update(aSlice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })), Want: pt.Allowed()},
	{Name: "EndpointSlice, mirrored", As: mirrorController, Do: pt.Create(foreignSlice), Want: pt.Allowed()},
	{Name: "EndpointSlice of the platform's", As: pt.Admin, Do: pt.Create(foreignSlice), Want: pt.Allowed()},
	{Name: "EndpointSlice tied to another Service", Given: bySlicer, Do: pt.Patch(aSlice, types.MergePatchType, ourName), Want: pt.Refused("exposure", "EndpointSlice web-1")},
	{Name: "EndpointSlice led elsewhere", Given: bySlicer, Do: pt.Patch(aSlice, types.MergePatchType, `{"endpoints":[{"addresses":["10.9.8.8"]}]}`), Want: pt.Refused("exposure", "EndpointSlice web-1")},
	{Name: "EndpointSlice deleted", Given: bySlicer, Do: pt.Delete(aSlice), Want: pt.Allowed()},
	{Name: "Endpoints by hand", Do: pt.Create(foreignList), Want: pt.Refused("exposure", "Endpoints web of tenant acme-health is written by the controllers of the cluster (who may write endpoints in kube-system)")},
	{Name: "Endpoints led elsewhere", As: pt.Application, Given: []pt.Request{pt.As(endpointController, pt.Create(foreignList))}, Do: pt.Apply(strings.ReplaceAll(foreignList, "10.9.8.7", "10.9.8.8")), Want: pt.Refused("exposure", "Endpoints web")},
	{Name: "Endpoints", As: endpointController, Do: pt.Create(foreignList), Want: pt.Allowed()},
	{Name: "address of a pod", Given: running, Do: pt.Patch(aPod, types.MergePatchType, moved, "status"), Want: pt.Refused("exposure", "the addresses in the status of pod web are reported by its kubelet, not by dev@acme.example")},
	{Name: "address of a pod", As: pt.Application, Given: running, Do: pt.Update(aPod, func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "10.9.8.7", []corev1.PodIP{{IP: "10.9.8.7"}} }, "status"), Want: pt.Refused("exposure", "the addresses in the status of pod web")},
	{Name: "address of a pod's host", As: pt.Scheduler, Given: running, Do: pt.Patch(aPod, types.MergePatchType, movedHost, "status"), Want: pt.Refused("exposure", "the addresses in the status of pod web")},
	{Name: "address of a pod", As: pt.Kubelet, Given: running, Do: pt.Eventually("the node to own the pod", pt.Patch(aPod, types.MergePatchType, moved, "status")), Want: pt.Allowed()},
	{Name: "condition of a pod", Given: running, Do: pt.Patch(aPod, types.StrategicMergePatchType, `{"status":{"conditions":[{"type":"example.com/gate","status":"True"}]}}`, "status"), Want: pt.Allowed()},
}

var exposureTable = pt.Table{Policy: "exposure", Rows: concat(balancerRows, serviceRows, endpointRows, exposedIngressRows, exposedAnnotationRows, gatewayRows)}

var _ = exposureTable.Specs(environment)
