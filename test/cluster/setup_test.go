package cluster

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

func TestComponents(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts Options
		want []string
	}{
		{"least", Options{}, []string{Etcd, APIServer}},
		{"one more", Options{Scheduler: true}, []string{Etcd, APIServer, Scheduler}},
		{"all", Options{ControllerManager: true, Scheduler: true, Kwok: true}, []string{Etcd, APIServer, ControllerManager, Scheduler, Kwok}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.opts.components()); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			for _, name := range tc.opts.components() {
				if !slices.Contains(stopOrder, name) {
					t.Errorf("expected %s in the order of stopping, found %v", name, stopOrder)
				}
			}
		})
	}
}

// executables makes a directory with empty programs of these names.
func executables(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindBinaries(t *testing.T) {
	dir := executables(t, Etcd, APIServer, "kubectl")
	t.Setenv(AssetsVariable, dir)
	found, err := findBinaries(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := binaries{Etcd: filepath.Join(dir, Etcd), APIServer: filepath.Join(dir, APIServer), "kubectl": filepath.Join(dir, "kubectl")}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("binaries (-want +got):\n%s", diff)
	}
	if _, err := findBinaries(Options{Scheduler: true, Kwok: true}); err == nil ||
		!strings.Contains(err.Error(), "kube-scheduler, kwok") || !strings.Contains(err.Error(), "make cluster-bin") {
		t.Errorf("expected an error that names both programs and the command to run, found %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, Etcd), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := findBinaries(Options{}); err == nil || !strings.Contains(err.Error(), "no executable etcd;") {
		t.Errorf("expected a file that cannot be executed not to count, found %v", err)
	}
}

func TestFindBinariesInTheRepository(t *testing.T) {
	t.Setenv(AssetsVariable, "")
	root := t.TempDir()
	t.Chdir(root)
	if err := os.WriteFile("go.mod", []byte("module "+modulePath+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := findBinaries(Options{})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(root, "bin", "k8s")) {
		t.Errorf("expected bin/k8s of the repository to be named, found %v", err)
	}
}

func TestRepositoryRoot(t *testing.T) {
	root := t.TempDir()
	nested := filepath.Join(root, "hack", "tools", "x")
	if err := os.MkdirAll(nested, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(nested)
	if _, err := RepositoryRoot(); err == nil || !strings.Contains(err.Error(), "change into the checkout") {
		t.Errorf("expected an error outside a checkout, found %v", err)
	}
	for path, module := range map[string]string{nested: modulePath + "/hack/tools/x", root: modulePath} {
		if err := os.WriteFile(filepath.Join(path, "go.mod"), []byte("// A comment.\nmodule "+module+"\n\ngo 1.26.0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	if got != root {
		t.Errorf("expected the nested module to be passed over and %s to be found, found %s", root, got)
	}
}

func TestFreePorts(t *testing.T) {
	p, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	all := []int{p.APIServer, p.EtcdClient, p.EtcdPeer}
	for i, port := range all {
		if port < firstPort || port >= lastPort || slices.Contains(all[:i], port) {
			t.Errorf("expected three different ports from %d to %d, found %v", firstPort, lastPort, all)
		}
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Errorf("expected port %d to be free: %v", port, err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMakeDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	temp, temporary, err := makeDir("")
	if err != nil || !temporary || !strings.HasPrefix(filepath.Base(temp), tempPrefix) {
		t.Errorf("expected a temporary directory, found %s, %v (%v)", temp, temporary, err)
	}
	t.Chdir(t.TempDir())
	given, temporary, err := makeDir("state/cluster")
	if err != nil || temporary || !filepath.IsAbs(given) {
		t.Errorf("expected an absolute path that is not temporary, found %s, %v (%v)", given, temporary, err)
	}
	if _, _, err := makeDir("state/cluster"); err != nil {
		t.Errorf("expected an empty directory to do, found %v", err)
	}
	if _, _, err := makeDir("state"); err == nil || !strings.Contains(err.Error(), "make down") {
		t.Errorf("expected a directory in use to be refused with what to do, found %v", err)
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := makeDir("file"); err == nil {
		t.Error("expected a file to be refused, found no error")
	}
}

func TestRemoveLeftovers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead := process.Self()
	dead.StartTime++
	for _, tc := range []struct {
		name  string
		owner any
		age   time.Duration
		stays bool
	}{
		{tempPrefix + "dead-old", dead, 2 * leftoverAge, false},
		{tempPrefix + "dead-young", dead, 0, true},
		{tempPrefix + "running-old", process.Self(), 2 * leftoverAge, true},
		{tempPrefix + "no-owner", nil, 2 * leftoverAge, true},
		{tempPrefix + "damaged", "x", 2 * leftoverAge, true},
		{"of-another-program", dead, 2 * leftoverAge, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(os.TempDir(), tc.name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if tc.owner != nil {
				text, err := json.Marshal(tc.owner)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, ownerFile), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			when := time.Now().Add(-tc.age)
			if err := os.Chtimes(dir, when, when); err != nil {
				t.Fatal(err)
			}
			removeLeftovers()
			if _, err := os.Stat(dir); (err == nil) != tc.stays {
				t.Errorf("stays: expected %v, found %v", tc.stays, err == nil)
			}
		})
	}
}

func TestAPIServerArgs(t *testing.T) {
	c := &Cluster{dir: "/d", opts: Options{APIServerArgs: []string{"--v=4"}}}
	args := c.apiServerArgs()
	if args[len(args)-1] != "--v=4" {
		t.Errorf("expected the caller's arguments last, where they win, found %v", args)
	}
	audit := func(a string) bool { return strings.HasPrefix(a, "--audit") }
	if slices.ContainsFunc(args, audit) {
		t.Errorf("expected no audit log unless asked for, found %v", args)
	}
	c.opts.AuditLog = true
	if !slices.ContainsFunc(c.apiServerArgs(), audit) {
		t.Error("expected an audit log when asked for, found none")
	}
}

// The controller manager makes the directory of its volume plug-ins, which by default is one of the system's.
func TestControllerManagerStaysInItsDirectory(t *testing.T) {
	c := &Cluster{dir: t.TempDir()}
	if want := "--flex-volume-plugin-dir=" + c.dir + "/"; !slices.ContainsFunc(c.controllerManagerArgs(), func(arg string) bool { return strings.HasPrefix(arg, want) }) {
		t.Errorf("expected a flag %s..., found %q", want, c.controllerManagerArgs())
	}
}

func TestFsync(t *testing.T) {
	for fsync, want := range map[bool]string{false: "--unsafe-no-fsync=true", true: "--unsafe-no-fsync=false"} {
		c := &Cluster{opts: Options{Fsync: fsync}}
		if !slices.Contains(c.etcdArgs(), want) {
			t.Errorf("Fsync %v: expected %s, found %v", fsync, want, c.etcdArgs())
		}
	}
}

func TestEnvironmentHidesTheUsersSettings(t *testing.T) {
	t.Setenv("KUBECONFIG", "/home/someone/.kube/config")
	t.Setenv("HOME", "/home/someone")
	t.Setenv("GOMAXPROCS", "1")
	env := (&Cluster{dir: "/d"}).environment()
	for _, want := range []string{"HOME=/d", "GOMAXPROCS=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("expected %s in %v", want, env)
		}
	}
	if slices.ContainsFunc(env, func(kv string) bool { return strings.Contains(kv, "/home/someone") }) {
		t.Errorf("expected nothing of the user's, found %v", env)
	}
}
