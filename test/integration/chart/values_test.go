package chart

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Every value of the operator's chart does something, and what it does is seen in the manifests.
func TestOperatorValues(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	deployment, policy := "Deployment "+v1alpha1.OperatorName, "NetworkPolicy "+v1alpha1.OperatorName
	budget, account := "PodDisruptionBudget "+v1alpha1.OperatorName, "ServiceAccount "+v1alpha1.OperatorName
	const vault = "vault.address=https://vault.example:8200,vault.kubernetesRole=keys"
	for _, row := range []struct {
		set, object, path, want string
	}{
		{"image.repository=mirror.example/op", deployment, "containers.0.image", `"mirror.example/op:` + version(t) + `"`},
		{"image.tag=1.2.3", deployment, "containers.0.image", `"ghcr.io/hipaatenant/hipaa-tenant-operator:1.2.3"`},
		{"image.tag=1.2.3,image.digest=" + digest, deployment, "containers.0.image", `"ghcr.io/hipaatenant/hipaa-tenant-operator@` + digest + `"`},
		{"image.pullPolicy=Always", deployment, "containers.0.imagePullPolicy", `"Always"`},
		{"imagePullSecrets[0].name=pull", deployment, "imagePullSecrets", `[{"name":"pull"}]`},
		{"replicas=3", deployment, "spec.replicas", `3`},
		{"admissionPolicies=verify", deployment, "containers.0.args", `--admission-policies=verify`},
		{"concurrency=256", deployment, "containers.0.args", `"--concurrency=256"`},
		{"crds.enabled=false", "CustomResourceDefinition hipaatenants.hipaatenant.dev", "", ""},
		{"crds.keep=true", "CustomResourceDefinition hipaatenants.hipaatenant.dev", "metadata.annotations", `"helm.sh/resource-policy":"keep"`},
		{"serviceAccount.annotations.a=b", account, "metadata.annotations", `{"a":"b"}`},
		{"podLabels.azure\\.workload\\.identity/use=yes", deployment, "spec.template.metadata.labels", `{"app.kubernetes.io/name":"hipaa-tenant-operator","azure.workload.identity/use":"yes"}`},
		{"podAnnotations.a=b", deployment, "spec.template.metadata.annotations", `{"a":"b"}`},
		{vault, deployment, "containers.0.args", `"--vault-address=https://vault.example:8200","--vault-kubernetes-role=keys","--vault-kubernetes-mount=kubernetes"]`},
		{vault + ",vault.namespace=team-a", deployment, "containers.0.args", `"--vault-namespace=team-a"`},
		{vault + ",vault.kubernetesMount=k8s/east", deployment, "containers.0.args", `"--vault-kubernetes-mount=k8s/east"`},
		{vault + ",vault.caSecret.name=ca,vault.caSecret.key=root.pem", deployment, "containers.0.args", `"--vault-ca-file=/etc/hipaa-tenant-operator/vault-ca/root.pem"`},
		{vault + ",vault.caSecret.name=ca", deployment, "volumes", `{"name":"vault-ca","secret":{"secretName":"ca"}}`},
		{vault + ",vault.kubernetesRole=,vault.tokenSecret.name=tok", deployment, "containers.0.args", `"--vault-token-file=/etc/hipaa-tenant-operator/vault-token/token"]`},
		{vault + ",vault.kubernetesRole=,vault.tokenSecret.name=tok", deployment, "containers.0.volumeMounts", `{"mountPath":"/etc/hipaa-tenant-operator/vault-token","name":"vault-token","readOnly":true}`},
		{vault, policy, "spec.egress.2", `{"ports":[{"port":8200,"protocol":"TCP"}]}`},
		{vault + ",vault.address=https://vault.example", policy, "spec.egress.2", `{"ports":[{"port":443,"protocol":"TCP"}]}`},
		{vault + ",networkPolicy.vaultTo[0].ipBlock.cidr=192.0.2.9/32", policy, "spec.egress.2.to", `[{"ipBlock":{"cidr":"192.0.2.9/32"}}]`},
		{"shred.enabled=true", "ClusterRole " + v1alpha1.OperatorName + "-shred", ".rules", `[{"apiGroups":[""],"resourceNames":["hipaa-keyset"],"resources":["secrets"],"verbs":["delete"]}]`},
		{"shred.enabled=true", "RoleBinding " + v1alpha1.OperatorName + "-shred", ".roleRef.kind", `"Role"`},
		{"shred.enabled=false", "ClusterRole " + v1alpha1.OperatorName + "-shred", "", ""},
		{"networkProbe.enabled=true,networkProbe.interval=10s", deployment, "containers.0.args", `"--network-probe-interval=10s","--network-probe-image=ghcr.io/hipaatenant/hipaa-tenant-operator:` + version(t) + `"]`},
		{"networkProbe.enabled=true,networkProbe.interval=1m5s", deployment, "containers.0.args", `"--network-probe-interval=1m5s"`},
		{"networkProbe.enabled=true,image.digest=" + digest, deployment, "containers.0.args", `"--network-probe-image=ghcr.io/hipaatenant/hipaa-tenant-operator@` + digest + `"]`},
		{"networkProbe.enabled=true,imagePullSecrets[0].name=pull", "ServiceAccount hipaa-network-probe", ".imagePullSecrets", `[{"name":"pull"}]`},
		{"networkProbe.enabled=true,networkProbe.imagePullSecrets[0].name=own", "ServiceAccount hipaa-network-probe", ".imagePullSecrets", `[{"name":"own"}]`},
		{"networkProbe=null", deployment, "containers.0.args", `"--health-probe-bind-address=:8081"]`}, // values of a version before it, reused
		{"networkProbe.interval=null,networkProbe.enabled=true", deployment, "containers.0.args", `"--network-probe-interval=1h"`},
		{"networkProbe.enabled=false", "Namespace default-probe", "", ""},
		{"kmsPlugins.volume.hostPath.path=/x", deployment, "containers.0.args", `"--kms-plugin-dir=/run/kms"`},
		{"kmsPlugins.volume.hostPath.path=/x", deployment, "volumes.0", `{"hostPath":{"path":"/x"},"name":"kms-plugins"}`},
		{"kmsPlugins.volume.hostPath.path=/x", deployment, "containers.0.volumeMounts", `{"mountPath":"/run/kms","name":"kms-plugins","readOnly":true}`},
		{"networkPolicy.extraEgress[0].ports[0].port=988", policy, "spec.egress.2", `{"ports":[{"port":988}]}`},
		{"metrics.enabled=false", "Service " + v1alpha1.OperatorName + "-metrics", "", ""},
		{"metrics.enabled=false", deployment, "containers.0.args", `"--metrics-bind-address=0"`},
		{"metrics.enabled=false", policy, "spec.ingress", `[{"ports":[{"port":8081,"protocol":"TCP"}]}]`},
		{"metrics.port=9090", deployment, "containers.0.args", `"--metrics-bind-address=:9090"`},
		{"metrics.port=9090", "Service " + v1alpha1.OperatorName + "-metrics", "spec.ports", `[{"name":"metrics","port":9090,"targetPort":"metrics"}]`},
		{"metrics.port=9090", policy, "spec.ingress.1.ports", `[{"port":9090,"protocol":"TCP"}]`},
		{"resources.limits.memory=1Gi", deployment, "containers.0.resources", `"limits":{"memory":"1Gi"}`},
		{"podDisruptionBudget.enabled=false", budget, "", ""},
		{"podDisruptionBudget.maxUnavailable=50%", budget, "spec.maxUnavailable", `"50%"`},
		{"networkPolicy.enabled=false", policy, "", ""},
		{"networkPolicy.metricsFrom=null", policy, "spec.ingress.1", `{"ports":[{"port":8080,"protocol":"TCP"}]}`},
		{"networkPolicy.kubernetesAPITo[0].ipBlock.cidr=192.0.2.10/32", policy, "spec.egress.0.to", `[{"ipBlock":{"cidr":"192.0.2.10/32"}}]`},
		{"networkPolicy.kubernetesAPIPorts={8443}", policy, "spec.egress.0", `{"ports":[{"port":8443,"protocol":"TCP"}]}`},
		{"networkPolicy.dnsTo[0].ipBlock.cidr=192.0.2.53/32", policy, "spec.egress.1.to", `[{"ipBlock":{"cidr":"192.0.2.53/32"}}]`},
		{"nodeSelector.pool=system", deployment, "nodeSelector", `{"pool":"system"}`},
		{"tolerations[0].key=system", deployment, "tolerations", `[{"key":"system"}]`},
		{"affinity.nodeAffinity.x=y", deployment, "affinity", `{"nodeAffinity":{"x":"y"}}`},
		{"extraArgs={--zap-log-level=debug}", deployment, "containers.0.args", `"--zap-log-level=debug"]`},
		{"global.anything=goes", deployment, "spec.replicas", `2`},
	} {
		t.Run(row.set, func(t *testing.T) {
			kind, name, _ := strings.Cut(row.object, " ")
			out, err := helm(t, "template", "release", operatorChart, "--set", row.set)
			must(t, err)
			for _, o := range decode(t, out) {
				if o.GetKind() != kind || o.GetName() != name {
					continue
				}
				if row.path == "" {
					t.Fatalf("%s is rendered, expected it to be left out", row.object)
				}
				if got := at(t, o.Object, row.path); !strings.Contains(got, row.want) {
					t.Errorf("%s of %s is %s, expected %s", row.path, row.object, got, row.want)
				}
				return
			}
			if row.path != "" {
				t.Fatalf("no %s", row.object)
			}
		})
	}
}

