package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// namespace of the release.
const namespace = "hipaa-platform"

// goodbye is how long an operator may take to end when it is told to: the grace of a pod.
const goodbye = 30 * time.Second

// replica does what a kubelet would: it runs what the Deployment asks for.
type replica struct {
	cluster  *cluster.Cluster
	binaries map[string]string // by version, which is the tag of the image
	dir      string

	mu      sync.Mutex
	running *operator.Operator
	version string // of what runs; empty when nothing does
	started int
	kill    bool // whether the next one to end is killed, so that it gives nothing back
	trouble error
}

// follow runs what the Deployment asks for until the context ends.
func (r *replica) follow(ctx context.Context, api kubernetes.Interface) {
	only := fields.OneTermEqualSelector("metadata.name", v1alpha1.OperatorName).String()
	for ctx.Err() == nil {
		w, err := api.AppsV1().Deployments(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: only})
		if err != nil {
			r.fail(err)
			return
		}
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				r.obey(ctx, e.Type, d)
			}
		}
		w.Stop()
	}
}

// obey runs what one version of the Deployment asks for.
func (r *replica) obey(ctx context.Context, event watch.EventType, d *appsv1.Deployment) {
	if event == watch.Deleted {
		r.fail(r.replace(nil, ""))
		return
	}
	pod := d.Spec.Template.Spec
	_, version, _ := strings.Cut(pod.Containers[0].Image, ":")
	if version == r.runs() {
		return
	}
	next, err := r.start(ctx, version, pod.Containers[0].Args, pod.ServiceAccountName)
	if err != nil {
		r.fail(fmt.Errorf("version %s: %w", version, err))
		return
	}
	r.fail(r.replace(next, version))
}

func (r *replica) start(ctx context.Context, version string, args []string, account string) (*operator.Operator, error) {
	binary := r.binaries[version]
	if binary == "" {
		return nil, errors.New("the Deployment asks for an image of no version that was built")
	}
	r.started++
	dir := filepath.Join(r.dir, fmt.Sprintf("operator-%d-%s", r.started, version))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return operator.Start(ctx, r.cluster, operator.Options{Binary: binary, Dir: dir, Args: args, Namespace: namespace, ServiceAccount: account})
}

// replace ends what runs. What comes next is ready by then.
func (r *replica) replace(next *operator.Operator, version string) error {
	r.mu.Lock()
	last, kill := r.running, r.kill
	r.running, r.version, r.kill = next, version, false
	r.mu.Unlock()
	switch {
	case last == nil:
		return nil
	case kill:
		return last.Kill()
	default:
		return last.Stop(goodbye)
	}
}

// runs is the version that runs, empty when none does.
func (r *replica) runs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

// killNext lets the operator that runs have no time to say goodbye.
func (r *replica) killNext() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill = true
}

func (r *replica) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = errors.Join(r.trouble, err)
}

// check returns what went wrong, such as an operator that ended by itself.
func (r *replica) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil && !r.running.Running() {
		return errors.Join(r.trouble, fmt.Errorf("the operator of version %s ended by itself; the end of its log:\n%s", r.version, r.running.LogTail(4096)))
	}
	return r.trouble
}

// leader is who holds the operator's lease; empty when nobody does.
func leader(ctx context.Context, api kubernetes.Interface) (string, error) {
	lease, err := api.CoordinationV1().Leases(namespace).Get(ctx, v1alpha1.OperatorName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && lease.Spec.HolderIdentity == nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return *lease.Spec.HolderIdentity, nil
}
