package transit_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/transit"
)

// Namespace, service account and audience are those of config/samples/keyset-consumer.
const (
	page      = "config/samples/keyset-consumer/README.md"
	namespace = "acme-health-app"
	account   = "keyset-consumer"
	audience  = "vault"
	appRole   = "acme-health-app"
	tenantKey = "vault://transit/acme-health"
)

// bed is Vault beside a real API server that reviews the tokens of its service accounts.
type bed struct {
	*transit.Vault
	t       *testing.T
	cluster *cluster.Cluster
	client  *kubernetes.Clientset
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newBed sets Vault up as config/samples/keyset-consumer/README.md tells.
func newBed(t *testing.T) *bed {
	b := &bed{t: t}
	var err error
	b.cluster, err = cluster.Start(t.Context(), cluster.Options{})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			b.cluster.KeepLogs()
		}
		if err := b.cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	b.client, err = kubernetes.NewForConfig(b.cluster.Config())
	must(t, err)
	b.Vault, err = transit.Start(transit.Options{Hosts: []string{"127.0.0.1"}, Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(b.Stop)
	reviewer, err := b.cluster.ServiceAccount(t.Context(), "vault", "vault")
	must(t, err)
	_, err = b.client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "vault"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "vault", Name: "vault"}},
	}, metav1.CreateOptions{})
	must(t, err)
	must(t, b.Review(t.Context(), reviewer))
	must(t, b.CreateKey(t.Context(), "transit", "acme-health"))
	must(t, b.CreateKey(t.Context(), "transit", "globex"))
	must(t, b.Run(t.Context(), page, "2. Vault:"))
	return b
}

// token of a service account, which is made if need be, for an audience; bound to a pod, if one is named, as a kubelet asks
// for it.
func (b *bed) token(namespace, account, audience, pod string) string {
	b.t.Helper()
	_, err := b.cluster.ServiceAccount(b.t.Context(), namespace, account)
	must(b.t, err)
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds}}
	if pod != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod}
	}
	answer, err := b.client.CoreV1().ServiceAccounts(namespace).CreateToken(b.t.Context(), account, request, metav1.CreateOptions{})
	must(b.t, err)
	return answer.Status.Token
}

// as is a client of Vault that logs in with a token.
func (b *bed) as(role, token string) *vault.Provider {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "token")
	must(b.t, os.WriteFile(file, []byte(token), 0o600))
	p, err := vault.New(vault.Config{Address: b.Address, CAFile: b.CAFile, Kubernetes: &vault.KubernetesAuth{Role: role, JWTFile: file}}, clock.RealClock{})
	must(b.t, err)
	return p
}

// wrapped is a key that root wrapped.
func (b *bed) wrapped(uri string) []byte {
	b.t.Helper()
	p, err := vault.New(vault.Config{Address: b.Address, CAFile: b.CAFile, Token: b.Root}, clock.RealClock{})
	must(b.t, err)
	out, _, err := p.Wrap(b.t.Context(), keyringtest.Ref(b.t, uri), make([]byte, 32), keyringtest.Binding())
	must(b.t, err)
	return out
}

// unwrap is what an application does.
func (b *bed) unwrap(p *vault.Provider, uri string, wrapped []byte) error {
	_, err := p.Unwrap(b.t.Context(), keyringtest.Ref(b.t, uri), wrapped, keyringtest.Binding())
	return err
}

