package admission_test

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const (
	isShared   = " is configuration of an Ingress controller that other tenants share; leave it out"
	pastThem   = " sends requests elsewhere, past the NetworkPolicies of tenant acme-health"
	claimsMore = " claims host names that no rule of the Ingress names; give each a rule"
	besideTLS  = " serves clear text beside TLS (45 CFR 164.312(e)(1)); leave it out"
	albPorts   = "alb.ingress.kubernetes.io/listen-ports"
	albTo443   = "alb.ingress.kubernetes.io/ssl-redirect"
	albServes  = albPorts + " serves clear text beside TLS"
	bothPorts  = `[{"HTTP": 80}, {"HTTPS": 443}]`
)

// noted are annotations, pairs of key and value, as a part of metadata in JSON, which is YAML as well.
func noted(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, fmt.Sprintf("%q: %q", pairs[i], pairs[i+1]))
	}
	return `"annotations": {` + strings.Join(list, ", ") + "}"
}

// annotate is a merge patch.
func annotate(pairs ...string) string { return `{"metadata": {` + noted(pairs...) + "}}" }

// portalWith is a lawful Ingress but for these annotations.
func portalWith(pairs ...string) string { return ingress(toPortal, noted(pairs...)) }

// annotated rows create an Ingress with one annotation. The message starts with its key.
func annotated(key, value, says string) pt.Row {
	row := pt.Row{Name: "Ingress with " + key + ": " + value, Do: pt.Create(portalWith(key, value)), Want: pt.Allowed()}
	if says != "" {
		row.Want = pt.Refused("exposure", key, says)
	}
	return row
}

