// Package policytest puts requests in front of a real API server that holds the admission policies, as the people who
// would make them. A table is a list of rows: a name, a user, a request, and what must become of it.
package policytest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

const (
	// patience bounds every wait. Usual are fractions of a second.
	patience = time.Minute
	// pollInterval is how often a wait looks again.
	pollInterval = 20 * time.Millisecond
)

// Env is a control plane and the people who make requests to it.
type Env struct {
	// Cluster is the control plane.
	Cluster *cluster.Cluster
	// Admin is a client in group system:masters.
	Admin client.Client
	// Operator is a client with the operator's identity, and every right.
	Operator client.Client

	operator *rest.Config
	mu       sync.Mutex
	clients  map[User]client.Client
	markers  atomic.Int32 // made so far
}

// New prepares the people on a running control plane, and installs the custom resource definitions. Install adds the
// policies; leave it out where the operator does that.
func New(ctx context.Context, c *cluster.Cluster) (*Env, error) {
	types, err := Scheme()
	if err != nil {
		return nil, err
	}
	admin, err := client.New(c.Config(), client.Options{Scheme: types})
	if err != nil {
		return nil, err
	}
	e := &Env{Cluster: c, Admin: admin, clients: map[User]client.Client{}}
	if err := e.installTypes(ctx); err != nil {
		return nil, err
	}
	return e, e.prepareUsers(ctx)
}

// Scheme knows every kind the tests use.
func Scheme() (*runtime.Scheme, error) {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(types); err != nil {
			return nil, err
		}
	}
	return types, nil
}

// Install writes the shipped policies, as they are for the default identity, and waits until the controller manager has
// type-checked them and the canaries behave. The API server takes about a second to take up a policy.
func (e *Env) Install(ctx context.Context, canaries ...Row) error {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		return err
	}
	for _, object := range shipped {
		if err := e.Admin.Create(ctx, object.DeepCopyObject().(client.Object)); err != nil {
			return fmt.Errorf("create %s: %w", object.GetName(), err)
		}
	}
	for _, canary := range canaries {
		if err := Await(ctx, "canary "+canary.Name, func(ctx context.Context) error { return e.Try(ctx, canary) }); err != nil {
			return err
		}
	}
	return Await(ctx, "the policies to be accepted", func(ctx context.Context) error {
		live, err := e.Live(ctx, shipped)
		if err != nil {
			return err
		}
		if problems := admission.Compare(shipped, live); len(problems) > 0 {
			return fmt.Errorf("%v", problems)
		}
		return nil
	})
}

// Live reads what the API server holds of the shipped objects.
func (e *Env) Live(ctx context.Context, shipped []admission.Object) ([]admission.Object, error) {
	var live []admission.Object
	for _, object := range shipped {
		found := object.DeepCopyObject().(client.Object)
		if err := e.Admin.Get(ctx, client.ObjectKeyFromObject(found), found); client.IgnoreNotFound(err) != nil {
			return nil, err
		} else if err == nil {
			live = append(live, found)
		}
	}
	return live, nil
}

func (e *Env) installTypes(ctx context.Context) error {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(root, "config", "crd", v1alpha1.Group+"_*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, crd); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := e.installType(ctx, crd); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) installType(ctx context.Context, crd *apiextensionsv1.CustomResourceDefinition) error {
	if err := e.Admin.Create(ctx, crd); err != nil {
		return err
	}
	return Await(ctx, "type "+crd.Name, func(ctx context.Context) error { return e.established(ctx, crd.Name) })
}

func (e *Env) established(ctx context.Context, name string) error {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		return err
	}
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("not established: %v", crd.Status.Conditions)
}

// Await repeats try until it succeeds, for at most a minute, and ends with what try said last.
func Await(ctx context.Context, what string, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w: %w", what, err, last)
	}
	return nil
}

func objectMeta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// Restore puts the policy and the binding of this name back as shipped, and waits until the API server goes by them.
func (e *Env) Restore(ctx context.Context, name string) error {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		return err
	}
	for _, object := range shipped {
		if object.GetName() != name {
			continue
		}
		if err := e.Replace(ctx, object); err != nil {
			return err
		}
	}
	return e.takeUp(ctx)
}

// Replace makes the API server hold this policy or binding, and starts again when the type checker came between.
func (e *Env) Replace(ctx context.Context, object client.Object) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live := object.DeepCopyObject().(client.Object)
		wanted := object.DeepCopyObject().(client.Object)
		err := e.Admin.Get(ctx, client.ObjectKeyFromObject(live), live)
		if apierrors.IsNotFound(err) {
			return e.Admin.Create(ctx, wanted)
		}
		if err != nil {
			return err
		}
		wanted.SetResourceVersion(live.GetResourceVersion())
		return e.Admin.Update(ctx, wanted)
	})
}
