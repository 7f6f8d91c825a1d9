package stories

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// What config/samples/keyset-consumer speaks of.
const (
	consumer          = "keyset-consumer"
	consumerTenant    = "acme-health"
	consumerNamespace = "acme-health-app"
	consumerFiles     = "config/samples/keyset-consumer"
)

// The sample application runs as its manifest says, with what the kubelet of its node may read and ask for, and opens its data keys
// with its own identity.
var _ = Describe("the sample application", Ordered, func() {
	var pod corev1.Pod

	BeforeAll(func(ctx SpecContext) {
		for _, o := range []client.Object{
			fixture.Profile(v1alpha1.DefaultProfile),
			fixture.Tenant(consumerTenant, func(t *v1alpha1.HIPAATenant) {
				t.Spec.Encryption = v1alpha1.Encryption{KeyURI: "vault://transit/acme-health", DataKeys: []v1alpha1.DataKey{{Name: "records"}}}
				t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: consumerNamespace}}
				t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Operator", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "acme-ops"}}}}
			}),
		} {
			Expect(admin.Create(ctx, o)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, o)).To(Succeed()) })
		}
		vault.CreateKey(GinkgoTB(), "transit", "acme-health")
		reviewer, err := suite.Cluster.ServiceAccount(ctx, "vault", "vault")
		Expect(err).NotTo(HaveOccurred())
		Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "vault"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "vault", Name: "vault"}},
		})).To(Succeed())
		Expect(vault.Review(ctx, reviewer)).To(Succeed())
		Expect(vault.Run(ctx, consumerFiles+"/README.md", "2. Vault:")).To(Succeed())
		suite.AwaitReady(ctx, consumerTenant)
	})

	It("is admitted and scheduled as the tenant's Operator applies it", func(ctx SpecContext) {
		kubeconfig := filepath.Join(suite.Dir, "tenants-operator")
		Expect(suite.Cluster.WriteKubeconfig(kubeconfig, suite.Cluster.User("omar@acme.example", "acme-ops"))).To(Succeed())
		as := []string{"--kubeconfig", kubeconfig, "-n", consumerNamespace}
		kubectl(ctx, append(as, "create", "configmap", "vault-ca", "--from-literal=ca.crt=")...)
		kubectl(ctx, append(as, "apply", "-f", filepath.Join(root, consumerFiles, "deployment.yaml"))...)
		Eventually(func(g Gomega) {
			var list corev1.PodList
			g.Expect(admin.List(ctx, &list, client.InNamespace(consumerNamespace))).To(Succeed())
			g.Expect(list.Items).To(HaveLen(1))
			pod = list.Items[0]
			g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
		}).Should(Succeed())
	})

	It("opens its data keys with its own identity, and keeps records that open for nobody else", func(ctx SpecContext) {
		app := play(ctx, &pod)
		Expect(app.env).To(HaveKeyWithValue("HIPAA_TENANT", consumerTenant), "from the tenant's config")
		const patient = "blood group AB negative"
		Expect(app.ask(ctx, http.MethodGet, "/healthz", "")).To(Equal("200 "))
		Expect(app.ask(ctx, http.MethodPut, "/records/4711", patient)).To(Equal("204 "))
		Expect(app.ask(ctx, http.MethodGet, "/records/4711", "")).To(Equal("200 " + patient))
		stored, err := os.ReadFile(filepath.Join(app.mounts["/records"], "4711"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(stored)).NotTo(ContainSubstring("blood"))
	})
})

// played is a container whose program runs here, with what a kubelet would give it.
type played struct {
	// mounts are directories by the path they have in the container.
	mounts map[string]string
	env    map[string]string
	url    string
}

// play does what the kubelet of a pod's node does, with no more rights: it reads the Secrets and ConfigMaps the pod names, asks for
// its tokens, and runs its program until the spec ends.
func play(ctx context.Context, pod *corev1.Pod) *played {
	GinkgoHelper()
	node, err := kubernetes.NewForConfig(suite.Cluster.User("system:node:"+pod.Spec.NodeName, "system:nodes"))
	Expect(err).NotTo(HaveOccurred())
	p := &played{mounts: map[string]string{}, env: map[string]string{}}
	container := pod.Spec.Containers[0]
	for _, m := range container.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		dir := GinkgoT().TempDir()
		for name, content := range volume(ctx, node, pod, pod.Spec.Volumes[i]) {
			Expect(os.WriteFile(filepath.Join(dir, name), content, 0o600)).To(Succeed())
		}
		p.mounts[m.MountPath] = dir
	}
	for _, from := range container.EnvFrom {
		config, err := node.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, from.ConfigMapRef.Name, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		maps.Copy(p.env, config.Data)
	}
	for _, e := range container.Env {
		p.env[e.Name] = e.Value
		if e.ValueFrom != nil {
			Expect(e.ValueFrom.FieldRef.FieldPath).To(Equal("metadata.namespace"))
			p.env[e.Name] = pod.Namespace
		}
		for path, dir := range p.mounts {
			p.env[e.Name] = strings.Replace(p.env[e.Name], path, dir, 1)
		}
	}
	// The Vault of this suite speaks http, on loopback alone, and so does the application.
	p.env["VAULT_ADDR"], p.env["VAULT_CACERT"], p.env["LISTEN"] = vault.Address, "", "127.0.0.1:0"
	p.run(ctx)
	return p
}

// volume returns the files of a volume, by name.
func volume(ctx context.Context, node kubernetes.Interface, pod *corev1.Pod, v corev1.Volume) map[string][]byte {
	GinkgoHelper()
	files := map[string][]byte{}
	switch {
	case v.Secret != nil:
		secret, err := node.CoreV1().Secrets(pod.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		maps.Copy(files, secret.Data)
	case v.ConfigMap != nil:
		config, err := node.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		for name, text := range config.Data {
			files[name] = []byte(text)
		}
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
				Audiences: []string{s.ServiceAccountToken.Audience}, ExpirationSeconds: s.ServiceAccountToken.ExpirationSeconds,
				BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
			}}
			answer, err := node.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, cmp.Or(pod.Spec.ServiceAccountName, "default"), request, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
			files[s.ServiceAccountToken.Path] = []byte(answer.Status.Token)
		}
	default:
		Expect(v.EmptyDir).NotTo(BeNil(), "volume %s is of a kind that is not played", v.Name)
	}
	return files
}

// run builds and starts the program with nothing but the environment of its container.
func (p *played) run(ctx context.Context) {
	GinkgoHelper()
	binary := filepath.Join(GinkgoT().TempDir(), consumer)
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", binary, "./"+consumerFiles)
	build.Dir = root
	out, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	command := exec.Command(binary)
	for name, value := range p.env {
		command.Env = append(command.Env, name+"="+value)
	}
	stderr, err := command.StderrPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	var said bytes.Buffer
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if _, address, found := strings.Cut(lines.Text(), "listening on "); found {
			p.url = "http://" + address
			return
		}
	}
	Fail("the application did not start:\n" + said.String())
}

// ask returns status code and body of an answer.
func (p *played) ask(ctx context.Context, method, path, body string) string {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return response.Status[:3] + " " + string(text)
}
