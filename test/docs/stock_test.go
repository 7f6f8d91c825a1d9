package docs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// stock takes stock of a cluster: all objects of all kinds, without what controllers make of them.
type stock struct {
	discovery discovery.DiscoveryInterface
	// operator is whom no admission policy keeps from removing what is the operator's; admin is for the rest.
	operator, admin metadata.Interface
}

// item is one object; mark changes when somebody changes what it asks for.
type item struct {
	kind      schema.GroupVersionResource
	namespace string
	name      string
	mark      string
}

// inventory is items by kind, namespace and name.
type inventory map[string]item

// newStock gives the operator all rights.
func newStock(c *cluster.Cluster) (*stock, error) {
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + v1alpha1.OperatorNamespace + ":" + v1alpha1.OperatorName, Groups: []string{"system:masters"},
	}
	config.WarningHandler = rest.NoWarnings{}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	operator, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	admin, err := metadata.NewForConfig(c.Config())
	return &stock{d, operator, admin}, err
}

// derived are kinds that controllers write by themselves.
var derived = []string{
	"events", "leases", "endpoints", "endpointslices", "replicasets", "pods", "nodes", "csinodes", "controllerrevisions",
	"componentstatuses", "ipaddresses", "apiservices", "flowschemas", "prioritylevelconfigurations", "storageversions",
}

// own are objects that the operator makes by itself, and makes again.
func own(name string) bool {
	return name == "hipaa-encryption-canary" || strings.HasPrefix(name, "hipaa-local-kek-") || name == "kube-root-ca.crt" || name == "default"
}

func (s *stock) take(ctx context.Context) inventory {
	GinkgoHelper()
	lists, err := discovery.ServerPreferredResources(s.discovery)
	Expect(err).NotTo(HaveOccurred())
	out := inventory{}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists) {
		for _, r := range list.APIResources {
			gv, err := schema.ParseGroupVersion(list.GroupVersion)
			Expect(err).NotTo(HaveOccurred())
			if slices.Contains(derived, r.Name) {
				continue
			}
			found, err := s.admin.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue // a definition that goes away
			}
			for i := range found.Items {
				out.add(gv.WithResource(r.Name), &found.Items[i])
			}
		}
	}
	return out
}

// add notes an object. Of the project's own kinds, annotations count as well: they are asked of by them.
func (v inventory) add(kind schema.GroupVersionResource, o *metav1.PartialObjectMetadata) {
	if kind.Group == "" && kind.Resource != "namespaces" && own(o.Name) {
		return
	}
	mark := fmt.Sprint(o.UID, o.Generation, o.DeletionTimestamp)
	if kind.Group == v1alpha1.SchemeGroupVersion.Group {
		mark += fmt.Sprint(o.Annotations)
	}
	v[kind.Resource+"."+kind.Group+" "+o.Namespace+"/"+o.Name] = item{kind, o.Namespace, o.Name, mark}
}

// keeps says whether everything that was there is there, as it was.
func (v inventory) keeps(before inventory) bool {
	for key, i := range before {
		if v[key].mark != i.mark {
			return false
		}
	}
	return true
}

// beyond is what was not there. What lies in a namespace that was not there goes with it.
func (v inventory) beyond(before inventory) inventory {
	out := inventory{}
	for key, i := range v {
		if _, was := before[key]; was {
			continue
		}
		if _, was := before["namespaces. /"+i.namespace]; i.namespace == "" || was {
			out[key] = i
		}
	}
	return out
}

// release says whether there is one of helm in the operator's namespace: the operator is not what it was.
func (v inventory) release() bool {
	return slices.ContainsFunc(v.names(), func(name string) bool {
		return strings.HasPrefix(name, "secrets. "+v1alpha1.OperatorNamespace+"/sh.helm.release.")
	})
}

func (v inventory) names() []string { return slices.Sorted(maps.Keys(v)) }

// remove deletes objects, and does not wait for anybody's finalizer but Kubernetes' own. Tenants go before what they need.
func (s *stock) remove(ctx context.Context, items inventory) {
	everything := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	free := []byte(`{"metadata":{"finalizers":null}}`)
	for _, own := range []bool{true, false} {
		for _, i := range items {
			if (i.kind.Group == v1alpha1.SchemeGroupVersion.Group) != own {
				continue
			}
			objects := s.operator.Resource(i.kind).Namespace(i.namespace)
			if i.kind.Resource == "namespaces" {
				pods := s.operator.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(i.name)
				_ = pods.DeleteCollection(ctx, everything, metav1.ListOptions{}) // the namespace would wait for their grace
			}
			if objects.Delete(ctx, i.name, metav1.DeleteOptions{}) != nil { // what is left is looked at again by the caller
				_ = s.admin.Resource(i.kind).Namespace(i.namespace).Delete(ctx, i.name, metav1.DeleteOptions{})
			}
			if own {
				_, _ = objects.Patch(ctx, i.name, types.MergePatchType, free, metav1.PatchOptions{})
			}
		}
	}
}
