package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

func TestLosses(t *testing.T) {
	before := map[string]possession{"same": {"1", "a"}, "gone": {"2", "a"}, "another": {"3", "a"}, "changed": {"4", "a"}}
	after := map[string]possession{"same": {"1", "a"}, "another": {"9", "a"}, "changed": {"4", "b"}, "new": {"5", "a"}}
	lost, changed := losses(before, after)
	if diff := cmp.Diff([][]string{{"another", "gone"}, {"changed"}}, [][]string{lost, changed}); diff != "" {
		t.Error(diff)
	}
}

const auditLines = `
{"stage":"ResponseComplete","verb":"patch","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"resource":"configmaps"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-22T10:00:00.5Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"apiGroup":"admissionregistration.k8s.io","resource":"validatingadmissionpolicies"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-22T10:00:01Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"resource":"hipaatenants","subresource":"status"},"responseStatus":{"code":409},"stageTimestamp":"2026-11-22T10:00:02Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"resource":"leases"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-22T10:00:03Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"resource":"selfsubjectreviews"},"responseStatus":{"code":201},"stageTimestamp":"2026-11-22T10:00:03Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"system:serviceaccount:hipaa-platform:hipaa-tenant-operator"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-22T10:00:04Z"}
{"stage":"ResponseComplete","verb":"delete","user":{"username":"admin"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-22T10:00:05Z"}
`

// What the operator stored is counted once, also when a line is not whole yet when it is read.
func TestAuditLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log := &auditLog{path: path}
	if w, err := log.take(); err != nil || w.all != 0 {
		t.Fatalf("%d writes before the log is there, %v", w.all, err)
	}
	text := strings.TrimPrefix(auditLines, "\n")
	var total writes
	for _, cut := range []int{100, len(text)} {
		if err := os.WriteFile(path, []byte(text[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := log.take()
		if err != nil {
			t.Fatal(err)
		}
		total.all, total.policies = total.all+w.all, total.policies+w.policies
		if cut == len(text) && (w.text() != "1 patch configmaps, 1 update validatingadmissionpolicies" || !w.last.Equal(time.Date(2026, 11, 22, 10, 0, 1, 0, time.UTC))) {
			t.Errorf("%s, last %s", w.text(), w.last)
		}
	}
	if total.all != 2 || total.policies != 1 {
		t.Errorf("%d writes, %d of them of policies, expected 2 and 1", total.all, total.policies)
	}
}

// A clone without the history says so in one line, and nothing else happens.
func TestACommitThatIsNotThere(t *testing.T) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	_, err = previousRelease(t.Context(), root, strings.Repeat("0", 40), t.TempDir())
	if !errors.Is(err, artifact.ErrNoCommit) || !strings.Contains(err.Error(), "fetch the whole history") {
		t.Errorf("expected an error that says what to do, found %v", err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-tenants=0"}, {"tenants"}, {"-speed=1"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
