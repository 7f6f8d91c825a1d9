package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acmeta "k8s.io/client-go/applyconfigurations/meta/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// world is a store behind two clients, as the operator has them: one that reads stripped objects and writes, one that
// reads from the API server. It gives UIDs, minds UID preconditions, and writes down what it was asked.
type world struct {
	t     *testing.T
	store client.WithWatch
	cache client.Client
	live  client.Reader
	// calls are the writes and the live reads, as "verb kind namespace/name".
	calls []string
	// fail holds the error a call ends with, by its line in calls.
	fail map[string]error
	// hidden are objects the cache does not show.
	hidden map[v1alpha1.ObjectRef]bool
	uids   int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	w := &world{t: t, fail: map[string]error{}, hidden: map[v1alpha1.ObjectRef]bool{}}
	w.store = fake.NewClientBuilder().WithScheme(scheme.Scheme).WithTypeConverters(managedfields.NewDeducedTypeConverter()).Build()
	for _, obj := range objects {
		w.uids++
		if obj.GetUID() == "" {
			obj.SetUID(types.UID(fmt.Sprintf("uid-%d", w.uids)))
		}
		if err := w.store.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	w.cache = interceptor.NewClient(w.store, interceptor.Funcs{Get: w.get, Create: w.create, Patch: w.patch, Update: w.update, Delete: w.delete})
	w.live = interceptor.NewClient(w.store, interceptor.Funcs{Get: w.getLive})
	return w
}

func (w *world) applier() *Applier { return New(w.cache, w.live, v1alpha1.OperatorName) }

func (w *world) call(verb string, ref v1alpha1.ObjectRef) error {
	line := fmt.Sprintf("%s %s %s/%s", verb, ref.Kind, ref.Namespace, ref.Name)
	w.calls = append(w.calls, line)
	return w.fail[line]
}

func (w *world) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	ref := RefOf(obj)
	ref.Namespace, ref.Name = key.Namespace, key.Name
	if err := w.fail[fmt.Sprintf("cached get %s %s/%s", ref.Kind, ref.Namespace, ref.Name)]; err != nil {
		return err
	}
	if w.hidden[ref] {
		return apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
	}
	if err := c.Get(ctx, key, obj); err != nil {
		return err
	}
	_, err := Strip(obj)
	return err
}

func (w *world) getLive(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	ref := RefOf(obj)
	ref.Namespace, ref.Name = key.Namespace, key.Name
	if err := w.call("get", ref); err != nil {
		return err
	}
	return c.Get(ctx, key, obj)
}

func (w *world) create(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
	if err := w.call("create", RefOf(obj)); err != nil {
		return err
	}
	w.owner((&client.CreateOptions{}).ApplyOptions(opts).FieldManager)
	w.uids++
	obj.SetUID(types.UID(fmt.Sprintf("uid-%d", w.uids)))
	return c.Create(ctx, obj, opts...)
}

func (w *world) patch(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := w.call("apply", RefOf(obj)); err != nil {
		return err
	}
	o := (&client.PatchOptions{}).ApplyOptions(opts)
	forced := o.Force != nil && *o.Force
	if made := strings.HasPrefix(o.FieldManager, v1alpha1.OperatorName+"-"); made {
		if RefOf(obj).Kind != "Secret" || forced {
			w.t.Errorf("%s is applied as %s, force %v; only a Secret nobody saw is, and unforced", RefOf(obj).Kind, o.FieldManager, forced)
		}
	} else {
		w.owner(o.FieldManager)
		if !forced {
			w.t.Errorf("%s is not forced", RefOf(obj).Kind)
		}
	}
	if patch.Type() != types.ApplyPatchType {
		w.t.Errorf("patch of type %s; want server-side apply", patch.Type())
	}
	ref, wanted := RefOf(obj), pinned(w.t, obj, patch)
	before := w.read(ref)
	if before != nil && wanted != "" && wanted != before.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{Resource: ref.Kind}, ref.Name, fmt.Errorf("uid mismatch"))
	}
	if err := c.Patch(ctx, obj, patch, opts...); err != nil || before != nil {
		return err
	}
	w.uids++
	obj.SetUID(types.UID(fmt.Sprintf("uid-%d", w.uids)))
	return c.Update(ctx, obj)
}

