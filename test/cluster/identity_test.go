package cluster_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestUserHasOnlyItsRights(t *testing.T) {
	namespace(t, "users")
	dana := client(t, full.User("dana", "auditors"))
	_, err := dana.CoreV1().ConfigMaps("users").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `User "dana"`) {
		t.Errorf("expected dana to be forbidden by name, found %v", err)
	}
	who, err := dana.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if u := who.Status.UserInfo; u.Username != "dana" || u.Groups[0] != "auditors" {
		t.Errorf("expected dana of auditors, found %v", u)
	}
}

func TestServiceAccountIdentity(t *testing.T) {
	for range 2 { // the second time, both exist
		cfg, err := full.ServiceAccount(t.Context(), "operator-system", "operator")
		if err != nil {
			t.Fatal(err)
		}
		who, err := client(t, cfg).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := who.Status.UserInfo.Username, "system:serviceaccount:operator-system:operator"; got != want {
			t.Errorf("expected %s, found %s", want, got)
		}
	}
}

func TestAnonymousIsRefused(t *testing.T) {
	_, err := client(t, rest.AnonymousClientConfig(full.Config())).Discovery().ServerVersion()
	if !apierrors.IsUnauthorized(err) {
		t.Errorf("expected Unauthorized, found %v", err)
	}
}

func TestKubeconfigOfUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := full.WriteKubeconfig(path, full.User("dana")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("expected mode 0600 for a file with a key, found %v", info.Mode())
	}
	for file, want := range map[string]string{path: "dana", full.Kubeconfig(): "admin"} {
		cfg, err := clientcmd.BuildConfigFromFlags("", file)
		if err != nil {
			t.Fatal(err)
		}
		who, err := client(t, cfg).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if who.Status.UserInfo.Username != want {
			t.Errorf("expected user %s by %s, found %s", want, file, who.Status.UserInfo.Username)
		}
	}
}

func TestAuditLogHasNoBodies(t *testing.T) {
	namespace(t, "audited")
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "do-not-log-me"}}
	if _, err := client(t, full.User("sam", "system:masters")).CoreV1().Secrets("audited").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(full.AuditLogPath())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "do-not-log-me") || strings.Contains(string(log), "ZG8tbm90LWxvZy1tZQ") {
		t.Error("the audit log holds a Secret's value")
	}
	if !hasAuditEvent(t, string(log), "sam create secrets audited") {
		t.Error("expected an audit event for sam creating a secret in audited, found none")
	}
}

// hasAuditEvent looks for an event by its user, verb, resource and namespace.
func hasAuditEvent(t *testing.T, log, want string) bool {
	t.Helper()
	for line := range strings.Lines(log) {
		var e struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource, Namespace string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("audit line %q: %v", line, err)
		}
		if want == strings.Join([]string{e.User.Username, e.Verb, e.ObjectRef.Resource, e.ObjectRef.Namespace}, " ") {
			return true
		}
	}
	return false
}
