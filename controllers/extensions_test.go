package controllers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// offer is an API server of optional kinds, and who follows it.
type offer struct {
	api   *dynamicfake.FakeDynamicClient
	state *ClusterState
	*Extensions
	queue queue
}

func newOffer(t *testing.T, objects ...runtime.Object) *offer {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{definitions: "CustomResourceDefinitionList"}
	for _, k := range extension.Kinds() {
		kinds[resourceOf(k)] = k.Name + "List"
	}
	o := &offer{api: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...), state: NewClusterState()}
	// The fake does not select by field.
	o.api.PrependReactor("list", definitions.Resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		name, _ := action.(clienttesting.ListAction).GetListRestrictions().Fields.RequiresExactMatch("metadata.name")
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(definitions.GroupVersion().WithKind("CustomResourceDefinitionList"))
		if obj, err := o.api.Tracker().Get(definitions, "", name); err == nil {
			list.Items = append(list.Items, *obj.(*unstructured.Unstructured))
		}
		return true, list, nil
	})
	var err error
	if o.Extensions, err = NewExtensions(o.api, o.state); err != nil {
		t.Fatal(err)
	}
	return o
}

func resourceOf(k extension.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}

func (o *offer) start(t *testing.T) {
	t.Helper()
	r, _ := reconciler(newStore(t, namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen)))
	r.Extensions = o.Extensions
	o.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(o.queue.ShutDown)
	source := extensionSource{r}
	if err := source.Start(t.Context(), o.queue); err != nil {
		t.Fatal(err)
	}
	if o.state.Extensions() != nil {
		t.Error("the APIs are told before they were looked at")
	}
	if err := source.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func definition(t *testing.T, k extension.Kind) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	text := fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":%q},"spec":{"versions":[{"name":%q,"served":true}]},
		"status":{"conditions":[{"type":"Established","status":"True"}]}}`, k.CRD(), k.Version)
	if err := json.Unmarshal([]byte(text), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func guardOf(action string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"authorization": map[string]any{"defaultAction": action}}}}
	u.SetAPIVersion(extension.SecurityPolicy.APIVersion())
	u.SetKind(extension.SecurityPolicy.Name)
	u.SetNamespace("acme")
	u.SetName(v1alpha1.ExtensionAllowlist)
	u.SetUID("u-guard")
	u.SetLabels(map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelTenant: "acme", "team": "x"})
	return u
}

// await polls for what another goroutine does.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within 10 seconds", what)
		case <-tick.C:
		}
	}
}

func (o *offer) stateOf(k extension.Kind) extension.State {
	return o.state.Extensions()[k.String()].State
}

// TestWhereNothingIsServed every kind is absent, and its objects are never asked for.
func TestWhereNothingIsServed(t *testing.T) {
	o := newOffer(t)
	o.start(t)
	for _, k := range extension.Kinds() {
		if o.stateOf(k) != extension.Absent {
			t.Errorf("%s is %s", k, o.stateOf(k))
		}
	}
	for _, action := range o.api.Actions() {
		if action.GetResource() != definitions {
			t.Errorf("%s %s was asked for", action.GetVerb(), action.GetResource())
		}
	}
}

// TestAnAPIThatComesAndGoes is followed: told once what stands is known, and no more when it goes.
func TestAnAPIThatComesAndGoes(t *testing.T) {
	k := extension.SecurityPolicy
	o := newOffer(t, guardOf("Deny"))
	o.start(t)
	if err := o.api.Tracker().Create(definitions, definition(t, k), ""); err != nil {
		t.Fatal(err)
	}
	await(t, "the API is served", func() bool { return o.stateOf(k) == extension.Served })
	if o.standing(k, "acme/"+v1alpha1.ExtensionAllowlist) == nil {
		t.Error("it is told before it is known what stands")
	}
	if err := o.api.Tracker().Delete(definitions, "", k.CRD()); err != nil {
		t.Fatal(err)
	}
	await(t, "the API is gone", func() bool { return o.stateOf(k) == extension.Absent })
	if o.standing(k, "acme/"+v1alpha1.ExtensionAllowlist) != nil {
		t.Error("of a kind that is gone something stands")
	}
}

// TestAnAPIThatCannotBeListed holds tenants up for a while, not for ever, and is said to be unusable.
func TestAnAPIThatCannotBeListed(t *testing.T) {
	k := extension.SecurityPolicy
	o := newOffer(t, definition(t, k))
	o.api.PrependReactor("list", k.Resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("forbidden") })
	o.start(t)
	if api := o.state.Extensions()[k.String()]; api.State != extension.Unusable || !strings.Contains(api.Why, "ClusterRole") {
		t.Errorf("it is %+v", api)
	}
}

// TestDriftOfOptionalObjectsWakesTheirTenant; what projects write into their status does not.
func TestDriftOfOptionalObjectsWakesTheirTenant(t *testing.T) {
	k := extension.SecurityPolicy
	o := newOffer(t, definition(t, k), guardOf("Deny"))
	o.start(t)
	guards := o.api.Resource(resourceOf(k)).Namespace("acme")
	woken := func() bool {
		if o.queue.Len() == 0 {
			return false
		}
		request, _ := o.queue.Get()
		o.queue.Done(request)
		return request == requestFor("acme")
	}
	if o.queue.Len() != 0 {
		t.Error("what is listed at first wakes somebody")
	}
	quiet := guardOf("Deny")
	quiet.Object["status"] = map[string]any{"x": "y"}
	quiet.SetResourceVersion("5")
	if _, err := guards.Update(t.Context(), quiet, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the status is seen", func() bool {
		m := o.standing(k, "acme/"+v1alpha1.ExtensionAllowlist)
		return m != nil && m.ResourceVersion == "5"
	})
	if o.queue.Len() != 0 {
		t.Error("a status wakes somebody")
	}
	if _, err := guards.Update(t.Context(), guardOf("Allow"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "a change wakes the tenant", woken)
	if err := guards.Delete(t.Context(), v1alpha1.ExtensionAllowlist, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "a deletion wakes the tenant", woken)
	if _, err := guards.Create(t.Context(), guardOf("Deny"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "a new one wakes the tenant", woken)
}

// TestReaderOfOptionalKinds answers from what is followed, stripped as the applier expects, and leaves other kinds alone.
func TestReaderOfOptionalKinds(t *testing.T) {
	k := extension.SecurityPolicy
	o := newOffer(t, definition(t, k), guardOf("Deny"))
	o.start(t)
	c := o.Reader(newStore(t, tenant()))
	got := &unstructured.Unstructured{}
	got.SetGroupVersionKind(schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Name})
	key := client.ObjectKey{Namespace: "acme", Name: v1alpha1.ExtensionAllowlist}
	if err := c.Get(t.Context(), key, got); err != nil {
		t.Fatal(err)
	}
	want := guardOf("Deny")
	if _, err := apply.Strip(want); err != nil {
		t.Fatal(err)
	}
	if !apply.SameStripped(got, want) || got.GetUID() != "u-guard" || got.GetLabels()["team"] != "" || got.Object["spec"] != nil {
		t.Errorf("read is %v, want %v", got.Object, want.Object)
	}
	key.Name = "other"
	if err := c.Get(t.Context(), key, got); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("what does not stand is %v", err)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "acme"}, &v1alpha1.HIPAATenant{}); err != nil {
		t.Errorf("another kind: %v", err)
	}
}

// TestARefusedExtensionIsToldAndTriedAgain, and holds nothing else up: the tenant's other objects stand, and its gate opens.
func TestARefusedExtensionIsToldAndTriedAgain(t *testing.T) {
	t.Cleanup(func() { forgetKeys("acme") })
	s := newStore(t, defaultProfile(), tenant())
	r, _ := keyed(s)
	r.State.setExtensions(map[string]extension.API{extension.SecurityPolicy.String(): {State: extension.Served}})
	line := "patch Unstructured acme/" + v1alpha1.ExtensionAllowlist
	s.fail[line] = errors.New("the webhook says no")
	if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter == 0 {
		t.Errorf("%v, %v; want another look and no error", result, err)
	}
	got := run(t, r, s)
	if !slices.Contains(s.asked(), line) {
		t.Fatal("it was never tried")
	}
	if reasonOf(got, v1alpha1.ConditionReady) != "False/"+v1alpha1.ReasonExtensionRefused || got.Status.Namespaces[0].Gate != v1alpha1.GateOpen {
		t.Errorf("Ready is %s, namespaces %v", reasonOf(got, v1alpha1.ConditionReady), got.Status.Namespaces)
	}
	if c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionNetworkIsolated); !strings.Contains(c.Message, "the webhook says no") {
		t.Errorf("NetworkIsolated says %q", c.Message)
	}
	if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter != retryRefused {
		t.Errorf("looks again after %s, %v; want %s", result.RequeueAfter, err, retryRefused)
	}
	delete(s.fail, line)
	if got = run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("once it is taken, Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
}
