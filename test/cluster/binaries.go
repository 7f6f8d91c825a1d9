package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Names of the components, as StopComponent, LogPath and PIDs use them.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kwok              = "kwok"
)

// AssetsVariable is the environment variable that names a directory with the programs to use instead of
// bin/k8s. Other Kubernetes test tools read it too.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// binaries maps a program's name to its path.
type binaries map[string]string

// findBinaries finds the programs these options need, and kubectl.
func findBinaries(opts Options) (binaries, error) {
	dir := os.Getenv(AssetsVariable)
	if dir == "" {
		root, err := RepositoryRoot()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(root, "bin", "k8s")
	}
	found, missing := binaries{}, []string{}
	for _, name := range append(opts.components(), "kubectl") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
			continue
		}
		found[name] = path
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("expected the programs of the control plane in %s, found no executable %s; run `make cluster-bin`, or set %s to a directory that has them",
			dir, strings.Join(missing, ", "), AssetsVariable)
	}
	return found, nil
}

// components lists what the options start, in the order of starting.
func (o Options) components() []string {
	names := []string{Etcd, APIServer}
	for _, optional := range []struct {
		name string
		on   bool
	}{{ControllerManager, o.ControllerManager}, {Scheduler, o.Scheduler}, {Kwok, o.Kwok}} {
		if optional.on {
			names = append(names, optional.name)
		}
	}
	return names
}

// RepositoryRoot returns the directory of the operator's go.mod: the nearest parent of the working directory
// that has one and is not a nested module.
func RepositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(text), "module "+modulePath+"\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("expected to run inside a checkout of %s, found no go.mod of it in %s or above; change into the checkout", modulePath, start)
		}
	}
}

const modulePath = "github.com/hipaatenant/hipaa-tenant-operator"
