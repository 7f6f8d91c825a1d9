package local

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

func TestSecretsKeepWhatIsThere(t *testing.T) {
	client := fake.NewClientset()
	s := NewSecrets(client, "hipaa-system")
	key := bytes.Repeat([]byte{3}, keySize)

	if _, found, err := s.Get(t.Context(), "hipaa-local-kek-acme"); found || err != nil {
		t.Fatalf("Get before Create: found %t, error %v; expected neither", found, err)
	}
	if err := s.Create(t.Context(), "hipaa-local-kek-acme", key); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "hipaa-local-kek-acme", bytes.Repeat([]byte{4}, keySize)); err != nil {
		t.Fatalf("Create over an existing Secret: %v; expected nil and nothing replaced", err)
	}
	got, found, err := s.Get(t.Context(), "hipaa-local-kek-acme")
	if !found || err != nil || !bytes.Equal(got, key) {
		t.Errorf("Get: found %t, error %v; expected the first key", found, err)
	}

	secret, err := client.CoreV1().Secrets("hipaa-system").Get(t.Context(), "hipaa-local-kek-acme", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret.TypeMeta, secret.ManagedFields = metav1.TypeMeta{}, nil
	immutable := true
	want := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "hipaa-local-kek-acme", Namespace: "hipaa-system",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "hipaa-tenant-operator"},
		},
		Type: corev1.SecretTypeOpaque, Immutable: &immutable, Data: map[string][]byte{"kek": key},
	}
	if diff := cmp.Diff(want, secret); diff != "" {
		t.Errorf("the Secret differs (-want +got):\n%s", diff)
	}
}

func TestSecretsExplainErrors(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	for _, tc := range []struct {
		name string
		err  error
		want keyring.Kind
	}{
		{"forbidden", apierrors.NewForbidden(resource, "x", errors.New("no")), keyring.Refused},
		{"unauthorized", apierrors.NewUnauthorized("who are you"), keyring.Refused},
		{"quota", apierrors.NewForbidden(resource, "x", errors.New("exceeded quota")), keyring.Refused},
		{"server error", apierrors.NewInternalError(errors.New("etcd")), keyring.Unreachable},
		{"throttled", apierrors.NewTooManyRequests("later", 1), keyring.Unreachable},
		{"no connection", errors.New("dial tcp: connection refused\n" + strings.Repeat("x", 5000)), keyring.Unreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor("*", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
			s := NewSecrets(client, "hipaa-system")
			_, _, err := s.Get(t.Context(), "hipaa-local-kek-acme")
			keyringtest.Expect(t, err, tc.want)
			key := bytes.Repeat([]byte{3}, keySize)
			err = s.Create(t.Context(), "hipaa-local-kek-acme", key)
			keyringtest.Expect(t, err, tc.want, key)
			if !errors.Is(err, tc.err) {
				t.Error("the cause is lost; expected errors.Is to find it")
			}
		})
	}
}
