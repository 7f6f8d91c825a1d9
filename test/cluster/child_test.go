package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// childVariable turns this test program into one that starts a cluster and waits to be killed.
const childVariable = "HIPAA_CLUSTER_TEST_CHILD"

// runChild prints the process ids of its cluster as JSON.
func runChild() int {
	c, err := cluster.Start(context.Background(), cluster.Options{Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(c.PIDs()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

// The other ways to end a program are tried on package process, with smaller children.
func TestKilledTestLeavesNoProcess(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1", "TMPDIR="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the child has not started its cluster: %v (%v)", err, child.Wait())
	}
	var pids map[string]int
	if err := json.Unmarshal(line, &pids); err != nil {
		t.Fatal(err)
	}
	if len(pids) != 2 {
		t.Errorf("expected etcd and the API server, found %v", pids)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("expected the child to die, found exit code 0")
	}
	eventually(t, 10*time.Second, func() error { return allGone(pids) })
}

func allGone(pids map[string]int) error {
	var left []error
	for name, pid := range pids {
		if !gone(pid) {
			left = append(left, fmt.Errorf("expected %s (pid %d) to be gone, found it running", name, pid))
		}
	}
	return errors.Join(left...)
}
