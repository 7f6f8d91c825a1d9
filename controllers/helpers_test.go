package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func noonClock() *clocktesting.FakePassiveClock { return clocktesting.NewFakePassiveClock(noon) }

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// store is an API server without rules: it keeps objects and writes down which it was asked to change.
type store struct {
	client.WithWatch
	writes []string
	fail   map[string]error // by line of writes
	marked func()           // is called before a shred's mark is written
	dieAt  int              // the write the process dies before, counted from 1
}

func newStore(t *testing.T, objects ...client.Object) *store {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &store{fail: map[string]error{}}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithTypeConverters(managedfields.NewDeducedTypeConverter()).
		WithStatusSubresource(&v1alpha1.HIPAATenant{}, &v1alpha1.BusinessAssociate{}, &v1alpha1.EmergencyAccess{}).WithObjects(objects...).
		WithIndex(&corev1.Secret{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} })
	for name, values := range tenantIndexes() {
		builder = builder.WithIndex(&v1alpha1.HIPAATenant{}, name, values)
	}
	bare := builder.Build()
	s.WithWatch = interceptor.NewClient(bare, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if err := s.note("create", obj); err != nil {
				return err
			}
			return c.Create(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if err := s.note("update", obj); err != nil {
				return err
			}
			return c.Update(ctx, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := s.note("patch", obj); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			if err := s.note("delete", obj); err != nil {
				return err
			}
			return c.Delete(ctx, obj, opts...)
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, sub string, obj, body client.Object, opts ...client.SubResourceCreateOption) error {
			if err := s.note("create "+sub, obj); err != nil {
				return err
			}
			if e, ok := body.(*policyv1.Eviction); ok && !names(e.DeleteOptions, obj.GetUID()) {
				return apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, obj.GetName(), errors.New("another UID"))
			}
			return c.SubResource(sub).Create(ctx, obj, body, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
			if err := s.note("update "+sub, obj); err != nil {
				return err
			}
			return c.SubResource(sub).Update(ctx, obj, opts...)
		},
	})
	return s
}

// names says that a deletion is meant for one object and no other of its name.
func names(o *metav1.DeleteOptions, uid types.UID) bool {
	return o != nil && o.Preconditions != nil && o.Preconditions.UID != nil && *o.Preconditions.UID == uid
}

func (s *store) note(verb string, obj client.Object) error {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", obj), "*")
	line := verb + " " + kind[strings.Index(kind, ".")+1:] + " " + strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/")
	s.writes = append(s.writes, line)
	if s.dieAt == len(s.writes) {
		panic("killed")
	}
	if h, ok := obj.(*v1alpha1.HIPAATenant); ok && s.marked != nil && h.Status.Shred != nil &&
		slices.ContainsFunc(h.Status.Shred.Keys, func(k v1alpha1.ShreddedKey) bool { return k.Outcome == v1alpha1.ShredDestroying }) {
		s.marked()
	}
	return s.fail[line]
}

// asked returns the writes since the last time, and forgets them.
func (s *store) asked() []string {
	writes := s.writes
	s.writes = nil
	return writes
}

// cached is the store as the operator's cache shows it: only what carries its labels or names, without bodies.
func (s *store) cached() client.WithWatch {
	return interceptor.NewClient(s.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if err := c.Get(ctx, key, obj, opts...); err != nil {
				return err
			}
			if _, ours := obj.(*v1alpha1.HIPAATenant); ours || apply.RefOf(obj).Kind == "" {
				return nil
			}
			if obj.GetLabels()[v1alpha1.LabelTenant] == "" {
				return notFound(obj)
			}
			_, err := apply.Strip(obj)
			return err
		},
	})
}

// reconciler of tenants over a store; the state of the cluster is known and sound.
func reconciler(s *store) (*TenantReconciler, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(100)
	state := NewClusterState()
	state.setAdmission([]string{})
	state.setNodes(&compile.Survey{Ready: map[string]int{fixture.Region: 1}})
	state.setStorageClasses(map[string]compile.StorageClass{})
	state.setExtensions(map[string]extension.API{})
	c := s.cached()
	return &TenantReconciler{
		Client: c, Live: s, Applier: apply.New(c, s, v1alpha1.OperatorName), State: state, Recorder: recorder, Placement: placementOver(c, state),
		Clock: clocktesting.NewFakePassiveClock(noon), ClusterUID: "cluster", OperatorNamespace: v1alpha1.OperatorNamespace,
	}, recorder
}

// placementOver watches nothing: pods and volumes are put into it by hand.
func placementOver(c client.Reader, state *ClusterState) *Placement {
	p, err := NewPlacement(kubefake.NewClientset(), c, state)
	if err != nil {
		panic(err)
	}
	return p
}

// told are the events recorded so far.
func told(r *events.FakeRecorder) []string {
	var out []string
	for {
		select {
		case e := <-r.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

// tenant acme as the API server holds it.
func tenant(change ...func(*v1alpha1.HIPAATenant)) *v1alpha1.HIPAATenant {
	t := fixture.Tenant("acme", change...)
	t.UID, t.Generation = "u-acme", 3
	return t
}

// namespaceOf a tenant, with its marks.
func namespaceOf(name, owner, uid string, gate v1alpha1.Gate) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("ns-" + name),
		Labels:      map[string]string{v1alpha1.LabelTenant: owner, v1alpha1.LabelManagedBy: v1alpha1.OperatorName, "team": "x"},
		Annotations: map[string]string{v1alpha1.AnnotationTenantUID: uid, v1alpha1.AnnotationAdmission: string(gate), "note": "x"},
	}}
}

// fetch reads an object of the store.
func fetch[T client.Object](t *testing.T, s *store, namespace, name string, into T) T {
	t.Helper()
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		t.Fatal(err)
	}
	return into
}

// overwriting is a reader that decodes into what it is given, as JSON does: keys that are gone stay.
type overwriting struct{ client.Reader }

// Get merges the live object into obj.
func (r overwriting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	fresh := obj.DeepCopyObject().(client.Object)
	if err := r.Reader.Get(ctx, key, fresh, opts...); err != nil {
		return err
	}
	text, err := json.Marshal(fresh)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, obj)
}

// failingReader answers everything with an error.
type failingReader struct{ err error }

// Get fails.
func (r failingReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return r.err
}

// List fails.
func (r failingReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return r.err
}

func notFound(obj client.Object) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: fmt.Sprintf("%T", obj)}, obj.GetName())
}

func defaultProfile() *v1alpha1.HIPAAProfile { return fixture.Profile("default") }

// configOf a revision, to be applied.
func configOf(revision int) *accore.ConfigMapApplyConfiguration {
	return accore.ConfigMap(v1alpha1.ConfigMapConfig, "acme").
		WithLabels(map[string]string{v1alpha1.LabelTenant: "acme", v1alpha1.LabelManagedBy: v1alpha1.OperatorName}).
		WithData(map[string]string{"revision": strconv.Itoa(revision)})
}
