package cluster

import (
	"cmp"
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
)

// tokenSeconds is how long a service account's token holds: a day, longer than any test.
const tokenSeconds = int64(24 * 60 * 60)

// Config returns the administrator's connection: user "admin" in group system:masters, which the API server
// allows everything before it asks RBAC. Admission policies still apply. The client does not limit itself.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// User returns the connection of any user, by a client certificate of the cluster's authority. The user has
// the rights that RBAC gives to the name and the groups. It panics when the name cannot stand in a
// certificate, which is a mistake in the test.
func (c *Cluster) User(name string, groups ...string) *rest.Config {
	pair, err := c.ca.Client(name, groups...)
	if err != nil {
		panic(fmt.Sprintf("user %q: %v", name, err))
	}
	cfg := c.connection()
	cfg.CertData, cfg.KeyData = pair.Cert, pair.Key
	return cfg
}

// Certificate signs a certificate of the cluster's authority for a server with these names and addresses.
func (c *Cluster) Certificate(name string, hosts ...string) (pki.Pair, error) {
	return c.ca.Server(name, hosts...)
}

// Port that the API server listens on.
func (c *Cluster) Port() int { return c.ports.APIServer }

// address that the API server listens on.
func (c *Cluster) address() string { return cmp.Or(c.opts.Address, "127.0.0.1") }

// ServiceAccount returns the connection of a service account, by a bound token that holds for a day.
// Namespace and service account are made when they are missing. RBAC and admission see
// system:serviceaccount:<namespace>:<name>.
func (c *Cluster) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	accounts := client.CoreV1().ServiceAccounts(namespace)
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, sa, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create service account %s/%s: %w", namespace, name, err)
	}
	seconds := tokenSeconds
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("request a token for service account %s/%s: %w", namespace, name, err)
	}
	cfg := c.connection()
	cfg.BearerToken = token.Status.Token
	return cfg, nil
}

// connection is where the API server is and whom to trust, without an identity.
func (c *Cluster) connection() *rest.Config {
	return &rest.Config{
		Host:            fmt.Sprintf("https://%s:%d", c.address(), c.ports.APIServer),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.Pair().Cert},
		QPS:             -1,
	}
}

// Kubeconfig returns the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig("admin") }

// WriteKubeconfig writes a connection of this cluster as a kubeconfig, readable by the owner alone.
func (c *Cluster) WriteKubeconfig(path string, cfg *rest.Config) error {
	const name = "hipaa-tenant"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: cfg.Host, CertificateAuthorityData: cfg.CAData},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			name: {ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData, Token: cfg.BearerToken},
		},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
}

// identities are the connections that need a kubeconfig file. The components have the names that the API
// server's own roles are bound to. kwok stands in for every kubelet, and for the garbage the kubelets leave.
func (c *Cluster) identities() map[string]*rest.Config {
	return map[string]*rest.Config{
		"admin":           c.admin,
		ControllerManager: c.User("system:kube-controller-manager"),
		Scheduler:         c.User("system:kube-scheduler"),
		Kwok:              c.User("system:node:kwok", "system:nodes", "system:masters"),
	}
}
