package docs

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// kubelet runs the operator while there is a Deployment of it: with its command line, under its service account.
type kubelet struct {
	cluster *cluster.Cluster
	client  kubernetes.Interface
	dir     string
	done    chan struct{}
	cancel  context.CancelFunc

	mu     sync.Mutex
	paused bool
	runs   *operator.Operator
	args   []string
	last   error
}

func startKubelet(c *cluster.Cluster, dir string) *kubelet {
	ctx, cancel := context.WithCancel(context.Background())
	k := &kubelet{cluster: c, client: kubernetes.NewForConfigOrDie(c.Config()), dir: dir, done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(k.done)
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				k.sync(ctx)
			}
		}
	}()
	return k
}

// sync starts, restarts or ends the operator as the Deployment says.
func (k *kubelet) sync(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.paused {
		return
	}
	list, err := k.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", v1alpha1.OperatorName).String(),
	})
	if err != nil {
		return // asked again
	}
	i := slices.IndexFunc(list.Items, func(d appsv1.Deployment) bool { return d.Status.ReadyReplicas > 0 })
	if i < 0 {
		k.end()
		return
	}
	pod := list.Items[i].Spec.Template.Spec
	if k.runs != nil && k.runs.Running() && slices.Equal(k.args, pod.Containers[0].Args) {
		return
	}
	k.end()
	dir, err := os.MkdirTemp(k.dir, "operator-")
	if err == nil {
		k.args = pod.Containers[0].Args
		k.runs, err = operator.Start(ctx, k.cluster, operator.Options{
			Binary: k.dir + "/manager", Dir: dir, Args: k.args,
			Namespace: list.Items[i].Namespace, ServiceAccount: pod.ServiceAccountName,
		})
	}
	k.last = err
}

// end ends the operator, if it runs.
func (k *kubelet) end() {
	if k.runs != nil && k.runs.Running() {
		k.last = k.runs.Stop(10 * time.Second)
	}
	k.runs = nil
}

// pause ends the operator until resume.
func (k *kubelet) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paused = true
	k.end()
}

func (k *kubelet) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paused = false
}

func (k *kubelet) running() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.runs != nil && k.runs.Running()
}

func (k *kubelet) stop() {
	k.cancel()
	<-k.done
	k.pause()
}

// logTail is the end of the operator's log, and what kept it from running.
func (k *kubelet) logTail() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := ""
	if k.last != nil {
		text = k.last.Error() + "\n"
	}
	if k.runs != nil {
		text += k.runs.LogTail(8192)
	}
	return text
}
