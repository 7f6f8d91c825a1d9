package apply

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// samples are one live object of every kind, as the operator made it.
func samples() map[string]client.Object {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "acme", Name: name, UID: "uid", ResourceVersion: "7",
			Labels: map[string]string{v1alpha1.LabelTenant: "acme"}, Annotations: map[string]string{v1alpha1.AnnotationRegions: "us-east-1"},
		}
	}
	namespace := meta("acme")
	namespace.Namespace = ""
	return map[string]client.Object{
		"Namespace": &corev1.Namespace{ObjectMeta: namespace},
		"NetworkPolicy.networking.k8s.io": &networkingv1.NetworkPolicy{ObjectMeta: meta("hipaa-default-deny"),
			Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}}},
		"ResourceQuota": &corev1.ResourceQuota{ObjectMeta: meta("hipaa-quota"),
			Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("50")}}},
		"LimitRange": &corev1.LimitRange{ObjectMeta: meta("hipaa-limits"),
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer}}}},
		"ConfigMap": &corev1.ConfigMap{ObjectMeta: meta("hipaa-config"), Data: map[string]string{"a": "b"}},
		"Secret":    &corev1.Secret{ObjectMeta: meta("hipaa-keyset"), Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("b")}},
		"RoleBinding.rbac.authorization.k8s.io": &rbacv1.RoleBinding{ObjectMeta: meta("hipaa-developer"),
			Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "acme-devs"}},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "hipaatenant-developer"}},
	}
}

