// Package attack tries, as people and programs inside a tenant, everything that comparable products were bypassed with,
// and everything a tenant's people lawfully do. The control plane, the operator, the tenants, the roles and the tokens are
// real.
//
// An attack is a row of a table in <group>_attacks_test.go: an object that must not come to be, and who has to refuse it.
// The ways to try it are derived (ways_test.go). A list in bypass_test.go ties the rows to the known classes of bypasses.
package attack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// Names of the world. In the texts of rows NAMESPACE stands for the first and VICTIM for the second.
const (
	attacked = "acme-health"
	victim   = "birch-clinic"
	// quarantined is a deleted tenant's namespace.
	quarantined = "cedar-lab"
)

// actor is somebody inside tenant acme-health.
type actor string

const (
	// developer and operations hold the shipped roles, as people; account holds the operator's role, as a program.
	developer  actor = "developer"
	operations actor = "operator"
	account    actor = "account"
	// administrator holds everything RBAC can give in the namespace. What it is refused, a policy refuses.
	administrator actor = "administrator"
	// root is in group system:masters. It is tried where not even that may be enough.
	root actor = "cluster-administrator"
)

var everybody = []actor{developer, operations, account, administrator}

// world is what all rows share.
type world struct {
	cluster  *cluster.Cluster
	operator *operator.Operator
	binary   string
	dir      string
	admin    client.Client
	kube     *kubernetes.Clientset
	api      *api
	events   *eventLog
	clients  map[actor]*rest.RESTClient
	configs  map[actor]*rest.Config
}

// The world is built for the first test that needs it.
var (
	shared     *world
	sharedOnce sync.Once
	errShared  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		if err := shared.end(code != 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// theWorld returns the control plane with its tenants, Ready.
func theWorld(t *testing.T) *world {
	t.Helper()
	sharedOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
		defer cancel()
		shared = &world{clients: map[actor]*rest.RESTClient{}, configs: map[actor]*rest.Config{}}
		errShared = shared.build(ctx)
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

func (w *world) build(ctx context.Context) (err error) {
	if w.dir, err = os.MkdirTemp("", "attack-suite-"); err != nil {
		return err
	}
	if err := w.startCluster(ctx); err != nil {
		return err
	}
	if err := w.populate(ctx); err != nil {
		return err
	}
	if err := w.startOperator(ctx); err != nil {
		return err
	}
	for _, name := range []string{attacked, victim, quarantined} {
		if err := w.awaitReady(ctx, name); err != nil {
			return fmt.Errorf("%w; the end of the operator's log:\n%s", err, w.operator.LogTail(4096))
		}
	}
	return w.letIn(ctx)
}

func (w *world) startCluster(ctx context.Context) (err error) {
	tokens := filepath.Join(w.dir, "tokens.csv")
	if err := os.WriteFile(tokens, tokenFile(), 0o600); err != nil {
		return err
	}
	w.cluster, err = cluster.Start(ctx, cluster.Options{
		ControllerManager: true, Scheduler: true, Kwok: true,
		APIServerArgs: []string{
			"--token-auth-file=" + tokens,
			// Older versions of what tenants can write, where there still are any.
			"--runtime-config=resource.k8s.io/v1beta1=true,resource.k8s.io/v1beta2=true,networking.k8s.io/v1beta1=true",
			// The suite asks for more at once than a quiet cluster allows one user.
			"--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
		},
	})
	if err != nil {
		return err
	}
	w.admin, w.kube, err = operator.NewAdmin(w.cluster)
	return err
}

func (w *world) startOperator(ctx context.Context) (err error) {
	if w.binary == "" {
		if w.binary, err = operator.Build(ctx, w.dir, "-race"); err != nil {
			return err
		}
	}
	w.operator, err = operator.Start(ctx, w.cluster, operator.Options{
		Binary: w.binary, Dir: w.dir, Args: []string{"--leader-elect=false"},
	})
	return err
}

// end stops everything. The logs stay when a test failed.
func (w *world) end(failed bool) error {
	if w.events != nil {
		w.events.stop()
	}
	if w.operator != nil && w.operator.Running() {
		if err := w.operator.Stop(5 * time.Second); err != nil {
			return err
		}
	}
	if w.cluster != nil {
		if failed {
			w.cluster.KeepLogs()
		}
		if err := w.cluster.Stop(); err != nil {
			return err
		}
	}
	return os.RemoveAll(w.dir)
}

// tokenFile lists the people: token, name, uid, groups.
func tokenFile() []byte {
	return []byte("developer-token,dana@acme.example,1,acme-devs\n" +
		"operator-token,omar@acme.example,2,acme-ops\n" +
		"administrator-token,ada@acme.example,3,acme-admins\n")
}

// connect makes the connection of an actor: the token alone says who it is.
func (w *world) connect(ctx context.Context, who actor) error {
	config := rest.AnonymousClientConfig(w.cluster.Config())
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	switch who {
	case root:
		config = w.cluster.Config()
		config.WarningHandler = rest.NoWarnings{}
	case account:
		token, err := w.accountToken(ctx)
		if err != nil {
			return err
		}
		config.BearerToken = token
	default:
		config.BearerToken = string(who) + "-token"
	}
	raw, err := rawClient(config)
	w.clients[who], w.configs[who] = raw, config
	return err
}

// accountToken is as short-lived as the tenant's session timeout demands.
func (w *world) accountToken(ctx context.Context) (string, error) {
	seconds := int64(900)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: attacked, Name: "deployer"}}
	if err := w.admin.SubResource("token").Create(ctx, sa, request); err != nil {
		return "", err
	}
	return request.Status.Token, nil
}
