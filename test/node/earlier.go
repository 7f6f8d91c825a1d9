package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// dirPrefix starts the name of a sandbox's directory, and of its nodes' cgroups.
const dirPrefix = "hipaa-e2e-"

// dirName is what MakeDir names a directory.
var dirName = regexp.MustCompile("^" + dirPrefix + "[0-9]+$")

// ownerFile names the program that a directory belongs to, as long as it has to be removed.
const ownerFile = "owner.json"

// MakeDir makes the directory of a sandbox, once it has removed what earlier ones left that were killed together with the program
// that would have removed it.
func MakeDir(ctx context.Context) (string, error) { return here.makeDir(ctx) }

func (m machine) makeDir(ctx context.Context) (string, error) {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		dir := filepath.Join(os.TempDir(), entry.Name())
		if !abandoned(dir) {
			continue
		}
		if err := m.remembered(dir).Remove(ctx); err != nil {
			return "", fmt.Errorf("removing what an earlier run left: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(process.Self())
	return dir, errors.Join(err, os.WriteFile(filepath.Join(dir, ownerFile), text, 0o600))
}

// abandoned says that a directory was to be removed by a program that has ended. Everybody may make directories beside it, and what
// is read in one decides what root removes and writes: so it counts only where nobody but this user can have written.
func abandoned(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !dirName.MatchString(info.Name()) || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	if made, ok := info.Sys().(*syscall.Stat_t); !ok || int(made.Uid) != os.Geteuid() {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, ownerFile))
	var owner process.Record
	if err != nil || json.Unmarshal(text, &owner) != nil {
		return false
	}
	_, running := process.Find(owner)
	return !running
}

// remembered is the Trace of a run that was killed. Of what it remembers only that counts which a Trace has to put back.
func (m machine) remembered(dir string) *Trace {
	t := &Trace{dir: dir, on: m}
	if text, err := os.ReadFile(filepath.Join(dir, machineFile)); err == nil {
		_ = json.Unmarshal(text, &t.before) // without it there is still the rest to remove
	}
	maps.DeleteFunc(t.before.Settings, func(name string, _ []byte) bool { return !slices.Contains(kernelSettings, name) })
	t.before.Missing = slices.DeleteFunc(t.before.Missing, func(dir string) bool { return !slices.Contains(lineage(hidden), dir) })
	return t
}