// TestDigestIgnoresWhatBelongsToOthers: none of this may cost a write.
func TestDigestIgnoresWhatBelongsToOthers(t *testing.T) {
	for what, change := range map[string]func(client.Object){
		"resource version": func(o client.Object) { o.SetResourceVersion("8") },
		"uid":              func(o client.Object) { o.SetUID("another") },
		"creation time":    func(o client.Object) { o.SetCreationTimestamp(metav1.NewTime(time.Unix(1, 0))) },
		"generation":       func(o client.Object) { o.SetGeneration(3) },
		"managed fields":   func(o client.Object) { o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl"}}) },
		"finalizers":       func(o client.Object) { o.SetFinalizers([]string{"example.com/x"}) },
		"owners":           func(o client.Object) { o.SetOwnerReferences([]metav1.OwnerReference{{Name: "x"}}) },
		"foreign label":    func(o client.Object) { o.GetLabels()["team"] = "x" },
		"well-known label": func(o client.Object) { o.GetLabels()["app.kubernetes.io/name"] = "x" },
		"group alike":      func(o client.Object) { o.GetLabels()[v1alpha1.Group+".example/tenant"] = "x" },
		"foreign annotation": func(o client.Object) {
			o.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
		},
		"status": func(o client.Object) {
			switch o := o.(type) {
			case *corev1.Namespace:
				o.Status.Phase, o.Spec.Finalizers = corev1.NamespaceActive, []corev1.FinalizerName{corev1.FinalizerKubernetes}
			case *corev1.ResourceQuota:
				o.Status.Used = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
			}
		},
	} {
		for kind, obj := range samples() {
			want := Digest(obj)
			change(obj)
			if got := Digest(obj); got != want {
				t.Errorf("%s: a change of %s changes the digest", kind, what)
			}
		}
	}
}

// TestDigestNoticesWhatIsOurs: each of these must be repaired.
func TestDigestNoticesWhatIsOurs(t *testing.T) {
	metadata := map[string]func(client.Object){
		"tenant label changed":     func(o client.Object) { o.GetLabels()[v1alpha1.LabelTenant] = "birch" },
		"tenant label removed":     func(o client.Object) { o.SetLabels(nil) },
		"managed-by label added":   func(o client.Object) { o.GetLabels()[v1alpha1.LabelManagedBy] = "x" },
		"label of ours invented":   func(o client.Object) { o.GetLabels()[v1alpha1.Group+"/invented"] = "" },
		"pod security label added": func(o client.Object) { o.GetLabels()["pod-security.kubernetes.io/enforce-version"] = "v1.20" },
		"fact changed":             func(o client.Object) { o.GetAnnotations()[v1alpha1.AnnotationRegions] = "eu-west-1" },
		"fact removed":             func(o client.Object) { o.SetAnnotations(nil) },
		"fact invented":            func(o client.Object) { o.GetAnnotations()[v1alpha1.Group+"/invented"] = "x" },
	}
	for kind := range samples() {
		for what, change := range metadata {
			checkNoticed(t, kind, what, change)
		}
	}
	for kind, changes := range map[string]map[string]func(client.Object){
		"NetworkPolicy.networking.k8s.io": {
			"ingress rule added": func(o client.Object) {
				o.(*networkingv1.NetworkPolicy).Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
			},
			"egress rule added": func(o client.Object) {
				o.(*networkingv1.NetworkPolicy).Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
			},
			"policy type removed": func(o client.Object) {
				spec := &o.(*networkingv1.NetworkPolicy).Spec
				spec.PolicyTypes = spec.PolicyTypes[:1]
			},
			"pod selector narrowed": func(o client.Object) {
				o.(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels = map[string]string{"a": "b"}
			},
		},
		"ResourceQuota": {
			"raised": func(o client.Object) {
				o.(*corev1.ResourceQuota).Spec.Hard[corev1.ResourcePods] = resource.MustParse("51")
			},
			"entry added": func(o client.Object) {
				o.(*corev1.ResourceQuota).Spec.Hard[corev1.ResourceCPU] = resource.MustParse("1")
			},
			"scope added": func(o client.Object) {
				o.(*corev1.ResourceQuota).Spec.Scopes = []corev1.ResourceQuotaScope{"BestEffort"}
			},
			"all of it":    func(o client.Object) { o.(*corev1.ResourceQuota).Spec = corev1.ResourceQuotaSpec{} },
			"entry gone":   func(o client.Object) { delete(o.(*corev1.ResourceQuota).Spec.Hard, corev1.ResourcePods) },
			"entry zeroed": func(o client.Object) { o.(*corev1.ResourceQuota).Spec.Hard[corev1.ResourcePods] = resource.Quantity{} },
		},
		"LimitRange": {
			"limit added": func(o client.Object) {
				o.(*corev1.LimitRange).Spec.Limits[0].Max = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
			},
			"item added": func(o client.Object) {
				spec := &o.(*corev1.LimitRange).Spec
				spec.Limits = append(spec.Limits, corev1.LimitRangeItem{Type: corev1.LimitTypePod})
			},
		},
		"ConfigMap": {
			"key changed":       func(o client.Object) { o.(*corev1.ConfigMap).Data["a"] = "c" },
			"key added":         func(o client.Object) { o.(*corev1.ConfigMap).Data["c"] = "" },
			"binary key added":  func(o client.Object) { o.(*corev1.ConfigMap).BinaryData = map[string][]byte{"c": nil} },
			"frozen":            func(o client.Object) { o.(*corev1.ConfigMap).Immutable = new(true) },
			"key moved, binary": func(o client.Object) { o.(*corev1.ConfigMap).Data = nil },
		},
		"Secret": {
			"key changed": func(o client.Object) { o.(*corev1.Secret).Data["a"] = []byte("c") },
			"key added":   func(o client.Object) { o.(*corev1.Secret).Data["c"] = nil },
			"type":        func(o client.Object) { o.(*corev1.Secret).Type = "x" },
			"frozen":      func(o client.Object) { o.(*corev1.Secret).Immutable = new(true) },
		},
		"RoleBinding.rbac.authorization.k8s.io": {
			"subject added": func(o client.Object) {
				o.(*rbacv1.RoleBinding).Subjects = append(o.(*rbacv1.RoleBinding).Subjects, rbacv1.Subject{Kind: "User", Name: "mallory"})
			},
			"subject exchanged": func(o client.Object) { o.(*rbacv1.RoleBinding).Subjects[0].Name = "mallory" },
			"role exchanged":    func(o client.Object) { o.(*rbacv1.RoleBinding).RoleRef.Name = "cluster-admin" },
		},
	} {
		for what, change := range changes {
			checkNoticed(t, kind, what, change)
		}
	}
}

func checkNoticed(t *testing.T, kind, what string, change func(client.Object)) {
	t.Helper()
	obj := samples()[kind]
	want := Digest(obj)
	change(obj)
	if got := Digest(obj); got == want {
		t.Errorf("%s: %s, and the digest is the same", kind, what)
	}
}

// TestDigestIsOfContentAlone: the name is no part of it, the caller knows which object it looks at.
func TestDigestIsOfContentAlone(t *testing.T) {
	a, b := samples()["ConfigMap"], samples()["ConfigMap"]
	b.SetName("another")
	if Digest(a) != Digest(b) {
		t.Error("two objects with the same content have different digests")
	}
}

func TestStrip(t *testing.T) {
	for kind, obj := range samples() {
		t.Run(kind, func(t *testing.T) {
			obj.GetLabels()["team"] = "x"
			obj.GetAnnotations()["note"] = "x"
			obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate}})
			digest := Digest(obj)
			once, err := Strip(obj)
			if err != nil {
				t.Fatal(err)
			}
			if got, stripped := strippedDigest(once.(client.Object)); !stripped || got != digest {
				t.Errorf("the stripped object says digest %q (%t), want %q", got, stripped, digest)
			}
			first := encode(t, once)
			twice, err := Strip(once)
			if second := encode(t, twice); err != nil || second != first {
				t.Errorf("stripping again changes the object (%v):\n%s", err, cmp.Diff(first, second))
			}
			o := once.(client.Object)
			wantLabels, wantAnnotations := map[string]string{v1alpha1.LabelTenant: "acme"}, map[string]string{v1alpha1.AnnotationRegions: "us-east-1"}
			if diff := cmp.Diff(wantLabels, o.GetLabels()) + cmp.Diff(wantAnnotations, o.GetAnnotations()); diff != "" {
				t.Errorf("metadata of others is kept (-want +got):\n%s", diff)
			}
			if o.GetUID() != "uid" || o.GetResourceVersion() != "7" || o.GetName() != samples()[kind].GetName() {
				t.Errorf("identity is lost: %s", encode(t, o))
			}
			checkBodyGone(t, kind, o)
		})
	}
}

