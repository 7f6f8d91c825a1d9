package chart

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func TestLint(t *testing.T) {
	for _, args := range [][]string{
		{operatorChart},
		{operatorChart, "--set=vault.address=https://vault.vault:8200,vault.kubernetesRole=operator"},
		{tenantChart, "-f", acmeValues},
	} {
		out, err := helm(t, append([]string{"lint", "--strict"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, "1 chart(s) linted, 0 chart(s) failed") {
			t.Errorf("helm lint %v: %s", args, out)
		}
	}
}

// The chart's generated parts are the manifests of config/: the same definitions, the same permissions, nothing else.
func TestDefinitionsAndPermissionsAreThoseOfConfig(t *testing.T) {
	permissions := []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
	got := bare(render(t, operatorChart, "--namespace", v1alpha1.OperatorNamespace), append(permissions, "CustomResourceDefinition")...)
	want := bare(append(directory(t, "config/crd"), directory(t, "config/rbac")...))
	if len(want) < 10 {
		t.Fatalf("config/crd and config/rbac have %d objects, expected at least 10", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart differs from config/; run make generate (-config +chart):\n%s", diff)
	}
}

// With shred.enabled the chart adds what config/shred adds, and nothing else.
func TestShredAddsThePermissionsOfConfig(t *testing.T) {
	without := render(t, operatorChart, "--namespace", v1alpha1.OperatorNamespace)
	with := bare(render(t, operatorChart, "--namespace", v1alpha1.OperatorNamespace, "--set", "shred.enabled=true"))
	want := bare(append(without, directory(t, "config/shred")...))
	if len(want) != len(without)+4 {
		t.Fatalf("config/shred has %d objects, expected 4", len(want)-len(without))
	}
	if diff := cmp.Diff(want, with); diff != "" {
		t.Errorf("the chart differs from config/; run make generate (-config +chart):\n%s", diff)
	}
}

// With networkProbe.enabled the chart adds what config/network-probe adds, and two arguments; both name the image of the Deployment.
func TestNetworkProbeIsThatOfConfig(t *testing.T) {
	without := render(t, operatorChart, "--namespace", v1alpha1.OperatorNamespace)
	with := render(t, operatorChart, "--namespace", v1alpha1.OperatorNamespace, "--set", "networkProbe.enabled=true")
	pod, before := podOf(t, with), podOf(t, without)
	added := []string{"--network-probe-interval=1h", "--network-probe-image=" + pod.Containers[0].Image}
	if diff := cmp.Diff(append(before.Containers[0].Args, added...), pod.Containers[0].Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	component := read(t, "config/network-probe/kustomization.yaml")
	for _, argument := range added {
		if !strings.Contains(component, argument) {
			t.Errorf("config/network-probe does not set %s", argument)
		}
	}
	const deployment = "Deployment " + v1alpha1.OperatorName
	wanted, got := bare(append(without, directory(t, "config/network-probe")...)), bare(with)
	account := got["ServiceAccount "+v1alpha1.AccountNetworkProbe].(map[string]any)
	delete(account, "imagePullSecrets") // empty here
	delete(wanted, deployment)
	delete(got, deployment)
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("the chart differs from config/; run make generate (-config +chart):\n%s", diff)
	}
	namespace := find(t, with, "Namespace", v1alpha1.OperatorNamespace+v1alpha1.ProbeNamespaceSuffix)
	for _, o := range directory(t, "config/network-probe") {
		if o.GetKind() != "Namespace" {
			continue
		}
		for key, value := range o.GetLabels() {
			if namespace.GetLabels()[key] != value {
				t.Errorf("label %s of the namespace is %q, want %q", key, namespace.GetLabels()[key], value)
			}
		}
	}
}

// Nothing of the chart stays behind when the release goes to another namespace with another service account.
func TestFollowsTheRelease(t *testing.T) {
	objects := render(t, operatorChart, "--namespace=elsewhere", "--set=shred.enabled=true,networkProbe.enabled=true", "--set=serviceAccount.name=guard", "--set=serviceAccount.annotations.cloud/role=kms")
	namespaced := 0
	for _, o := range objects {
		text, err := json.Marshal(o.Object)
		must(t, err)
		if strings.Contains(string(text), v1alpha1.OperatorNamespace) {
			t.Errorf("%s %s names %s", o.GetKind(), o.GetName(), v1alpha1.OperatorNamespace)
		}
		if o.GetNamespace() == "elsewhere" {
			namespaced++
		}
		if subjects, ok := o.Object["subjects"]; ok {
			want := []any{map[string]any{"kind": "ServiceAccount", "name": "guard", "namespace": "elsewhere"}}
			if diff := cmp.Diff(want, subjects); diff != "" {
				t.Errorf("subjects of %s %s: %s", o.GetKind(), o.GetName(), diff)
			}
		}
		if o.GetKind() == "ServiceAccount" && o.GetName() != v1alpha1.AccountNetworkProbe && (o.GetName() != "guard" || o.GetAnnotations()["cloud/role"] != "kms") {
			t.Errorf("service account is %s with %v", o.GetName(), o.GetAnnotations())
		}
	}
	if namespaced != 9 {
		t.Errorf("%d objects in the release's namespace, expected 9", namespaced)
	}
	if pod := podOf(t, objects); pod.ServiceAccountName != "guard" {
		t.Errorf("pods run as %s", pod.ServiceAccountName)
	}
}

// The pod asks for nothing but what the operator needs. What a file system or a token could be used for is closed.
func TestPodIsHardened(t *testing.T) {
	pod := podOf(t, render(t, operatorChart, "--set=vault.address=https://vault:8200,vault.tokenSecret.name=token,vault.caSecret.name=ca"))
	no, yes, user := false, true, int64(65532)
	if diff := cmp.Diff(&corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}, pod.SecurityContext); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}, pod.Containers[0].SecurityContext); diff != "" {
		t.Error(diff)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the service account's token is mounted a second time, with a longer life")
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		if !m.ReadOnly {
			t.Errorf("%s can be written to", m.Name)
		}
	}
	source := tokenOf(t, pod)
	if seconds := *source.ExpirationSeconds; seconds != 3600 || source.Audience != "" {
		t.Errorf("token for %d s and audience %q, expected 3600 s for the API server", seconds, source.Audience)
	}
}

