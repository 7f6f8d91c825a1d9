// Package mounted has files that change as those of a mounted ConfigMap or Secret do, for tests of what watches them.
package mounted

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Volume is a mounted ConfigMap or Secret with one file, as the kubelet keeps it: the file is a link into ..data, which is a
// link that is replaced.
type Volume struct {
	t    testing.TB
	file string
}

// New mounts a file.
func New(t testing.TB, name string, content []byte) *Volume {
	t.Helper()
	v := &Volume{t: t, file: filepath.Join(t.TempDir(), name)}
	v.Write(content)
	v.Link()
	return v
}

// File is the path that applications read.
func (v *Volume) File() string { return v.file }

// Write has the file hold something else, from one moment to the next.
func (v *Volume) Write(content []byte) {
	v.t.Helper()
	dir, name := filepath.Split(v.file)
	data, err := os.MkdirTemp(dir, "..")
	v.must(err)
	v.must(os.WriteFile(filepath.Join(data, name), content, 0o600))
	v.must(os.Symlink(filepath.Base(data), filepath.Join(dir, "..data_tmp")))
	v.must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

// Remove takes the file away.
func (v *Volume) Remove() {
	v.t.Helper()
	v.must(os.Remove(v.file))
}

// Link puts the file back.
func (v *Volume) Link() {
	v.t.Helper()
	v.must(os.Symlink(filepath.Join("..data", filepath.Base(v.file)), v.file))
}

func (v *Volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// Next is what a watcher tells next.
func Next(t testing.TB, told <-chan error) error {
	t.Helper()
	select {
	case err := <-told:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told within 10 s")
		return nil
	}
}
