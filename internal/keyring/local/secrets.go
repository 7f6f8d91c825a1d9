package local

import (
	"context"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// dataKey is the key inside the Secret.
const dataKey = "kek"

// Secrets is a Store in one namespace of a cluster. It needs the verbs get, create and delete on Secrets there.
type Secrets struct {
	client    kubernetes.Interface
	namespace string
}

// NewSecrets returns a store in the given namespace, the operator's own.
func NewSecrets(client kubernetes.Interface, namespace string) *Secrets {
	return &Secrets{client: client, namespace: namespace}
}

// Get reads the Secret from the API server, past every cache: a stale view would make a second key.
func (s *Secrets) Get(ctx context.Context, name string) ([]byte, bool, error) {
	secret, err := s.client.CoreV1().Secrets(s.namespace).Get(unlogged(ctx), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.explain("read", name, err)
	}
	return secret.Data[dataKey], true, nil
}

// Create stores the key in an immutable Secret.
func (s *Secrets) Create(ctx context.Context, name string, key []byte) error {
	immutable := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: s.namespace,
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName},
		},
		Type:      corev1.SecretTypeOpaque,
		Immutable: &immutable,
		Data:      map[string][]byte{dataKey: key},
	}
	_, err := s.client.CoreV1().Secrets(s.namespace).Create(unlogged(ctx), secret, metav1.CreateOptions{FieldManager: v1alpha1.OperatorName})
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return s.explain("create", name, err)
}

// Delete removes the Secret.
func (s *Secrets) Delete(ctx context.Context, name string) error {
	err := s.client.CoreV1().Secrets(s.namespace).Delete(unlogged(ctx), name, metav1.DeleteOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return s.explain("delete", name, err)
}

// explain turns an API error into one of the keyring's kinds: what only another permission, quota or namespace can
// change is Refused, the rest is Unreachable.
func (s *Secrets) explain(verb, name string, err error) error {
	kind := keyring.Unreachable
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
		kind = keyring.Refused
	}
	out := keyring.Errorf(kind, "cannot %s Secret %s/%s: %s", verb, s.namespace, name, keyring.Quote(err.Error()))
	out.Err = err
	return out
}

// unlogged takes the logger out of a context. From verbosity 8 on, the client logs the bodies of requests and answers, and
// here they hold the key.
func unlogged(ctx context.Context) context.Context { return logr.NewContext(ctx, logr.Discard()) }
