package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// stateFile is where a detached cluster is written down, in its directory.
const stateFile = "cluster.json"

// state is what Open needs to find a detached cluster again.
type state struct {
	Options   Options          `json:"options"`
	Ports     ports            `json:"ports"`
	Binaries  binaries         `json:"binaries"`
	Processes []process.Record `json:"processes"`
}

// saveState writes the state of a detached cluster, at once or not at all. The caller holds c.mu.
func (c *Cluster) saveState() error {
	if !c.opts.Detached {
		return nil
	}
	s := state{Options: c.opts, Ports: c.ports, Binaries: c.bin}
	for _, name := range stopOrder {
		if p, ok := c.processes[name]; ok {
			s.Processes = append(s.Processes, p.Record())
		}
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temp := c.path(stateFile + ".new")
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, c.path(stateFile))
}

// ErrNoCluster says that a directory holds no detached cluster.
var ErrNoCluster = errors.New("no cluster")

// Open returns the detached cluster of a directory, running or not; Running tells. Its error is
// ErrNoCluster when there is none.
func Open(dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("%w in %s; start one with `make up`", ErrNoCluster, dir)
	}
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w; stop the processes that use %s, and remove it", stateFile, err, dir)
	}
	s.Options.Log = io.Discard
	c := &Cluster{opts: s.Options, dir: dir, bin: s.Binaries, ports: s.Ports, processes: map[string]*process.Process{}}
	if c.ca, err = pki.LoadCA(c.path("pki"), "ca"); err != nil {
		return nil, err
	}
	c.admin = c.User("admin", "system:masters")
	for _, r := range s.Processes {
		if p, ok := process.Find(r); ok {
			c.processes[r.Name] = p
		}
	}
	return c, nil
}

// Running says whether every component that the options ask for runs.
func (c *Cluster) Running() bool { return len(c.PIDs()) == len(c.opts.components()) }
