package node

import (
	"errors"
	"os"
	"strings"
	"testing"
)

var errRefused = errors.New("exit status 1")

// able makes a machine that can run a node, as far as its files tell.
func able(t *testing.T) machine {
	t.Helper()
	m := plant(t)
	for _, plugin := range plugins {
		m.write(t, plugin, "")
	}
	bin := machine(t.TempDir())
	for _, name := range programs {
		bin.program(t, name)
	}
	t.Setenv("PATH", bin.path())
	return m
}

func (m machine) program(t *testing.T, name string) {
	t.Helper()
	m.write(t, name, "#!/bin/sh\n")
	if err := os.Chmod(m.path(name), 0o700); err != nil {
		t.Fatal(err)
	}
}

// What a machine misses is said before anything is built, with the remedy where there is one.
func TestPossible(t *testing.T) {
	succeed := func(string) ([]byte, error) { return nil, nil }
	refuse := func(what string) func(string) ([]byte, error) {
		return func(line string) ([]byte, error) {
			if strings.Contains(line, what) {
				return []byte(what + ": refused\nand more"), errRefused
			}
			return nil, nil
		}
	}
	for what, c := range map[string]struct {
		spoil func(t *testing.T, m machine)
		try   func(string) ([]byte, error)
		want  string
	}{
		"nothing":         {func(*testing.T, machine) {}, succeed, ""},
		"a plug-in":       {func(t *testing.T, m machine) { m.remove(t, plugins[1]) }, succeed, "there is no CNI plug-in /usr/lib/cni/host-local; `make e2e` installs it"},
		"a program":       {func(t *testing.T, _ machine) { t.Setenv("PATH", t.TempDir()) }, succeed, "there is no program nsenter"},
		"cgroups":         {func(t *testing.T, m machine) { m.remove(t, cgroups) }, succeed, "no cgroups are mounted below /sys/fs/cgroup"},
		"controllers":     {func(t *testing.T, m machine) { m.nested(t) }, succeed, "a kubelet needs the cgroup controllers hugetlb"},
		"bridges":         {func(*testing.T, machine) {}, refuse("bridge"), "namespaces or bridges are refused: exit status 1: bridge: refused"},
		"a loaded module": {func(*testing.T, machine) {}, refuse("bridge-nf-call-iptables"), "run `modprobe br_netfilter`"},
	} {
		t.Run(what, func(t *testing.T) {
			m := able(t)
			c.spoil(t, m)
			err := m.possible(c.try)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("expected it to be possible, found %v", err)
			case c.want != "" && (!errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("expected one line with %q, found %v", c.want, err)
			}
		})
	}
}

func (m machine) remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(m.path(path)); err != nil {
		t.Fatal(err)
	}
}

// The system's programs are found by whoever becomes root without root's path, and the user's own come first.
func TestSystemPath(t *testing.T) {
	for path, want := range map[string]string{
		"":                         "/usr/sbin:/sbin",
		"/usr/local/bin:/bin":      "/usr/local/bin:/bin:/usr/sbin:/sbin",
		"/sbin:/home/a/bin:/bin":   "/sbin:/home/a/bin:/bin:/usr/sbin",
		"/opt/bin:/usr/sbin:/sbin": "/opt/bin:/usr/sbin:/sbin",
	} {
		if got := SystemPath(path); got != want {
			t.Errorf("%q: expected %q, found %q", path, want, got)
		}
	}
}