// rawRows: no configuration that other tenants' traffic passes.
var rawRows = []pt.Row{
	annotated("nginx.ingress.kubernetes.io/server-snippet", "return 200;", isShared),
	annotated("nginx.org/server-snippets", "location /x { return 200; }", isShared),
	annotated("nginx.org/location-snippets", "return 200;", isShared),
	annotated("haproxy.org/backend-config-snippet", "http-send-name-header x", isShared),
	annotated("haproxy.org/route-acl", "always_true", isShared),
	annotated("haproxy-ingress.github.io/config-backend", "acl x", isShared),
	annotated("ingress.kubernetes.io/config-frontend-early", "acl x", isShared),
	annotated("haproxy-ingress.github.io/config-tcp-service", "acl x", isShared),
	annotated("edge.example.com/config-global", "x", isShared),
	annotated("example.com/config-hash", "sha256", ""),
	annotated("example.com/snippet-of-documentation", "x", ""),
	{Name: "Service with configuration for the controller", Do: pt.Create(service("", noted("haproxy-ingress.github.io/config-backend", "acl x"))), Want: pt.Refused("exposure", "haproxy-ingress.github.io/config-backend"+isShared)},
	{Name: "configuration for the controller through status", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/configuration-snippet":"x"}}}`, "status"),
		Want: pt.Refused("exposure", "nginx.ingress.kubernetes.io/configuration-snippet"+isShared)},
	{Name: "configuration for the controller later", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/configuration-snippet":"x"}}}`),
		Want: pt.Refused("exposure", "nginx.ingress.kubernetes.io/configuration-snippet"+isShared)},
	{Name: "other annotations of an Ingress", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/proxy-body-size":"8m"}}}`), Want: pt.Allowed()},
}

// leadingRows: requests, and copies of them, stay with the tenant; so do host names.
var leadingRows = []pt.Row{
	annotated("nginx.ingress.kubernetes.io/mirror-target", "https://evil.example/$request_uri", pastThem),
	annotated("nginx.ingress.kubernetes.io/mirror-target", "http://shadow.NAMESPACE.svc.cluster.local$request_uri", pastThem),
	annotated("nginx.ingress.kubernetes.io/mirror-target", "http://shadow.NAMESPACE.svc.cluster.local/$request_uri", ""),
	annotated("nginx.ingress.kubernetes.io/auth-url", "https://evil.example/oauth2/auth", pastThem+"; let it lead to https://$host/ or to a Service of the namespace"),
	annotated("nginx.ingress.kubernetes.io/auth-url", "http://db.other-clinic.svc.cluster.local/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "https://$host@evil.example/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "https://$host.evil.example/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "http://$host/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "https://$host/auth; }", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "http://$arg_to.NAMESPACE.svc/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "ftp://auth.NAMESPACE.svc/auth", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "http://evil.example/auth.NAMESPACE.svc", pastThem),
	annotated("haproxy-ingress.github.io/auth-url", "svc://other-clinic/auth:80", pastThem),
	annotated("nginx.ingress.kubernetes.io/auth-url", "https://$host/oauth2/auth?allowed_groups=staff", ""),
	annotated("nginx.ingress.kubernetes.io/auth-url", "http://oauth2-proxy.NAMESPACE.svc.cluster.local:4180/oauth2/auth", ""),
	annotated("haproxy-ingress.github.io/auth-url", "http://oauth2-proxy.NAMESPACE.svc:4180", ""),
	annotated("nginx.ingress.kubernetes.io/auth-signin", "https://login.acme.example/start?rd=$escaped_request_uri", ""),
	annotated("nginx.ingress.kubernetes.io/permanent-redirect", "https://www.acme.example", ""),
	annotated("nginx.ingress.kubernetes.io/server-alias", "portal.other-clinic.example", claimsMore),
	annotated("haproxy-ingress.github.io/server-alias-regex", "^.*$", claimsMore),
	annotated("konghq.com/host-aliases", "portal.other-clinic.example", claimsMore),
}

// clearTextRows: TLS is not given and taken back.
var clearTextRows = []pt.Row{
	annotated("nginx.ingress.kubernetes.io/ssl-redirect", "false", ": false"+besideTLS),
	annotated("nginx.ingress.kubernetes.io/ssl-redirect", "F", besideTLS),
	annotated("nginx.ingress.kubernetes.io/force-ssl-redirect", "false", besideTLS),
	annotated("ingress.kubernetes.io/ssl-redirect", "False", besideTLS),
	annotated("nginx.org/redirect-to-https", "False", besideTLS),
	annotated("haproxy.org/ssl-redirect", "disabled", besideTLS),
	annotated("haproxy-ingress.github.io/ssl-passthrough-http-port", "80", besideTLS),
	annotated("kubernetes.io/ingress.allow-http", "true", besideTLS),
	annotated("traefik.ingress.kubernetes.io/router.entrypoints", "websecure, web", besideTLS),
	annotated("traefik.ingress.kubernetes.io/router.tls", "false", besideTLS),
	annotated("nginx.ingress.kubernetes.io/ssl-redirect", "true", ""),
	annotated("haproxy.org/ssl-redirect", "on", ""),
	annotated("kubernetes.io/ingress.allow-http", "false", ""),
	annotated("traefik.ingress.kubernetes.io/router.entrypoints", "websecure", ""),
	annotated("traefik.ingress.kubernetes.io/router.tls", "true", ""),
	annotated(albPorts, `[{"HTTPS": 443}]`, ""),
	annotated(albPorts, bothPorts, albServes),
	annotated(albPorts, `[{"\u0048TTP": 80}]`, albServes),
	{Name: "AWS load balancer that redirects clear text", Do: pt.Create(portalWith(albPorts, bothPorts, albTo443, "443")), Want: pt.Allowed()},
	{Name: "AWS load balancer that redirects no longer", Given: []pt.Request{pt.Create(portalWith(albPorts, bothPorts, albTo443, "443"))}, Want: pt.Refused("exposure", albServes, "or redirect it with "+albTo443),
		Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"annotations":{"`+albTo443+`":null}}}`)},
	{Name: "redirect turned off later", Given: []pt.Request{pt.Create(portal)}, Do: pt.Patch(anIngress, types.MergePatchType, annotate("nginx.ingress.kubernetes.io/ssl-redirect", "false")), Want: pt.Refused("exposure", besideTLS)},
}

// admittingRows: what says who may come is the range in the spec.
var admittingRows = []pt.Row{
	{Name: "LoadBalancer with a firewall of its own", Do: pt.Create(balancer("", noted("service.beta.kubernetes.io/aws-load-balancer-security-groups", "sg-1"))),
		Want: pt.Refused("exposure", "leave out service.beta.kubernetes.io/aws-load-balancer-security-groups and use spec.loadBalancerSourceRanges")},
	{Name: "LoadBalancer with one more firewall", Do: pt.Create(balancer("", noted("service.beta.kubernetes.io/aws-load-balancer-extra-security-groups", "sg-1"))), Want: pt.Refused("exposure", "extra-security-groups")},
	{Name: "LoadBalancer with lists of others", Do: pt.Create(balancer("", noted("service.beta.kubernetes.io/aws-load-balancer-security-group-prefix-lists", "pl-1"))), Want: pt.Refused("exposure", "prefix-lists")},
	{Name: "LoadBalancer with rules of its own", Do: pt.Create(balancer("", noted("service.beta.kubernetes.io/do-loadbalancer-allow-rules", "cidr:0.0.0.0/0"))), Want: pt.Refused("exposure", "allow-rules")},
	{Name: "LoadBalancer for all but the allowlist", Given: aBalancer, Do: pt.Patch(aService, types.MergePatchType, annotate("service.cilium.io/src-ranges-policy", "deny")), Want: pt.Refused("exposure", "leave out service.cilium.io/src-ranges-policy")},
	{Name: "LoadBalancer with stricter rules", Do: pt.Create(balancer("", noted("service.beta.kubernetes.io/do-loadbalancer-deny-rules", "ip:203.0.113.7"))), Want: pt.Allowed()},
}

// formerAnnotationRows: an annotation of former times stays, and hinders nobody, until it changes.
var formerAnnotationRows = []pt.Row{
	{Name: "annotation beside one of former times", Given: []pt.Request{formerly(portalWith("nginx.org/server-snippets", "x", albPorts, bothPorts))}, Do: pt.Patch(anIngress, types.MergePatchType, annotate("example.com/a", "b")), Want: pt.Allowed()},
	{Name: "host of an Ingress with an annotation of former times", Given: []pt.Request{formerly(portalWith("nginx.ingress.kubernetes.io/ssl-redirect", "false", albPorts, bothPorts))},
		Do: pt.Patch(anIngress, types.JSONPatchType, `[{"op":"replace","path":"/spec/rules/0/http/paths/0/path","value":"/portal"}]`), Want: pt.Allowed()},
	{Name: "annotation of former times changed", Inside: true, Given: []pt.Request{formerly(portalWith("nginx.org/server-snippets", "x"))}, Do: pt.Patch(anIngress, types.MergePatchType, annotate("nginx.org/server-snippets", "y")), Want: pt.Refused("exposure", isShared)},
	{Name: "annotation of former times taken away", Given: []pt.Request{formerly(portalWith("nginx.org/server-snippets", "x"))}, Do: pt.Patch(anIngress, types.MergePatchType, `{"metadata":{"annotations":{"nginx.org/server-snippets":null}}}`), Want: pt.Allowed()},
	{Name: "annotation of an Ingress without TLS of former times", Given: []pt.Request{formerly(plain)}, Do: pt.Patch(anIngress, types.MergePatchType, annotate("example.com/a", "b")), Want: pt.Allowed()},
	{Name: "annotation of a Gateway in clear text of former times", Given: []pt.Request{formerly(gateway("Gateway", clearPort))}, Do: pt.Patch(aGateway, types.MergePatchType, annotate("example.com/a", "b")), Want: pt.Allowed()},
	{Name: "annotation of a NodePort of former times", Given: []pt.Request{formerly(service("type: NodePort"))}, Do: pt.Patch(aService, types.MergePatchType, annotate("cloud.google.com/neg-status", "{}")), Want: pt.Allowed()},
}

// crowd is as many annotations.
func crowd(n int) []string {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("example.com/a%d", i), "")
	}
	return pairs
}

// crowdRows: nobody keeps the API server busy.
var crowdRows = []pt.Row{
	{Name: "256 annotations", Do: pt.InOrder(pt.Create(portalWith(crowd(256)...)), pt.Patch(anIngress, types.MergePatchType, annotate("example.com/a1", "b"))), Want: pt.Allowed()},
	{Name: "257 annotations", Do: pt.Create(portalWith(crowd(257)...)), Want: pt.Refused("exposure", "257 annotations are more than the 256 that are judged, on Ingress web; leave some out")},
	{Name: "8,000 annotations", As: pt.Admin, Given: []pt.Request{pt.Create(service(""))}, Do: pt.Patch(aService, types.MergePatchType, annotate(crowd(8_000)...)), Want: pt.Refused("exposure", "8000 annotations are more than the 256 that are judged, on Service web")},
	{Name: "one of 257 annotations of former times changed", Given: []pt.Request{formerly(portalWith(crowd(257)...))}, Do: pt.Patch(anIngress, types.MergePatchType, annotate("example.com/a1", "b")), Want: pt.Allowed()},
}

var exposedAnnotationRows = concat(crowdRows, rawRows, leadingRows, clearTextRows, admittingRows, formerAnnotationRows)
