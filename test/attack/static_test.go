package attack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

// What would give an attacker a hold on a policy is in none of them.
func TestPoliciesGiveNoHold(t *testing.T) {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil || len(shipped) == 0 {
		t.Fatalf("%d policies: %v", len(shipped), err)
	}
	for _, o := range shipped {
		text := string(encode(o))
		for _, hold := range []string{".matches(", `"paramKind"`, `"paramRef"`, `"failurePolicy":"Ignore"`, `"matchPolicy":"Exact"`} {
			if strings.Contains(text, hold) {
				t.Errorf("%s contains %s", o.GetName(), hold)
			}
		}
		if p, ok := o.(*admissionv1.ValidatingAdmissionPolicy); ok && (p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy != admissionv1.Fail) {
			t.Errorf("%s does not fail closed", o.GetName())
		}
	}
}

// Key bytes are in Secrets and nowhere else, wrapped or not.
func TestKeysStayInSecrets(t *testing.T) {
	w := theWorld(t)
	var needles [][]byte
	secrets := &corev1.SecretList{}
	if err := w.admin.List(t.Context(), secrets); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		if s.Name != v1alpha1.SecretKeyset && s.Namespace != v1alpha1.OperatorNamespace {
			continue
		}
		if _, last := s.Annotations[corev1.LastAppliedConfigAnnotation]; last {
			t.Errorf("Secret %s/%s has its content in an annotation", s.Namespace, s.Name)
		}
		for _, value := range s.Data {
			needles = append(needles, keyBytes(value)...)
		}
	}
	if len(needles) < 4 {
		t.Fatalf("want keys of three tenants to look for, got %d", len(needles))
	}
	for where, text := range w.everythingElse(t) {
		for _, key := range needles {
			if bytes.Contains(text, key) {
				t.Errorf("a key stands in %s", where)
			}
		}
	}
}

// keyBytes are the strings of a document that may hold a key: long ones, and raw content as it is printed.
func keyBytes(value []byte) [][]byte {
	var document any
	if json.Unmarshal(value, &document) != nil {
		return [][]byte{value, []byte(base64.StdEncoding.EncodeToString(value))}
	}
	var out [][]byte
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case string:
			if raw, err := base64.StdEncoding.DecodeString(v); err == nil && len(raw) >= 32 {
				out = append(out, []byte(v))
			}
		}
	}
	walk(document)
	return out
}

// everythingElse is what the operator writes besides Secrets, as text.
func (w *world) everythingElse(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, list := range []client.ObjectList{
		&corev1.EventList{}, &corev1.ConfigMapList{}, &corev1.NamespaceList{}, &networkingv1.NetworkPolicyList{}, &rbacv1.RoleBindingList{},
		&v1alpha1.HIPAATenantList{}, &v1alpha1.HIPAAProfileList{},
	} {
		if err := w.admin.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("%T", list)] = encode(list)
	}
	log, err := os.ReadFile(w.operator.Log)
	if err != nil {
		t.Fatal(err)
	}
	out["the operator's log"] = log
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.operator.Metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if out["the operator's metrics"], err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return out
}
