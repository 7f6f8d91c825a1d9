package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
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

// up expects the lines that Up has to say, in any order.
func up(t *testing.T, e Environment, log *bytes.Buffer, want ...string) {
	t.Helper()
	log.Reset()
	if err := e.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, line := range want {
		if !strings.Contains(log.String(), line) {
			t.Errorf("expected Up to say %q, found\n%s", line, log)
		}
	}
}

const (
	clusterKept     = "the control plane is already running\n"
	operatorKept    = "the operator is already running\n"
	operatorStarted = "the operator is ready"
)

func TestUpAndDown(t *testing.T) {
	e, log := environment(t)
	var err error
	if e.Operator, err = operator.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	up(t, e, log, "node node-eu-west-1 in eu-west-1 is ready\n", operatorStarted,
		"export KUBECONFIG="+e.Kubeconfig(), "kubectl apply -f config/samples\n")
	if diff := nodeDifference(t, e.Kubeconfig()); diff != "" {
		t.Error(diff)
	}
	first := operatorOf(t, e)
	up(t, e, log, clusterKept, operatorKept)
	if !first.Running() {
		t.Error("expected a second Up to leave the operator alone")
	}

	// The operator is killed: Up brings it back, on the same cluster. Where it cannot, the cluster stays.
	if err := first.Stop(0); err != nil {
		t.Fatal(err)
	}
	broken := e
	broken.Operator = "/bin/false"
	if err := broken.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "operator did not become ready") {
		t.Errorf("expected Up to say that the operator cannot start, found %v", err)
	}
	up(t, e, log, clusterKept, operatorStarted)
	second := operatorOf(t, e)

	// One component is killed: Up starts everything again, and nothing of the old remains.
	old := kill(t, e, cluster.Kwok)
	up(t, e, log, "operator stopped\ncontrol plane stopped\n", operatorStarted)
	old[operator.Name] = second
	for name, p := range old {
		if p.Running() {
			t.Errorf("expected %s of the old cluster to be stopped", name)
		}
	}
	third := operatorOf(t, e)
	for range 2 { // the second time, nothing is left to do
		if err := e.Down(); err != nil {
			t.Fatal(err)
		}
	}
	if third.Running() {
		t.Error("expected Down to stop the operator")
	}
	expectOnlyLogs(t, e.Dir, "operator.log")
}

// operatorOf finds the operator that Up has recorded.
func operatorOf(t *testing.T, e Environment) *process.Process {
	t.Helper()
	records, err := e.records()
	if err != nil || len(records) != 1 || records[0].Name != operator.Name {
		t.Fatalf("expected one record, of the operator, found %v (%v)", records, err)
	}
	p, ok := process.Find(records[0])
	if !ok {
		t.Fatal("expected the operator to run")
	}
	return p
}

// expectOnlyLogs allows nothing in a directory but these files.
func expectOnlyLogs(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if !slices.Equal(found, want) {
		t.Errorf("expected only %v to stay in %s, found %v", want, dir, found)
	}
}

func TestUpFailsWithoutTheOperator(t *testing.T) {
	e, log := environment(t)
	e.Operator = filepath.Join(t.TempDir(), "operator")
	if err := os.WriteFile(e.Operator, []byte("#!/bin/sh\necho cannot work\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := e.Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot work") {
		t.Errorf("expected Up to fail with the words of the operator, found %v", err)
	}
	if !strings.HasSuffix(log.String(), "control plane stopped\n") {
		t.Errorf("expected the cluster to be stopped again, found\n%s", log)
	}
	if c, err := cluster.Open(e.clusterDir()); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("expected no cluster after a failed start, found %v (%v)", c, err)
	}
}

func TestProcessesBesideTheCluster(t *testing.T) {
	e, log := environment(t)
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	spec := func(name string, command ...string) process.Spec {
		return process.Spec{Name: name, Command: command, Log: filepath.Join(e.Dir, name+".log")}
	}
	short, err := e.Start(spec("short", "true"))
	if err != nil {
		t.Fatal(err)
	}
	<-short.Done()
	var left []*process.Process
	for _, name := range []string{"first", "second"} {
		p, err := e.Start(spec(name, "sleep", "600"))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, p)
	}
	if records, err := e.records(); err != nil || len(records) != 2 {
		t.Errorf("expected the record of what has ended to go, found %v (%v)", records, err)
	}
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	if want := "second stopped\nfirst stopped\n"; log.String() != want {
		t.Errorf("expected %q, found %q", want, log)
	}
	for _, p := range left {
		if p.Running() {
			t.Errorf("expected %s to be stopped", p.Record().Name)
		}
	}
	expectOnlyLogs(t, e.Dir, "first.log", "second.log", "short.log")
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
	if _, err := e.Start(process.Spec{Name: "it", Command: []string{"true"}, Log: filepath.Join(e.Dir, "it.log")}); err == nil {
		t.Error("expected no process to start that cannot be recorded")
	}
}
