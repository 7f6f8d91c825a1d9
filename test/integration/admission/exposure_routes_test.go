package admission_test

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const toWeb = "{service: {name: web, port: {number: 443}}}"

// ingress is YAML in flow style; spec and metadata are given.
func ingress(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web%s}, spec: {%s}}", more(metadata...), spec)
}

// host is a rule for a host; no host is a rule for all that nobody else claims.
func host(name string) string {
	rule := "http: {paths: [{path: /, pathType: Prefix, backend: " + toWeb + "}]}"
	if name == "" {
		return "{" + rule + "}"
	}
	return "{host: '" + name + "', " + rule + "}"
}

var (
	anIngress = &networkingv1.Ingress{ObjectMeta: named("web")}
	toPortal  = "tls: [{hosts: [portal.acme.example], secretName: web}], rules: [" + host("portal.acme.example") + "]"
	portal    = ingress(toPortal)
	plain     = ingress("rules: [" + host("portal.acme.example") + "]")
	clearText = "would be served in clear text"
	everyHost = "and would answer every host name, other tenants' too"
)

// exposedIngressRows: nothing is served in clear text, and an Ingress leads to Services alone.
var exposedIngressRows = []pt.Row{
	{Name: "Ingress with TLS", Do: pt.Create(portal), Want: pt.Allowed()},
	{Name: "Ingress with TLS for two hosts", Do: pt.Create(ingress("tls: [{hosts: [a.acme.example], secretName: a}, {hosts: [b.acme.example], secretName: b}], rules: [" + host("a.acme.example") + ", " + host("b.acme.example") + "]")), Want: pt.Allowed()},
	{Name: "Ingress with a wildcard certificate", Do: pt.Create(ingress("tls: [{hosts: ['*.acme.example'], secretName: web}], rules: [" + host("portal.acme.example") + ", " + host("*.acme.example") + "]")), Want: pt.Allowed()},
	{Name: "Ingress for all hosts, with TLS", Do: pt.Create(ingress("tls: [{secretName: web}], defaultBackend: " + toWeb + ", rules: [" + host("") + "]")),
		Want: pt.Refused("exposure", "the Ingress has spec.defaultBackend, a rule without host, an entry of spec.tls without hosts, "+everyHost, "name a host in each rule")},
	{Name: "Ingress with a rule for all hosts", Do: pt.Create(ingress(toPortal[:len(toPortal)-1] + ", " + host("") + "]")), Want: pt.Refused("exposure", "the Ingress has a rule without host, "+everyHost)},
	{Name: "Ingress with a backend for all hosts", As: pt.Application, Do: pt.Apply(ingress(toPortal + ", defaultBackend: " + toWeb)), Want: pt.Refused("exposure", "the Ingress has spec.defaultBackend, "+everyHost, "with path /")},
	{Name: "Ingress with a certificate for all hosts", Do: pt.Create(ingress("tls: [{hosts: [portal.acme.example], secretName: web}, {secretName: web}], rules: [" + host("portal.acme.example") + "]")),
		Want: pt.Refused("exposure", "the Ingress has an entry of spec.tls without hosts, "+everyHost)},
	{Name: "Ingress with TLS in name only", Do: pt.Create(ingress("tls: [{}], defaultBackend: " + toWeb)), Want: pt.Refused("exposure", everyHost)},
	{Name: "rule for all hosts later", As: pt.Admin, Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.JSONPatchType, `[{"op":"remove","path":"/spec/rules/0/host"}]`), Want: pt.Refused("exposure", "a rule without host")},
	{Name: "Ingress without TLS", Do: pt.Create(plain), Want: pt.Refused("exposure", "an Ingress of a tenant needs spec.tls")},
	{Name: "Ingress without TLS", As: pt.Admin, Do: pt.Apply(plain), Want: pt.Refused("exposure", "an Ingress of a tenant needs spec.tls")},
	{Name: "Ingress without TLS and rules", As: pt.Application, Do: pt.Create(ingress("defaultBackend: " + toWeb)), Want: pt.Refused("exposure", "an Ingress of a tenant needs spec.tls")},
	{Name: "Ingress without TLS, dry run", Do: pt.DryRun(plain), Want: pt.Refused("exposure", "an Ingress of a tenant needs spec.tls")},
	{Name: "Ingress with TLS for another host", Do: pt.Create(ingress("tls: [{hosts: [other.acme.example], secretName: web}], rules: [" + host("portal.acme.example") + "]")),
		Want: pt.Refused("exposure", "host portal.acme.example is not among the hosts of spec.tls (other.acme.example) and would be served in clear text", "add it to spec.tls[].hosts")},
	{Name: "Ingress with TLS for one host of two", Do: pt.Create(ingress("tls: [{hosts: [a.acme.example], secretName: web}], rules: [" + host("a.acme.example") + ", " + host("b.acme.example") + "]")), Want: pt.Refused("exposure", "host b.acme.example", clearText)},
	{Name: "Ingress with a certificate that names no host", Do: pt.Create(ingress("tls: [{secretName: web}], rules: [" + host("portal.acme.example") + "]")), Want: pt.Refused("exposure", "host portal.acme.example", clearText)},
	{Name: "Ingress with a wildcard that covers no second label", Do: pt.Create(ingress("tls: [{hosts: ['*.acme.example'], secretName: web}], rules: [" + host("a.b.acme.example") + "]")), Want: pt.Refused("exposure", "host a.b.acme.example", clearText)},
	{Name: "Ingress with a wildcard host wider than its certificate", Do: pt.Create(ingress("tls: [{hosts: [a.acme.example], secretName: web}], rules: [" + host("*.acme.example") + "]")), Want: pt.Refused("exposure", "host *.acme.example", clearText)},
	{Name: "TLS taken off an Ingress", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.JSONPatchType, `[{"op":"remove","path":"/spec/tls"}]`), Want: pt.Refused("exposure", "an Ingress of a tenant needs spec.tls")},
	{Name: "host added to an Ingress", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.JSONPatchType, `[{"op":"add","path":"/spec/rules/-","value":{"host":"b.acme.example"}}]`), Want: pt.Refused("exposure", "host b.acme.example", clearText)},
	{Name: "Ingress to a bucket", Want: pt.Refused("exposure", "backend.resource may lead anywhere: use backend.service"),
		Do: pt.Create(ingress("tls: [{hosts: [a.acme.example]}], rules: [{host: a.acme.example, http: {paths: [{path: /, pathType: Prefix, backend: {resource: {apiGroup: example.com, kind: Bucket, name: web}}}]}}]"))},
	{Name: "address of an Ingress taken", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, taken, "status"), Want: pt.Refused("exposure", "status.loadBalancer of Ingress web is written by the load balancer")},
	{Name: "address of an Ingress", As: pt.Admin, Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, taken, "status"), Want: pt.Allowed()},
	{Name: "label of an Ingress of former times", Given: []pt.Request{formerly(plain)}, Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: pt.Allowed()},
}