func tokenOf(t testing.TB, pod corev1.PodSpec) *corev1.ServiceAccountTokenProjection {
	t.Helper()
	for _, v := range pod.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				return s.ServiceAccountToken
			}
		}
	}
	t.Fatal("no projected service account token")
	return nil
}

// bare are objects by kind and name, without what tells only how they were installed. Kinds narrows them.
func bare(objects []*unstructured.Unstructured, kinds ...string) map[string]any {
	out := map[string]any{}
	for _, o := range objects {
		if len(kinds) > 0 && !slices.Contains(kinds, o.GetKind()) {
			continue
		}
		content := maps.Clone(o.Object)
		content["metadata"] = map[string]any{"name": o.GetName(), "namespace": o.GetNamespace()}
		out[o.GetKind()+" "+o.GetName()] = content
	}
	return out
}

// directory reads the manifests of a directory of the repository.
func directory(t testing.TB, dir string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(repository(t, dir+"/*.yaml"))
	must(t, err)
	var objects []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		must(t, err)
		objects = append(objects, decode(t, string(bytes.TrimSpace(text)))...)
	}
	return objects
}

// find returns the only object of a kind with a name.
func find(t testing.TB, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if i < 0 {
		t.Fatalf("no %s %s", kind, name)
	}
	return objects[i]
}

// podOf returns the pod of the operator's Deployment. Every field of it is one the API knows.
func podOf(t testing.TB, objects []*unstructured.Unstructured) corev1.PodSpec {
	t.Helper()
	content, found, err := unstructured.NestedMap(find(t, objects, "Deployment", v1alpha1.OperatorName).Object, "spec", "template", "spec")
	if err != nil || !found {
		t.Fatalf("no pod in the Deployment: %v", err)
	}
	text, err := json.Marshal(content)
	must(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var pod corev1.PodSpec
	must(t, decoder.Decode(&pod))
	return pod
}
