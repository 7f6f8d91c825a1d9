package cluster

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// stages are the states kwok takes nodes and pods through. Its controller brings none of its own.
//
//go:embed kwok-stages.yaml
var stages []byte

//go:embed audit-policy.yaml
var auditPolicy []byte

// tempPrefix starts the names of temporary directories.
const tempPrefix = "hipaa-cluster-"

// leftoverAge is how old a temporary directory must be before another cluster removes it. Until then the
// logs of a test that was killed can still be read.
const leftoverAge = time.Hour

// makeDir returns the absolute directory to use, and whether it is a temporary one.
func makeDir(dir string) (string, bool, error) {
	if dir == "" {
		removeLeftovers()
		temp, err := os.MkdirTemp("", tempPrefix)
		return temp, true, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", false, err
	}
	entries, err := os.ReadDir(abs)
	if err != nil && !os.IsNotExist(err) {
		return "", false, err
	}
	if len(entries) > 0 {
		return "", false, fmt.Errorf("expected an empty directory for the cluster, found %d entries in %s; stop that cluster with `make down`, or remove the directory", len(entries), abs)
	}
	return abs, false, os.MkdirAll(abs, 0o700)
}

// ownerFile names the program that runs a temporary cluster.
const ownerFile = "owner.json"

// removeLeftovers removes temporary directories that a killed test had no chance to remove. Those of running
// programs, of other users, and those without an owner stay.
func removeLeftovers() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < leftoverAge {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, ownerFile))
		var owner process.Record
		if err != nil || json.Unmarshal(text, &owner) != nil {
			continue
		}
		if _, running := process.Find(owner); !running {
			_ = os.RemoveAll(dir) // what cannot be removed does no harm
		}
	}
}

// writeOwner lets a later program see whether this one has ended.
func (c *Cluster) writeOwner() error {
	if c.opts.Detached {
		return nil
	}
	text, err := json.Marshal(process.Self())
	if err != nil {
		return err
	}
	return os.WriteFile(c.path(ownerFile), text, 0o600)
}

// writeFiles writes certificates, kubeconfigs and configuration.
func (c *Cluster) writeFiles() error {
	for _, dir := range []string{"pki", "logs", "etcd"} {
		if err := os.MkdirAll(c.path(dir), 0o700); err != nil {
			return err
		}
	}
	if err := c.writeOwner(); err != nil {
		return err
	}
	if err := c.writeKeys(); err != nil {
		return err
	}
	if err := c.writeEncryptionConfig(); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"kwok-stages.yaml": stages, "audit-policy.yaml": auditPolicy} {
		if err := os.WriteFile(c.path(name), text, 0o600); err != nil {
			return err
		}
	}
	for name, user := range c.identities() {
		if err := c.WriteKubeconfig(c.kubeconfig(name), user); err != nil {
			return err
		}
	}
	return nil
}

// kubeletClient is the name of the files with which the API server is let into kubelets.
const kubeletClient = "kubelet-client"

func (c *Cluster) writeKeys() error {
	server, err := c.ca.Server(APIServer, c.address(), "10.96.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	client, err := c.ca.Client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	tokens, err := pki.NewKey()
	if err != nil {
		return err
	}
	if err := c.ca.Pair().Write(c.path("pki"), "ca"); err != nil {
		return err
	}
	if err := errors.Join(server.Write(c.path("pki"), APIServer), client.Write(c.path("pki"), kubeletClient)); err != nil {
		return err
	}
	return os.WriteFile(c.path("pki", "service-account.key"), tokens, 0o600)
}

// logTail is how much of a log goes into an error.
const logTail = 3000

// exitError says how a component ended, with the end of its log.
func (c *Cluster) exitError(name string, p *process.Process) error {
	how := "exit code 0"
	if err := p.Err(); err != nil {
		how = err.Error()
	}
	return fmt.Errorf("%s: %s; the end of %s:\n%s", name, how, c.LogPath(name), p.LogTail(logTail))
}