// gateway is YAML in flow style: an object of Gateway API, of the first version served unless told otherwise.
func gateway(kind, spec string, version ...string) string {
	return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/%s, kind: %s, metadata: {name: web}, spec: {%s}}", append(version, "v1")[0], kind, spec)
}

// experimental is a set of listeners as it was served before it became part of Gateway API.
func experimental(spec string) string {
	return "{apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XListenerSet, metadata: {name: web}, spec: {" + spec + "}}"
}

// listener accepts TLS; more is appended.
func listener(parts ...string) string {
	return "listeners: [{name: web, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}" + more(parts...) + "}]"
}

func routesFrom(namespaces string) string { return "allowedRoutes: {namespaces: {" + namespaces + "}}" }

func leadsTo(backend string) string { return "rules: [{backendRefs: [" + backend + "]}]" }

// filtered is a route to web that has a filter of this type, with these fields, on the rule and on the backend.
func filteredRule(filter string) string {
	return "rules: [{filters: [" + filter + "], backendRefs: [{name: web, port: 443}]}]"
}

func filteredBackend(filter string) string {
	return "rules: [{backendRefs: [{name: web, port: 443, filters: [" + filter + "]}]}]"
}

var (
	aGateway     = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": map[string]any{"name": "web"}}}
	clearPort    = "listeners: [{name: web, port: 80, protocol: HTTP}]"
	acceptsClear = "accepts clear text; tenant acme-health may have protocol HTTPS or TLS, with tls"
	mayAttach    = "routes or listeners of other tenants may attach"
	mirror       = "{type: RequestMirror, requestMirror: {backendRef: {name: web, namespace: other-clinic, port: 443}}}"
	leadsOut     = "the route leads to Service other-clinic/web; routes of tenant acme-health lead to Services of namespace"
	otherWeb     = "{name: web, namespace: other-clinic, port: 443}"
)

