package policytest

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// User makes requests. Any other string is a user of that name, in no group, with whatever rights RBAC gives it; the
// controllers of kube-system can be played like that.
type User string

const (
	// Admin is in group system:masters: RBAC refuses nothing.
	Admin User = "admin"
	// Operator has the operator's identity, and every right.
	Operator User = "operator"
	// Developer is a person with every right in the tenant's namespace that the built-in groups have. The shipped roles
	// give far less; here a policy has to be what refuses.
	Developer User = "developer"
	// Application is a service account of the tenant's namespace with the developer's rights.
	Application User = "application"
	// Scheduler is kube-scheduler.
	Scheduler User = "system:kube-scheduler"
	// Kubelet runs node us-1.
	Kubelet User = "system:node:us-1"
	// NetworkPlugin may patch NetworkPolicies everywhere, and write the endpoints of its own.
	NetworkPlugin User = "network-plugin"
)

const (
	developers      = "acme-devs"
	applicationName = "app"
	everythingRole  = "test-everything-in-the-namespace"
)

// Config connects as user. The namespace is that of the Application, whose token is valid for ten minutes.
func (e *Env) Config(ctx context.Context, user User, namespace string) (*rest.Config, error) {
	switch user {
	case Admin:
		return e.Cluster.Config(), nil
	case Operator:
		return rest.CopyConfig(e.operator), nil
	case Developer:
		return e.Cluster.User("dev@acme.example", developers), nil
	case Kubelet:
		return e.Cluster.User(string(user), "system:nodes"), nil
	case Application:
		return e.application(ctx, namespace)
	}
	return e.Cluster.User(string(user)), nil
}

func (e *Env) application(ctx context.Context, namespace string) (*rest.Config, error) {
	account := &corev1.ServiceAccount{ObjectMeta: objectMeta(applicationName)}
	account.Namespace = namespace
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := e.Admin.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(e.Cluster.Config())
	config.BearerToken = request.Status.Token
	return config, nil
}

// client is kept per user, except for the Application, who is another one in each namespace.
func (e *Env) client(ctx context.Context, user User, namespace string) (client.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, ok := e.clients[user]; ok {
		return c, nil
	}
	config, err := e.Config(ctx, user, namespace)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: e.Admin.Scheme(), Mapper: e.Admin.RESTMapper()})
	if err == nil && user != Application {
		e.clients[user] = c
	}
	return c, err
}

// prepareUsers makes the operator's account, the developers' role and the network plug-in's.
func (e *Env) prepareUsers(ctx context.Context) error {
	config, err := e.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	if err != nil {
		return err
	}
	e.operator = config
	objects := []client.Object{
		clusterBinding("test-operator", "cluster-admin", rbacv1.Subject{
			Kind: rbacv1.ServiceAccountKind, Name: v1alpha1.OperatorName, Namespace: v1alpha1.OperatorNamespace,
		}),
		// Not "*": that would include verb use on emergencyaccesses.hipaatenant.dev.
		&rbacv1.ClusterRole{ObjectMeta: objectMeta(everythingRole), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{
				"", "apps", "autoscaling", "batch", "discovery.k8s.io", "gateway.networking.k8s.io", "gateway.networking.x-k8s.io",
				"networking.k8s.io", "policy", "rbac.authorization.k8s.io", "cilium.io", "crd.antrea.io", "crd.projectcalico.org", "projectcalico.org",
				"k8s.cni.cncf.io", "k8s.ovn.org", "networking.gke.io", "networking.k8s.aws", "vpcresources.k8s.aws",
			},
			Resources: []string{"*"},
			Verbs:     []string{"*"},
		}}},
		&rbacv1.ClusterRole{ObjectMeta: objectMeta("test-network-plugin"), Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"get", "list", "watch", "patch", "update", "delete"},
		}, {
			APIGroups: []string{"cilium.io"}, Resources: []string{"ciliumendpoints"}, Verbs: []string{"create", "get", "patch", "delete"},
		}}},
		clusterBinding("test-network-plugin", "test-network-plugin", rbacv1.Subject{Kind: rbacv1.UserKind, Name: string(NetworkPlugin)}),
	}
	for _, object := range objects {
		if err := e.Admin.Create(ctx, object); err != nil {
			return err
		}
	}
	if e.Operator, err = e.client(ctx, Operator, ""); err != nil {
		return err
	}
	return e.awaitRight(ctx, e.Operator, &authorizationv1.ResourceAttributes{Verb: "create", Resource: "namespaces"})
}

// awaitRight waits until the authorizer has seen a binding.
func (e *Env) awaitRight(ctx context.Context, c client.Client, right *authorizationv1.ResourceAttributes) error {
	return Await(ctx, "a right to "+right.Verb+" "+right.Resource, func(ctx context.Context) error {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: right}}
		if err := c.Create(ctx, review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return fmt.Errorf("refused: %s", review.Status.Reason)
		}
		return nil
	})
}

func clusterBinding(name, role string, subject rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: objectMeta(name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{subject},
	}
}
