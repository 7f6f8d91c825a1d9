package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/traffic"
)

// world is a control plane, both versions, and the tenants.
type world struct {
	options
	root, dir     string
	last, present release
	cluster       *cluster.Cluster
	admin         client.Client
	api           *kubernetes.Clientset
	replica       *replica
	audit         *auditLog
	tenants       []string
	forbidden     *traffic.Traffic
	lawful        *traffic.Traffic
	ended         sync.WaitGroup
	granted       time.Time // when the emergency access was
	outlived      int       // bindings of it that stood when it should have ended
	cancel        context.CancelFunc
}

// build makes everything but the release.
func build(ctx context.Context, o options) (*world, error) {
	w := &world{options: o}
	var err error
	if w.root, err = cluster.RepositoryRoot(); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "upgrade-"); err != nil {
		return nil, err
	}
	if err := errors.Join(w.buildReleases(ctx), ctx.Err()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(w.dir))
	}
	if err := w.startCluster(ctx); err != nil {
		return nil, errors.Join(err, w.end(true))
	}
	return w, nil
}

func (w *world) buildReleases(ctx context.Context) (err error) {
	if _, err := os.Stat(w.helm()); err != nil {
		return fmt.Errorf("%w: run `make bin/helm`", err)
	}
	if w.last, err = previousRelease(ctx, w.root, w.from, w.dir); err != nil {
		return err
	}
	if w.present, err = presentRelease(ctx, w.root, w.dir); err != nil {
		return err
	}
	if w.last.version == w.present.version {
		return fmt.Errorf("expected two versions, found %s twice: raise VERSION in the Makefile and in the charts", w.last.version)
	}
	return nil
}

func (w *world) startCluster(ctx context.Context) (err error) {
	w.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, AuditLog: true, APIServerArgs: []string{"--audit-log-maxsize=2000"}})
	if err != nil {
		return err
	}
	if w.admin, w.api, err = operator.NewAdmin(w.cluster); err != nil {
		return err
	}
	w.audit = &auditLog{path: w.cluster.AuditLogPath()}
	for i := range w.count {
		w.tenants = append(w.tenants, fmt.Sprintf("tenant-%03d", i))
	}
	w.forbidden = traffic.New(w.admin, traffic.Forbidden, w.tenants...)
	w.lawful = traffic.New(w.admin, traffic.Lawful, w.tenants...)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := w.admin.Create(ctx, ns); err != nil {
		return err
	}
	w.replica = &replica{
		cluster: w.cluster, dir: w.dir,
		binaries: map[string]string{w.last.version: w.last.binary, w.present.version: w.present.binary},
	}
	following, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	w.ended.Go(func() { w.replica.follow(following, w.api) })
	return nil
}

// end stops everything. The logs stay when something failed.
func (w *world) end(failed bool) error {
	if w.cancel != nil {
		w.cancel()
		w.ended.Wait()
		if err := w.replica.replace(nil, ""); err != nil {
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
	if failed {
		fmt.Printf("the logs are in %s and %s\n", w.dir, w.cluster.Dir())
		return nil
	}
	return os.RemoveAll(w.dir)
}

// populate makes the profile, the tenants and, once they are Ready, their data.
func (w *world) populate(ctx context.Context) error {
	for _, class := range []string{traffic.Encrypted, traffic.Plain} {
		c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "ebs.csi.aws.com"}
		if err := w.admin.Create(ctx, c); err != nil {
			return err
		}
	}
	objects := []client.Object{fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.StorageClasses = &v1alpha1.StorageClassRules{Allowed: []string{traffic.Encrypted}}
		p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{MaxDuration: "4h", Approvers: []v1alpha1.Subject{{Kind: "Group", Name: "security-officers"}}}
	})}
	for _, name := range w.tenants {
		objects = append(objects, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.DisabledChannels = []v1alpha1.Name{"sms"}
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: name + "-devs"}}}}
			if name == w.tenants[0] {
				t.Spec.Application = &v1alpha1.Application{Mailbox: &v1alpha1.Mailbox{Host: "mail.example", CIDRs: []v1alpha1.CIDR{"10.1.0.0/16"}, Port: 587, TLS: "Required"}}
			}
		}))
	}
	return w.create(ctx, objects...)
}

func (w *world) create(ctx context.Context, objects ...client.Object) error {
	for _, o := range objects {
		if err := w.admin.Create(ctx, o); err != nil {
			return fmt.Errorf("create %s: %w", o.GetName(), err)
		}
	}
	return nil
}

func (w *world) helm() string { return filepath.Join(w.root, "bin", "helm") }

// runHelm prints a command line, and what the real helm answers up to the notes of the chart.
func (w *world) runHelm(ctx context.Context, args ...string) error {
	shown := strings.NewReplacer(w.dir+"/", "", w.root+"/", "").Replace(strings.Join(args, " "))
	fmt.Printf("$ helm %s\n", shown)
	cmd := exec.CommandContext(ctx, w.helm(), append(args, "--kubeconfig", w.cluster.Kubeconfig())...)
	home := filepath.Join(w.dir, "helm")
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	text, _, _ := strings.Cut(string(out), "\nNOTES:")
	for line := range strings.Lines(text) {
		fmt.Println(" ", strings.TrimSpace(line))
	}
	if err != nil {
		return fmt.Errorf("helm %s: %w", shown, err)
	}
	return nil
}
