package main

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
)

// floorWriter writes with client-go alone, as the operator's service account.
type floorWriter struct {
	builtIn *kubernetes.Clientset
	tenants rest.Interface
}

// prepared is a tenant to write. Requests of the floor that need not be encoded again are encoded before the clock starts.
type prepared struct {
	name        string
	objects     []preparedObject
	putStatus   []byte
	applyStatus []byte
}

type preparedObject struct {
	rest      rest.Interface
	resource  string
	namespace string
	name      string
	object    runtime.Object // for floor A: encoded in protobuf while the clock runs
	body      []byte         // for floor B
}

func newFloorWriter(ctx context.Context, w *world) (*floorWriter, error) {
	if err := w.allowAll(ctx); err != nil {
		return nil, err
	}
	config, err := w.cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	if err != nil {
		return nil, err
	}
	tenants, err := tenantClient(config)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	builtIn, err := kubernetes.NewForConfig(config)
	return &floorWriter{builtIn: builtIn, tenants: tenants}, err
}

// tenantClient speaks JSON, the only encoding the API server has for custom resources.
func tenantClient(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.GroupVersion = &v1alpha1.SchemeGroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientFor(config)
}

func (f *floorWriter) prepare(ctx context.Context, d *drawer, tenants []*v1alpha1.HIPAATenant) ([]prepared, error) {
	jobs := make([]prepared, len(tenants))
	for i, t := range tenants {
		drawn, err := d.draw(ctx, t)
		if err != nil {
			return nil, err
		}
		if jobs[i], err = f.encode(t, drawn); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

func (f *floorWriter) encode(t *v1alpha1.HIPAATenant, drawn drawing) (prepared, error) {
	p := prepared{name: t.Name}
	for _, config := range drawn.objects {
		object, body, err := typed(config)
		if err != nil {
			return p, err
		}
		o := preparedObject{namespace: object.GetNamespace(), name: object.GetName(), object: object, body: body}
		if o.rest, o.resource, err = f.endpoint(object); err != nil {
			return p, err
		}
		p.objects = append(p.objects, o)
	}
	whole := t.DeepCopy()
	whole.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "HIPAATenant"}
	whole.Status = drawn.status
	var err error
	if p.putStatus, err = json.Marshal(whole); err != nil {
		return p, err
	}
	p.applyStatus, err = json.Marshal(map[string]any{
		"apiVersion": whole.APIVersion, "kind": whole.Kind, "metadata": map[string]any{"name": whole.Name}, "status": whole.Status,
	})
	return p, err
}

// typed turns an apply configuration into the object it describes, and into the body of an apply.
func typed(config runtime.ApplyConfiguration) (client.Object, []byte, error) {
	body, err := json.Marshal(config)
	if err != nil {
		return nil, nil, err
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, nil, err
	}
	group := kind.GroupVersionKind().Group
	for _, object := range apply.Kinds() {
		if want := apply.RefOf(object).Kind; want != kind.Kind && want != kind.Kind+"."+group {
			continue
		}
		return object, body, json.Unmarshal(body, object)
	}
	return nil, nil, fmt.Errorf("expected a kind the operator writes, found %s of %s", kind.Kind, kind.APIVersion)
}

func (f *floorWriter) endpoint(object client.Object) (rest.Interface, string, error) {
	core, network, access := f.builtIn.CoreV1().RESTClient(), f.builtIn.NetworkingV1().RESTClient(), f.builtIn.RbacV1().RESTClient()
	switch kind := apply.RefOf(object).Kind; kind {
	case "Namespace":
		return core, "namespaces", nil
	case "ResourceQuota":
		return core, "resourcequotas", nil
	case "LimitRange":
		return core, "limitranges", nil
	case "ConfigMap":
		return core, "configmaps", nil
	case "Secret":
		return core, "secrets", nil
	case "NetworkPolicy.networking.k8s.io":
		return network, "networkpolicies", nil
	case "RoleBinding.rbac.authorization.k8s.io":
		return access, "rolebindings", nil
	default:
		return nil, "", fmt.Errorf("expected a kind the operator writes, found %s: add it here", kind)
	}
}

// post is floor A. Answers are not decoded: nothing is done with them.
func (f *floorWriter) post(ctx context.Context, p prepared) error {
	for _, o := range p.objects {
		err := o.rest.Post().NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource).
			Param("fieldManager", v1alpha1.OperatorName).Body(o.object).Do(ctx).Error()
		if err != nil {
			return fmt.Errorf("creating %s %s/%s: %w", o.resource, o.namespace, o.name, err)
		}
	}
	return f.tenants.Put().Resource("hipaatenants").Name(p.name).SubResource("status").
		Param("fieldManager", v1alpha1.OperatorName).Body(p.putStatus).Do(ctx).Error()
}

// apply is floor B.
func (f *floorWriter) apply(ctx context.Context, p prepared) error {
	for _, o := range p.objects {
		request := o.rest.Patch(types.ApplyYAMLPatchType).NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource)
		if err := forced(request, o.name, o.body).Do(ctx).Error(); err != nil {
			return fmt.Errorf("applying %s %s/%s: %w", o.resource, o.namespace, o.name, err)
		}
	}
	request := f.tenants.Patch(types.ApplyYAMLPatchType).Resource("hipaatenants").SubResource("status")
	return forced(request, p.name, p.applyStatus).Do(ctx).Error()
}

func forced(r *rest.Request, name string, body []byte) *rest.Request {
	return r.Name(name).Param("fieldManager", v1alpha1.OperatorName).Param("force", "true").Body(body)
}