// gatewayRows: the same for Gateway API, of which any version may be served.
var gatewayRows = []pt.Row{
	{Name: "Gateway with TLS", Do: pt.Create(gateway("Gateway", listener())), Want: pt.Allowed()},
	{Name: "Gateway with TLS for pods to end", Do: pt.Create(gateway("Gateway", "listeners: [{name: web, port: 443, protocol: TLS, tls: {mode: Passthrough}}]")), Want: pt.Allowed()},
	{Name: "Gateway for routes of the namespace", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: Same")))), Want: pt.Allowed()},
	{Name: "Gateway for routes of the tenant", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: Selector, selector: {matchLabels: {hipaatenant.dev/tenant: acme-health}}")))), Want: pt.Allowed()},
	{Name: "Gateway in clear text", Do: pt.Create(gateway("Gateway", clearPort)), Want: pt.Refused("exposure", "listener web (HTTP, without tls) "+acceptsClear)},
	{Name: "Gateway in clear text, older version", Do: pt.Create(gateway("Gateway", clearPort, "v1beta1")), Want: pt.Refused("exposure", "listener web (HTTP, without tls)")},
	{Name: "Gateway in clear text", As: pt.Admin, Do: pt.Apply(gateway("Gateway", clearPort)), Want: pt.Refused("exposure", acceptsClear)},
	{Name: "Gateway in clear text, second listener", Do: pt.Create(gateway("Gateway", "listeners: [{name: a, port: 443, protocol: TLS, tls: {mode: Passthrough}}, {name: b, port: 25, protocol: TCP}]")), Want: pt.Refused("exposure", "listener b (TCP, without tls)")},
	{Name: "Gateway with TLS in name only", Do: pt.Create(gateway("Gateway", "listeners: [{name: web, port: 443, protocol: HTTPS}]")), Want: pt.Refused("exposure", "listener web (HTTPS, without tls)")},
	{Name: "Gateway with certificates for clear text", Do: pt.Create(gateway("Gateway", "listeners: [{name: web, port: 80, protocol: HTTP, tls: {}}]")), Want: pt.Refused("exposure", "listener web (HTTP)")},
	{Name: "Gateway becomes clear text", Given: []pt.Request{pt.Create(gateway("Gateway", listener()))}, Want: pt.Refused("exposure", acceptsClear),
		Do: pt.Patch(aGateway, types.JSONPatchType, `[{"op":"add","path":"/spec/listeners/-","value":{"name":"b","port":80,"protocol":"HTTP"}}]`)},
	{Name: "listeners in clear text", Do: pt.Create(gateway("ListenerSet", "parentRef: {name: web}, "+clearPort)), Want: pt.Refused("exposure", acceptsClear)},
	{Name: "listeners in clear text, experimental", As: pt.Application, Do: pt.Create(experimental(clearPort)), Want: pt.Refused("exposure", acceptsClear)},
	{Name: "listeners become clear text, experimental", Given: []pt.Request{pt.Create(experimental(listener()))}, Do: pt.Apply(experimental(clearPort)), Want: pt.Refused("exposure", acceptsClear)},
	{Name: "listeners with TLS", Do: pt.Create(gateway("ListenerSet", "parentRef: {name: web}, "+listener())), Want: pt.Allowed()},
	{Name: "Gateway for everybody's routes", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: All")))), Want: pt.Refused("exposure", mayAttach, "Selector with matchLabels hipaatenant.dev/tenant: acme-health")},
	{Name: "Gateway for everybody's routes, with a selector for show", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: All, selector: {matchLabels: {hipaatenant.dev/tenant: acme-health}}")))), Want: pt.Refused("exposure", mayAttach)},
	{Name: "Gateway for another tenant's routes", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: Selector, selector: {matchLabels: {hipaatenant.dev/tenant: other-clinic}}")))), Want: pt.Refused("exposure", mayAttach)},
	{Name: "Gateway for routes by a label anybody can set", Do: pt.Create(gateway("Gateway", listener(routesFrom("from: Selector, selector: {matchLabels: {team: blue}}")))), Want: pt.Refused("exposure", mayAttach)},
	{Name: "Gateway for everybody's listeners", Do: pt.Create(gateway("Gateway", listener()+", allowedListeners: {namespaces: {from: All}}")), Want: pt.Refused("exposure", mayAttach)},
	{Name: "Gateway for listeners of the namespace", Do: pt.Create(gateway("Gateway", listener()+", allowedListeners: {namespaces: {from: Same}}")), Want: pt.Allowed()},
	{Name: "route to a Service", Do: pt.InOrder(pt.Create(gateway("HTTPRoute", leadsTo("{name: web, port: 443}"))), pt.Create(gateway("GRPCRoute", leadsTo("{name: web, namespace: NAMESPACE, port: 443}"))),
		pt.Create(gateway("TLSRoute", leadsTo("{group: '', kind: Service, name: web, port: 443}"), "v1alpha2"))), Want: pt.Allowed()},
	{Name: "route that redirects", Do: pt.Create(gateway("HTTPRoute", "rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]")), Want: pt.Allowed()},
	{Name: "route mirrored to an own Service", Do: pt.Create(gateway("HTTPRoute", filteredRule("{type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 443}}}"))), Want: pt.Allowed()},
	{Name: "route to another tenant, HTTPRoute", Do: pt.Create(gateway("HTTPRoute", leadsTo("{name: web, port: 443}, "+otherWeb))), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to another tenant, HTTPRoute of an older version", Do: pt.Create(gateway("HTTPRoute", leadsTo(otherWeb), "v1beta1")), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to another tenant, GRPCRoute", As: pt.Application, Do: pt.Create(gateway("GRPCRoute", leadsTo(otherWeb))), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to another tenant, TLSRoute", As: pt.Admin, Do: pt.Apply(gateway("TLSRoute", leadsTo(otherWeb), "v1alpha3")), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to another tenant, TCPRoute", Do: pt.Create(gateway("TCPRoute", leadsTo(otherWeb), "v1alpha2")), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to another tenant, UDPRoute", Do: pt.DryRun(gateway("UDPRoute", leadsTo(otherWeb), "v1alpha2")), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route to something imported", Do: pt.Create(gateway("HTTPRoute", leadsTo("{group: multicluster.x-k8s.io, kind: ServiceImport, name: web, port: 443}"))), Want: pt.Refused("exposure", "the route leads to ServiceImport")},
	{Name: "route to another group's Service", Do: pt.Create(gateway("HTTPRoute", leadsTo("{group: example.com, kind: Service, name: web, port: 443}"))), Want: pt.Refused("exposure", "the route leads to Service")},
	{Name: "route mirrored to another tenant", Do: pt.Create(gateway("HTTPRoute", filteredRule(mirror))), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route mirrored to another tenant, by backend", Do: pt.Create(gateway("GRPCRoute", filteredBackend(mirror))), Want: pt.Refused("exposure", leadsOut)},
	{Name: "route authorized by another tenant", Do: pt.Create(gateway("HTTPRoute", filteredRule("{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: "+otherWeb+"}}"))), Want: pt.Refused("exposure", leadsOut)},
	{Name: "grant for another namespace", Do: pt.Create(gateway("ReferenceGrant", "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other-clinic}], to: [{group: '', kind: Service}]", "v1beta1")),
		Want: pt.Refused("exposure", "the ReferenceGrant lets in objects of namespace other-clinic; nobody but")},
	{Name: "grant for another namespace, second of two", Do: pt.Create(gateway("ReferenceGrant", "from: [{group: '', kind: Service, namespace: NAMESPACE}, {group: '', kind: Service, namespace: '*'}], to: [{group: '', kind: Secret}]")), Want: pt.Refused("exposure", "lets in objects of namespace *")},
	{Name: "grant for the own namespace", Do: pt.Create(gateway("ReferenceGrant", "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: NAMESPACE}], to: [{group: '', kind: Service}]")), Want: pt.Allowed()},
}
