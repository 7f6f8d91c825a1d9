package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// environment is taken down when the test ends, in whatever way it ends.
func environment(t *testing.T) (Environment, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	e := Environment{Dir: filepath.Join(t.TempDir(), "local"), Log: &log}
	t.Cleanup(func() {
		if err := e.Down(); err != nil {
			t.Error(err)
		}
	})
	return e, &log
}

func up(t *testing.T, e Environment, log *bytes.Buffer, want string) {
	t.Helper()
	log.Reset()
	if err := e.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), want) {
		t.Errorf("expected Up to say %q, found\n%s", want, log)
	}
}

func TestUpAndDown(t *testing.T) {
	e, log := environment(t)
	up(t, e, log, "node node-eu-west-1 in eu-west-1 is ready\nready; export KUBECONFIG="+e.Kubeconfig())
	if diff := nodeDifference(t, e.Kubeconfig()); diff != "" {
		t.Error(diff)
	}
	beside, err := e.StartDetached("sleeper", []string{"sleep", "600"}, "sleeper.log")
	if err != nil {
		t.Fatal(err)
	}
	up(t, e, log, "already running")
	if !beside.Running() {
		t.Error("expected a second Up to leave the processes alone")
	}

	// One component is killed: Up starts everything again, and nothing of the old remains.
	old := kill(t, e, cluster.Kwok)
	up(t, e, log, "ready; export KUBECONFIG=")
	if !strings.Contains(log.String(), "sleeper stopped\ncontrol plane stopped\n") {
		t.Errorf("expected the remains to be stopped, the cluster last, found\n%s", log)
	}
	if beside.Running() {
		t.Error("expected the process beside the old cluster to be stopped")
	}
	for name, p := range old {
		if p.Running() {
			t.Errorf("expected %s of the old cluster to be stopped", name)
		}
	}

	// One process beside the cluster ends: Up notices that too.
	beside, err = e.StartDetached("short", []string{"true"}, "short.log")
	if err != nil {
		t.Fatal(err)
	}
	<-beside.Done()
	if e.running() {
		t.Error("expected the environment not to count as running without its process")
	}
	for range 2 { // the second time, nothing is left to do
		if err := e.Down(); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if !strings.HasSuffix(entry.Name(), ".log") {
			t.Errorf("expected only logs to stay, found %s", entry.Name())
		}
	}
}

func nodeDifference(t *testing.T, kubeconfig string) string {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := kubernetes.NewForConfigOrDie(cfg).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var regions []string
	for _, n := range nodes.Items {
		regions = append(regions, n.Labels["topology.kubernetes.io/region"])
	}
	if got, want := strings.Join(regions, " "), "eu-west-1 us-east-1 us-west-2"; got != want {
		return "expected nodes in " + want + ", found " + got
	}
	return ""
}

// kill ends one component, and returns all processes of the cluster.
func kill(t *testing.T, e Environment, name string) map[string]*process.Process {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.clusterDir(), "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Processes []process.Record }
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	processes := map[string]*process.Process{}
	for _, r := range state.Processes {
		p, ok := process.Find(r)
		if !ok {
			t.Fatalf("expected %s to run", r.Name)
		}
		processes[r.Name] = p
	}
	if err := processes[name].Stop(0); err != nil {
		t.Fatal(err)
	}
	return processes
}

func TestDownWithoutUp(t *testing.T) {
	e, log := environment(t)
	if err := e.Down(); err != nil || log.Len() > 0 {
		t.Errorf("expected nothing to happen, found %q (%v)", log, err)
	}
}

func TestFailedUpLeavesNoProcessAndKeepsTheLogs(t *testing.T) {
	e, _ := environment(t)
	t.Setenv(cluster.AssetsVariable, brokenAPIServer(t))
	err := e.Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not today") {
		t.Fatalf("expected Up to fail with the words of the API server, found %v", err)
	}
	if _, err := os.Stat(filepath.Join(e.clusterDir(), "logs", cluster.APIServer+".log")); err != nil {
		t.Errorf("expected the log to be kept: %v", err)
	}
	c, err := cluster.Open(e.clusterDir())
	if !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("expected no cluster after a failed start, found %v (%v)", c, err)
	}
}

// brokenAPIServer makes a directory with programs of which the API server fails at once.
func brokenAPIServer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{cluster.Etcd, cluster.APIServer, cluster.ControllerManager, cluster.Scheduler, cluster.Kwok, "kubectl"} {
		script := "#!/bin/sh\nexec sleep 600\n"
		if name == cluster.APIServer {
			script = "#!/bin/sh\necho not today\nexit 1\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDamagedRecords(t *testing.T) {
	e := Environment{Dir: t.TempDir(), Log: new(bytes.Buffer)}
	if err := os.WriteFile(e.processesFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"Up": e.Up(t.Context()), "Down": e.Down()} {
		if err == nil || !strings.Contains(err.Error(), "processes.json") {
			t.Errorf("%s: expected an error about the file, found %v", name, err)
		}
	}
	if _, err := e.StartDetached("it", []string{"true"}, "it.log"); err == nil {
		t.Error("expected no process to start that cannot be recorded")
	}
}
