package main

import "context"

// samples applies what the repository ships as samples.
func samples(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl apply -f config/samples/`).shows("the API server accepts them", "hipaatenant.hipaatenant.dev/acme-health created")
	d.run(ctx, `kubectl wait --for=condition=Ready ht --all --timeout=60s`).
		shows("both tenants are Ready", "acme-health condition met", "birch-clinic condition met")
	d.run(ctx, `kubectl get ht,bas`).shows("region, agreement and session timeout at a glance", "us-east-1", "2032-01-15", "15m", "InForce")
	d.await(ctx, "the API server has taken up every admission policy", d.enforced)
}

// enforced asks the API server, without changing anything, for what each policy must refuse or add. It takes up a new
// policy within a second or two.
func (d *demo) enforced(ctx context.Context) error {
	const inApp = ` -n acme-health-app --dry-run=server `
	canaries := []struct{ line, word string }{
		{`kubectl delete networkpolicy hipaa-default-deny` + inApp, "hipaatenant-tenancy"},
		{`kubectl create` + inApp + `-f hack/demo/manifests/allow-all.yaml`, "hipaatenant-network"},
		{`kubectl create` + inApp + `-f hack/demo/manifests/pinned-pod.yaml`, "hipaatenant-placement-bind"},
		{`kubectl create token default --duration=3607s -n acme-health-app`, "hipaatenant-workload"},
		{`kubectl create` + inApp + `-f hack/demo/manifests/stray-pod.yaml -o yaml`, "key: topology.kubernetes.io/region"},
		{`kubectl create` + inApp + `-f hack/demo/manifests/stray-pod.yaml -o yaml`, "name: hipaa-config"},
	}
	for _, c := range canaries {
		if err := d.ask(ctx, c.line).lacks([]string{c.word}); err != nil {
			return err
		}
	}
	return nil
}

// created walks through the objects of one namespace.
func created(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl get ns -l hipaatenant.dev/tenant -o custom-columns='NAMESPACE:.metadata.name,`+
		`TENANT:.metadata.labels.hipaatenant\.dev/tenant,GATE:.metadata.annotations.hipaatenant\.dev/admission,`+
		`REGIONS:.metadata.annotations.hipaatenant\.dev/regions'`).
		shows("the gates are open, and each namespace knows its regions", "acme-health-app", "acme-health-data", "birch-clinic", "open", "us-east-1,us-west-2")
	d.run(ctx, `kubectl get networkpolicies -n acme-health-app`).
		shows("everything is denied but what the spec opens", "hipaa-default-deny", "hipaa-allow-associates", "hipaa-allow-ingress")
	d.run(ctx, `kubectl get resourcequota,limitrange -n acme-health-app`).shows("quota and limits stand", "hipaa-quota", "requests.cpu: 0/8", "hipaa-limits")
	d.run(ctx, `kubectl get rolebindings -n acme-health-app -o wide`).
		shows("people are bound to three narrow roles", "hipaatenant-developer", "acme-devs", "hipaatenant-operator", "sam@acme.example", "hipaatenant-auditor")
	d.run(ctx, `kubectl get configmap hipaa-config -n acme-health-app -o go-template='{{range $k, $v := .data}}{{if ne $k "hipaa.json"}}{{$k}}={{$v}}{{"\n"}}{{end}}{{end}}'`).
		shows("the settings are there for the applications", "HIPAA_SESSION_IDLE_TIMEOUT_SECONDS=900", "HIPAA_DISABLED_CHANNELS=acd-email,sms,voicemail-email")
	keys(ctx, d)
	d.run(ctx, `kubectl get ht acme-health -o go-template='{{range .status.conditions}}{{printf "%-17s  %-7s  %-13s  %s\n" .type .status .reason .message}}{{end}}'`).
		shows("the conditions say what is enforced, and what is not known", "Ready              True", "NetworkIsolated    Unknown")
}

// keys shows names and bindings of data keys, and none of their bytes, not even wrapped.
func keys(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl get ht acme-health -o go-template='{{range .status.keys}}{{.name}}: version {{.primaryVersion}}, wrapped by {{.provider}}://{{.keyRef}} ({{.assurance}}){{"\n"}}{{end}}'`).
		shows("the data keys are wrapped, and a software key is called one", "records: version 1", "attachments: version 1", "SoftwareKey")
	d.run(ctx, `kubectl describe secret hipaa-keyset -n acme-health-app`).shows("the keyset stands in the namespace", "keyset.json:")
	bindings := d.run(ctx, `kubectl get secret hipaa-keyset -n acme-health-app -o go-template='{{index .data "keyset.json" | base64decode}}' | grep -o '"binding":"{[^}]*}"'`)
	bindings.shows("each key is bound to its cluster, tenant, namespace and version: a copy elsewhere is worth nothing",
		`\"key\":\"records\"`, `\"namespace\":\"acme-health-app\"`, `\"tenant\":\"acme-health\"`)
	d.check("no key bytes were shown", bindings.without("wrapped", "sealed"))
}
