package node

import (
	"errors"
	"slices"
	"syscall"
	"testing"
)

// unify makes cgroups of a machine version 2, as systemd leaves them: hugetlb is there and enabled for nobody.
func (m machine) unify(t *testing.T) {
	t.Helper()
	m.remove(t, cgroups)
	m.write(t, cgroups+"/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n")
	m.write(t, cgroups+"/"+enabledFile, "cpuset cpu io memory pids\n")
	m.write(t, cgroups+"/cgroup.procs", "1\n2\n")
}

// nested makes the cgroup that a container takes for the root: of another kind, and with processes.
func (m machine) nested(t *testing.T) {
	t.Helper()
	m.unify(t)
	m.write(t, cgroups+"/cgroup.type", "domain\n")
}

// A kubelet refuses a cgroup that lacks a controller it knows and the root has; those it does not know are not touched.
func TestControllersAreEnabled(t *testing.T) {
	m := plant(t)
	m.unify(t)
	if got := m.hierarchies(); !slices.Equal(got, []string{m.path(cgroups)}) {
		t.Errorf("expected one hierarchy, found %q", got)
	}
	if err := m.controllable(); err != nil {
		t.Errorf("expected the machine's root to allow it, found %v", err)
	}
	trace := m.enter(t)
	if got := m.read(t, cgroups+"/"+enabledFile); got != "+hugetlb" {
		t.Errorf("expected +hugetlb to be written, found %q", got)
	}
	m.write(t, cgroups+"/"+enabledFile, "cpuset cpu io memory hugetlb pids\n") // as the kernel answers
	if err := trace.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.read(t, cgroups+"/"+enabledFile); got != "-hugetlb" {
		t.Errorf("expected -hugetlb to be written, found %q", got)
	}
}

// With all there that is needed nothing is written, neither before nor after, and no root has to allow it.
func TestControllersThatAreThereStay(t *testing.T) {
	m := plant(t)
	m.nested(t)
	all := "cpuset cpu io memory hugetlb pids\n"
	m.write(t, cgroups+"/"+enabledFile, all)
	if err := m.controllable(); err != nil {
		t.Error(err)
	}
	if err := m.enter(t).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.read(t, cgroups+"/"+enabledFile); got != all {
		t.Errorf("expected nothing to be written, found %q", got)
	}
}

// Where nobody noted which controllers there were, none is taken away.
func TestControllersOfAnUnknownTimeStay(t *testing.T) {
	m := plant(t)
	m.unify(t)
	before := m.read(t, cgroups+"/"+enabledFile)
	if err := m.remembered(t.TempDir()).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.read(t, cgroups+"/"+enabledFile); got != before {
		t.Errorf("expected nothing to be written, found %q", got)
	}
}

func TestControllersOfAContainer(t *testing.T) {
	m := plant(t)
	m.nested(t)
	if err := m.controllable(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("expected a cgroup with processes to be busy, found %v", err)
	}
	m.write(t, cgroups+"/cgroup.procs", "")
	if err := m.controllable(); err != nil {
		t.Errorf("expected an empty one to allow it, found %v", err)
	}
}

// With version 1 each controller has a hierarchy, and there is nothing to enable.
func TestControllersOfVersion1(t *testing.T) {
	m := plant(t)
	if got, err := m.enabled(); got != nil || err != nil {
		t.Errorf("expected none, found %q (%v)", got, err)
	}
	if err := errors.Join(m.controllable(), m.enable()); err != nil {
		t.Error(err)
	}
	if got := m.hierarchies(); !slices.Equal(got, []string{m.path(cgroups, "pids")}) {
		t.Errorf("expected the hierarchy pids, found %q", got)
	}
}