// checkBodyGone: memory stays flat only if bodies are not kept. The keyset is the exception: it is read from the cache.
func checkBodyGone(t *testing.T, kind string, o client.Object) {
	t.Helper()
	bare := kinds[kind]()
	bare.SetNamespace(o.GetNamespace())
	bare.SetName(o.GetName())
	bare.SetUID(o.GetUID())
	bare.SetResourceVersion(o.GetResourceVersion())
	bare.SetLabels(o.GetLabels())
	bare.SetAnnotations(o.GetAnnotations())
	bare.SetManagedFields(o.GetManagedFields())
	if secret, ok := bare.(*corev1.Secret); ok {
		secret.Type, secret.Data = corev1.SecretTypeOpaque, map[string][]byte{"a": []byte("b")}
	}
	if diff := cmp.Diff(encode(t, bare), encode(t, o)); diff != "" {
		t.Errorf("the body is kept (-bare +got):\n%s", diff)
	}
}

// TestNobodyPosesAsStripped: what others can write on a live object is taken for its content, never for a digest.
func TestNobodyPosesAsStripped(t *testing.T) {
	want := Digest(samples()["ConfigMap"])
	for what, forge := range map[string]func(client.Object){
		"annotation": func(o client.Object) { o.GetAnnotations()["digest"] = want },
		"label":      func(o client.Object) { o.GetLabels()["digest"] = want },
		"fact":       func(o client.Object) { o.GetAnnotations()[v1alpha1.Group+"/digest"] = want },
		"manager": func(o client.Object) {
			o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: want, Subresource: digestMark, Operation: metav1.ManagedFieldsOperationUpdate}})
		},
		"applier": func(o client.Object) {
			o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: want, Subresource: digestMark, Operation: metav1.ManagedFieldsOperationApply}})
		},
		"manager without the mark": func(o client.Object) { o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: want}}) },
		"two managers": func(o client.Object) {
			o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: want, Subresource: digestMark}, {Manager: "x"}})
		},
	} {
		obj := samples()["ConfigMap"]
		obj.(*corev1.ConfigMap).Data["a"] = "forged"
		forge(obj)
		if _, stripped := strippedDigest(obj); stripped {
			t.Errorf("%s: the object is taken for a stripped one", what)
		}
		out, err := Strip(obj)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := strippedDigest(out.(client.Object)); got == want || got == "" {
			t.Errorf("%s: the forged object has digest %q", what, got)
		}
	}
}

