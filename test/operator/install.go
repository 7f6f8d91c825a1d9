package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// fieldOwner of what tests write.
const fieldOwner = client.FieldOwner("test")

// NewClient returns an uncached client that knows every kind tests deal with.
func NewClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// NewAdmin returns both sorts of client of the cluster's administrator. Neither repeats the API server's warnings: tests ask for
// what it warns of.
func NewAdmin(c *cluster.Cluster) (client.Client, *kubernetes.Clientset, error) {
	config := c.Config()
	config.WarningHandler = rest.NoWarnings{}
	admin, err := NewClient(config)
	if err != nil {
		return nil, nil, err
	}
	api, err := kubernetes.NewForConfig(config)
	return admin, api, err
}

// Install applies the custom resource definitions, the namespace, the service account and the roles, from config/, and
// waits until the API server serves the kinds.
func Install(ctx context.Context, c *cluster.Cluster) error {
	admin, err := NewClient(c.Config())
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.OperatorNamespace}}
	if err := admin.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for _, dir := range []string{"config/crd", "config/rbac"} {
		if err := ApplyDir(ctx, admin, dir); err != nil {
			return err
		}
	}
	return awaitEstablished(ctx, admin)
}

// ApplyDir applies every object of every YAML file of a directory of the repository, in the order of their names.
func ApplyDir(ctx context.Context, c client.Client, dir string) error {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(root, dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("no manifests in %s", dir), err)
	}
	for _, file := range files {
		if err := applyFile(ctx, c, file); err != nil {
			return fmt.Errorf("applying %s: %w", file, err)
		}
	}
	return nil
}

func applyFile(ctx context.Context, c client.Client, file string) error {
	if filepath.Base(file) == "kustomization.yaml" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	decoder := utilyaml.NewYAMLOrJSONDecoder(f, 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case err != nil && err.Error() == "EOF":
			return nil
		case err != nil:
			return err
		case len(object.Object) == 0:
			continue
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership); err != nil {
			return err
		}
	}
}

func awaitEstablished(ctx context.Context, c client.Client) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		for _, list := range []client.ObjectList{&v1alpha1.HIPAATenantList{}, &v1alpha1.HIPAAProfileList{}, &v1alpha1.BusinessAssociateList{}} {
			if err := c.List(ctx, list, client.Limit(1)); err != nil {
				return false, nil //nolint:nilerr // not served yet
			}
		}
		return true, nil
	})
}