// again is a token with another lifetime, signed by a key of the cluster.
func (b *bed) again(token string, expires time.Time, keyFile string) string {
	b.t.Helper()
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(b.t, err)
	var claims map[string]any
	must(b.t, json.Unmarshal(raw, &claims))
	claims["exp"], claims["iat"], claims["nbf"] = expires.Unix(), expires.Add(-time.Hour).Unix(), expires.Add(-time.Hour).Unix()
	raw, err = json.Marshal(claims)
	must(b.t, err)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw)
	text, err := os.ReadFile(filepath.Join(b.cluster.Dir(), "pki", keyFile))
	must(b.t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	must(b.t, err)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	must(b.t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func TestVaultBesideAnAPIServer(t *testing.T) {
	b := newBed(t)
	for name, test := range map[string]func(*testing.T, *bed){
		"whom it takes": takes, "the application": allowsTheApplication, "the operator": allowsTheOperator, "ends": endsTokens,
	} {
		t.Run(name, func(t *testing.T) {
			its := *b
			its.t = t
			test(t, &its)
		})
	}
}

// Whom Vault's Kubernetes login takes, as the page on the sample application has it set up, and with what the application gets.
func takes(t *testing.T, b *bed) {
	good := b.token(namespace, account, audience, "")
	wrapped := b.wrapped(tenantKey)
	for _, row := range []struct {
		name, role, token, refusal string
	}{
		{"the application", appRole, good, ""},
		{"the same, signed once more", appRole, b.again(good, time.Now().Add(time.Minute), "service-account.key"), ""},
		{"another service account", appRole, b.token(namespace, "other", audience, ""), "403"},
		{"another namespace", appRole, b.token("acme-health-data", account, audience, ""), "403"},
		{"the API server's own audience", appRole, b.token(namespace, account, "https://kubernetes.default.svc.cluster.local", ""), "403"},
		// Both take a clock that is a minute behind.
		{"expired two minutes ago", appRole, b.again(good, time.Now().Add(-2*time.Minute), "service-account.key"), "403"},
		{"signed by another key", appRole, b.again(good, time.Now().Add(time.Minute), "ca.key"), "403"},
		{"another role", "globex-app", good, "invalid role name"},
		{"no token at all", appRole, "root", "403"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := b.unwrap(b.as(row.role, row.token), tenantKey, wrapped)
			if row.refusal == "" && err != nil || row.refusal != "" && (keyring.KindOf(err) != keyring.Refused || !strings.Contains(err.Error(), row.refusal)) {
				t.Errorf("%v; expected a refusal of %q", err, row.refusal)
			}
			if err != nil && strings.Contains(err.Error(), row.token) && row.token != "root" {
				t.Error("the refusal repeats the token")
			}
		})
	}
}

// The application's token opens what its tenant's key wrapped, and is good for nothing else.
func allowsTheApplication(t *testing.T, b *bed) {
	app := b.as(appRole, b.token(namespace, account, audience, ""))
	must(t, b.unwrap(app, tenantKey, b.wrapped(tenantKey)))
	own, other := keyringtest.Ref(t, tenantKey), keyringtest.Ref(t, "vault://transit/globex")
	ctx := t.Context()
	for name, attempt := range map[string]func() error{
		"open another tenant's": func() error { return b.unwrap(app, "vault://transit/globex", b.wrapped("vault://transit/globex")) },
		"wrap":                  func() error { _, _, err := app.Wrap(ctx, own, make([]byte, 32), keyringtest.Binding()); return err },
		"wrap with another key": func() error { _, _, err := app.Wrap(ctx, other, make([]byte, 32), keyringtest.Binding()); return err },
		"look at the key":       func() error { _, err := app.Describe(ctx, own); return err },
		"destroy the key":       func() error { _, err := app.Destroy(ctx, own); return err },
		"wrap anew": func() error {
			_, _, err := app.Rewrap(ctx, own, b.wrapped(tenantKey), keyringtest.Binding())
			return err
		},
	} {
		if err := attempt(); keyring.KindOf(err) != keyring.Refused || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s: %v; expected permission denied", name, err)
		}
	}
	err := b.unwrap(app, tenantKey, b.wrapped("vault://transit/globex"))
	if keyring.KindOf(err) != keyring.Foreign {
		t.Errorf("what another key wrapped, with the own key: %v; expected it not to open", err)
	}
}

// A token that a kubelet asked for ends with its pod, and every one with its service account.
func endsTokens(t *testing.T, b *bed) {
	wrapped := b.wrapped(tenantKey)
	_, err := b.cluster.ServiceAccount(t.Context(), namespace, account)
	must(t, err)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: corev1.PodSpec{
		ServiceAccountName: account, Containers: []corev1.Container{{Name: "app", Image: "example/app"}},
	}}
	_, err = b.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	ofPod, ofAccount := b.token(namespace, account, audience, pod.Name), b.token(namespace, account, audience, "")
	taken := func(token string) error { return b.unwrap(b.as(appRole, token), tenantKey, wrapped) }
	must(t, taken(ofPod))
	at := int64(0)
	must(t, b.client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &at}))
	refused(t, "after the pod was deleted", func() error { return taken(ofPod) })
	must(t, taken(ofAccount))
	must(t, b.client.CoreV1().ServiceAccounts(namespace).Delete(t.Context(), account, metav1.DeleteOptions{}))
	refused(t, "after the service account was deleted", func() error { return taken(ofAccount) })
}

// refused waits until the API server's cache knows.
func refused(t *testing.T, when string, attempt func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := attempt()
		if keyring.KindOf(err) == keyring.Refused {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("%s: %v; expected the login to be refused", when, err)
			return
		case <-tick.C:
		}
	}
}

// The operator's login has the policy of docs/keyset.md.
func allowsTheOperator(t *testing.T, b *bed) {
	const name = "hipaa-tenant-operator"
	must(t, b.AllowOperator(t.Context(), name))
	_, err := b.Write(t.Context(), "auth/kubernetes/role/"+name, map[string]any{
		"bound_service_account_names": name, "bound_service_account_namespaces": "hipaa-system", "audience": audience, "token_policies": name,
	})
	must(t, err)
	operator := b.as(name, b.token("hipaa-system", name, audience, ""))
	ref := keyringtest.Ref(t, tenantKey)
	wrapped, _, err := operator.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	must(t, err)
	must(t, b.unwrap(operator, tenantKey, wrapped))
	_, err = operator.Describe(t.Context(), ref)
	must(t, err)
	_, _, err = operator.Wrap(t.Context(), keyringtest.Ref(t, "vault://transit/missing"), make([]byte, 32), keyringtest.Binding())
	if keyring.KindOf(err) != keyring.Refused {
		t.Errorf("%v; expected that no key is made on the fly", err)
	}
}

// What pages tell is not skipped in silence.
func TestRunTakesWhatItKnows(t *testing.T) {
	v := &transit.Vault{}
	for after, want := range map[string]string{"no such heading": "no shell block", "4. The application:": "expected vault policy write"} {
		if err := v.Run(t.Context(), page, after); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after %q: %v; expected %q", after, err, want)
		}
	}
}