func TestStripLeavesWhatIsNoObject(t *testing.T) {
	in := cache.DeletedFinalStateUnknown{Key: "acme/hipaa-config"}
	out, err := Strip(in)
	if err != nil || out != any(in) {
		t.Errorf("Strip(%v) = %v, %v; want it untouched", in, out, err)
	}
}

func TestOwnedMeta(t *testing.T) {
	obj := samples()["Namespace"]
	obj.GetLabels()["team"], obj.GetAnnotations()["note"] = "x", "x"
	labels, annotations := OwnedMeta(obj)
	if diff := cmp.Diff(map[string]string{v1alpha1.LabelTenant: "acme"}, labels) +
		cmp.Diff(map[string]string{v1alpha1.AnnotationRegions: "us-east-1"}, annotations); diff != "" {
		t.Errorf("OwnedMeta (-want +got):\n%s", diff)
	}
	labels, annotations = OwnedMeta(&corev1.Namespace{})
	if labels != nil || annotations != nil {
		t.Errorf("OwnedMeta of an empty object = %v, %v; want nil", labels, annotations)
	}
}

// TestDesiredDigestIsTheLiveOne: what compile asks for, once it went through the API server, needs no second write.
func TestDesiredDigestIsTheLiveOne(t *testing.T) {
	seen := map[string]bool{}
	for _, quota := range []v1alpha1.Quota{quotaOf("4", "16Gi", "100Gi"), quotaOf("4000m", "16384Mi", "1e12"), quotaOf("0.5", "0", "1.5Ti")} {
		for _, wave := range everything(quota).Waves() {
			for _, config := range wave {
				want, err := newDesired(config)
				if err != nil {
					t.Fatal(err)
				}
				seen[want.ref.Kind] = true
				live := kinds[want.ref.Kind]()
				if err := json.Unmarshal([]byte(encode(t, served(want.object))), live); err != nil {
					t.Fatal(err)
				}
				if got := Digest(live); got != want.digest {
					t.Errorf("%v: the live object has another digest than the one that was asked for", want.ref)
				}
				if _, err := Strip(live); err != nil {
					t.Fatal(err)
				}
				if got, _ := strippedDigest(live); got != want.digest {
					t.Errorf("%v: the cached object has another digest than the one that was asked for", want.ref)
				}
			}
		}
	}
	if len(seen) != len(kinds) {
		t.Errorf("only the kinds %v were compared, want all %d", seen, len(kinds))
	}
}

func quotaOf(cpu, memory, storage string) v1alpha1.Quota {
	return v1alpha1.Quota{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory), Pods: 50, Storage: resource.MustParse(storage)}
}

// everything is a plan with every kind and every network policy in it.
func everything(quota v1alpha1.Quota) *compile.Plan {
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
		h.Spec.Quota = &quota
		h.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
		h.Spec.Exposure = &v1alpha1.Exposure{PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"tier": "edge"}}}
		h.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Developer", Subjects: []v1alpha1.Subject{
			{Kind: "Group", Name: "devs"}, {Kind: "User", Name: "dana"}, {Kind: "ServiceAccount", Name: "ci", Namespace: "acme"},
		}}}
	})
	return compile.Compile(tenant, compile.Facts{
		Profile:    fixture.Profile("default"),
		Associates: map[string]*v1alpha1.BusinessAssociate{"clearing": fixture.Associate("clearing")},
		Keysets:    map[string]compile.Keyset{"acme": {Document: []byte("{}"), ResourceVersion: "7"}}, AdmissionEnforced: true,
		Now: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
	})
}

// served adds what the API server and others add to an object that was just made.
func served(obj client.Object) client.Object {
	obj.SetUID("uid")
	obj.SetResourceVersion("12345")
	obj.SetGeneration(1)
	obj.SetCreationTimestamp(metav1.NewTime(time.Unix(1, 0)))
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply}})
	if ns, ok := obj.(*corev1.Namespace); ok {
		ns.Labels[corev1.LabelMetadataName] = "acme"
		ns.Spec.Finalizers, ns.Status.Phase = []corev1.FinalizerName{corev1.FinalizerKubernetes}, corev1.NamespaceActive
	}
	return obj
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