// pinned is the UID an apply names; empty when it names none.
func pinned(t *testing.T, obj client.Object, patch client.Patch) types.UID {
	t.Helper()
	data, err := patch.Data(obj)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Metadata struct {
			UID types.UID `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatal(err)
	}
	return body.Metadata.UID
}

func (w *world) update(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
	if err := w.call("update", RefOf(obj)); err != nil {
		return err
	}
	w.owner((&client.UpdateOptions{}).ApplyOptions(opts).FieldManager)
	return c.Update(ctx, obj, opts...)
}

func (w *world) delete(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
	if err := w.call("delete", RefOf(obj)); err != nil {
		return err
	}
	o := (&client.DeleteOptions{}).ApplyOptions(opts)
	if o.Preconditions == nil || o.Preconditions.UID == nil {
		w.t.Errorf("delete of %s %s without a UID precondition", RefOf(obj).Kind, obj.GetName())
		return c.Delete(ctx, obj, opts...)
	}
	before := kinds[RefOf(obj).Kind]()
	if err := w.store.Get(ctx, client.ObjectKeyFromObject(obj), before); err != nil {
		return err
	}
	if before.GetUID() != *o.Preconditions.UID {
		return apierrors.NewConflict(schema.GroupResource{Resource: RefOf(obj).Kind}, obj.GetName(), fmt.Errorf("uid mismatch"))
	}
	return c.Delete(ctx, obj, opts...)
}

func (w *world) owner(name string) {
	if name != v1alpha1.OperatorName {
		w.t.Errorf("a write by field owner %q, want %q", name, v1alpha1.OperatorName)
	}
}

// read returns an object of the store; nil when there is none.
func (w *world) read(ref v1alpha1.ObjectRef) client.Object {
	w.t.Helper()
	obj, _ := empty(ref.Kind)
	err := w.store.Get(w.t.Context(), client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, obj)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return obj
}

// change does to an object of the store what somebody else does.
func (w *world) change(obj client.Object, how func()) {
	w.t.Helper()
	if err := w.store.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatal(err)
	}
	how()
	if err := w.store.Update(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

// asked returns what was asked since the last time, and forgets it.
func (w *world) asked() []string {
	calls := w.calls
	w.calls = nil
	return calls
}

// waves is a plan of lists of objects.
type waves struct {
	list   [][]runtime.ApplyConfiguration
	births []v1alpha1.ObjectRef
}

func (p waves) Waves() [][]runtime.ApplyConfiguration { return p.list }

func (p waves) Births(ref v1alpha1.ObjectRef) bool { return slices.Contains(p.births, ref) }

func wave(list ...runtime.ApplyConfiguration) []runtime.ApplyConfiguration { return list }

func plan(list ...[]runtime.ApplyConfiguration) waves { return waves{list: list} }

var labels = map[string]string{v1alpha1.LabelTenant: "acme", v1alpha1.LabelManagedBy: v1alpha1.OperatorName}

func aNamespace(gate v1alpha1.Gate) *accore.NamespaceApplyConfiguration {
	return accore.Namespace("acme").WithLabels(labels).WithAnnotations(map[string]string{v1alpha1.AnnotationAdmission: string(gate)})
}

func aConfigMap(value string) *accore.ConfigMapApplyConfiguration {
	return accore.ConfigMap("hipaa-config", "acme").WithLabels(labels).WithData(map[string]string{"key": value})
}

func aSecret(value string) *accore.SecretApplyConfiguration {
	return accore.Secret("hipaa-keyset", "acme").WithLabels(labels).WithType(corev1.SecretTypeOpaque).WithData(map[string][]byte{"key": []byte(value)})
}

func aPolicy(name string) *acnet.NetworkPolicyApplyConfiguration {
	return acnet.NetworkPolicy(name, "acme").WithLabels(labels).
		WithSpec(acnet.NetworkPolicySpec().WithPodSelector(acmeta.LabelSelector()).WithPolicyTypes("Ingress", "Egress"))
}

func refTo(kind, name string) v1alpha1.ObjectRef {
	if kind == "Namespace" {
		return v1alpha1.ObjectRef{Kind: kind, Name: name}
	}
	return v1alpha1.ObjectRef{Kind: kind, Namespace: "acme", Name: name}
}

// staleReader shows every object as it was under a former UID.
type staleReader struct{ client.Reader }

// Get reads the object and gives it the UID of one that is gone.
func (r *staleReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, obj, opts...)
	obj.SetUID("former")
	return err
}
