package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

func TestDetachedCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	if _, err := cluster.Open(dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Fatalf("expected ErrNoCluster before the start, found %v", err)
	}
	started, err := cluster.Start(t.Context(), cluster.Options{Dir: dir, Detached: true, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	pids := started.PIDs()
	opened, err := cluster.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !opened.Running() || len(opened.PIDs()) != 2 {
		t.Errorf("expected both components running, found %v", opened.PIDs())
	}
	// Its own authority signs, and the certificate is accepted: nothing was lost by opening.
	who, err := client(t, opened.User("dana")).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
	if err != nil || who.Status.UserInfo.Username != "dana" {
		t.Errorf("expected user dana, found %v (%v)", who, err)
	}
	if _, err := cluster.Start(t.Context(), cluster.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "expected an empty directory") {
		t.Errorf("expected a second cluster in the same directory to be refused, found %v", err)
	}
	if err := opened.StopComponent(cluster.APIServer); err != nil {
		t.Fatal(err)
	}
	if again, err := cluster.Open(dir); err != nil || again.Running() || len(again.PIDs()) != 1 {
		t.Errorf("expected only etcd to run, found %v (%v)", again.PIDs(), err)
	}
	for range 2 { // the second time, nothing is left to do
		if err := opened.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := allGone(pids); err != nil {
		t.Error(err)
	}
	if _, err := cluster.Open(dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("expected ErrNoCluster after the end, found %v", err)
	}
}

func TestOpenDamagedState(t *testing.T) {
	for text, want := range map[string]string{
		"{":  "cluster.json",
		"{}": "ca.crt",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.Open(dir); err == nil || errors.Is(err, cluster.ErrNoCluster) || !strings.Contains(err.Error(), want) {
			t.Errorf("state %s: expected an error about %s, found %v", text, want, err)
		}
	}
}

func TestStartFailureNamesTheLog(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := cluster.Start(t.Context(), cluster.Options{APIServerArgs: []string{"--no-such-flag"}})
	if err == nil {
		t.Fatal("expected an unknown flag to fail, found no error")
	}
	for _, want := range []string{"kube-apiserver: exit status 1", "unknown flag: --no-such-flag", filepath.Join("logs", "kube-apiserver.log")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q in the error, found %v", want, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if base := filepath.Base(path); base == "etcd" || base == "pki" {
			t.Errorf("expected only small files to stay, found %s", path)
		}
	}
	if logs, err := filepath.Glob(filepath.Join(os.TempDir(), "*", "logs", "kube-apiserver.log")); err != nil || len(logs) != 1 {
		t.Errorf("expected the log to be kept, found %v (%v)", logs, err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := cluster.Start(ctx, cluster.Options{})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "the end of") {
		t.Errorf("expected a short error that wraps context.Canceled, found %v", err)
	}
}

func TestStopReportsWhatDiedBefore(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := cluster.Start(t.Context(), cluster.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(c.PIDs()[cluster.APIServer])
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if _, running := c.PIDs()[cluster.APIServer]; running {
			return errors.New("expected the API server to have ended")
		}
		return nil
	})
	if err := c.Stop(); err == nil || !strings.Contains(err.Error(), "kube-apiserver ended by itself") {
		t.Errorf("expected Stop to say that the API server died, found %v", err)
	}
	if _, err := os.Stat(c.LogPath(cluster.APIServer)); err != nil {
		t.Errorf("expected its log to be kept: %v", err)
	}
}