// A label that takes the pods from their selector does nothing even where the schema was not asked.
func TestPodLabelsDoNotOverrideTheSelector(t *testing.T) {
	objects := render(t, operatorChart, "--skip-schema-validation", `--set=podLabels.app\.kubernetes\.io/name=other,podLabels.a=b`)
	pods := find(t, objects, "Deployment", v1alpha1.OperatorName).Object
	if labels := at(t, pods, "spec.template.metadata.labels"); labels != `{"a":"b","app.kubernetes.io/name":"hipaa-tenant-operator"}` {
		t.Errorf("the pods' labels are %s", labels)
	}
}

// The counterpart of crds.keep: true above.
func TestDefinitionsAreNotKeptWhenToldSo(t *testing.T) {
	for _, o := range render(t, operatorChart, "--set=crds.keep=false") {
		if o.GetAnnotations()["helm.sh/resource-policy"] != "" {
			t.Errorf("%s %s would be kept", o.GetKind(), o.GetName())
		}
	}
}

// The object around the spec of a tenant.
func TestTenantValues(t *testing.T) {
	const keep, confirm = `"helm.sh/resource-policy":"keep"`, `"argocd.argoproj.io/sync-options":"Prune=confirm,Delete=confirm"`
	for _, row := range []struct{ set, path, want string }{
		{"tenant.name=birch", "metadata.name", `"birch"`},
		{"tenant.name=", "metadata.name", `"release"`},
		{"tenant.keep=true", "metadata.annotations", `{` + confirm + `,` + keep + `}`},
		{"tenant.keep=false", "metadata.annotations", `{` + confirm + `}`},
		{"tenant.confirmPrune=false", "metadata.annotations", `{` + keep + `}`},
		{"tenant.annotations.a=b", "metadata.annotations", `{"a":"b",` + confirm + `,` + keep + `}`},
		{"global.anything=goes", "spec.global", `null`},
		{"suspend=true", "spec.suspend", `true`},
		{"quota.pods=100000", "spec.quota.pods", `100000`},
	} {
		t.Run(row.set, func(t *testing.T) {
			objects := render(t, tenantChart, "-f", acmeValues, "--set", row.set)
			if len(objects) != 1 || objects[0].GetKind() != "HIPAATenant" {
				t.Fatalf("expected one HIPAATenant, found %d objects", len(objects))
			}
			if got := at(t, objects[0].Object, row.path); got != row.want {
				t.Errorf("%s is %s, expected %s", row.path, got, row.want)
			}
		})
	}
}

// at returns a part of an object as JSON. Paths that begin with a field of the pod lead into the Deployment's pod.
func at(t *testing.T, value any, path string) string {
	t.Helper()
	steps := strings.Split(path, ".")
	switch steps[0] {
	case "": // the path begins with a dot: from the top
		steps = steps[1:]
	case "spec", "metadata":
	default:
		steps = append([]string{"spec", "template", "spec"}, steps...)
	}
	for _, step := range steps {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			value = v[step[0]-'0']
		default:
			value = nil
		}
	}
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}
