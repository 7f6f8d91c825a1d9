package images

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/oci"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// TestSpecs name programs that exist, under names that importers take.
func TestSpecs(t *testing.T) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Spec{
		Operator("hipaa.test/operator:1", "0.2.0"), Sample("hipaa.test/tenant-app:1", "tenant-app"),
		Sample("hipaa.test/keyset-consumer:1", "keyset-consumer"), Pause("hipaa.test/pause:1"), Toolbox("hipaa.test/toolbox:1"),
	} {
		if _, err := os.Stat(filepath.Join(root, s.Package, "main.go")); err != nil || !oci.Reference.MatchString(s.Name) {
			t.Errorf("%+v, error %v", s, err)
		}
	}
}

// TestTheSameImage comes of two builds, and it says what is wrong with what cannot be built.
func TestTheSameImage(t *testing.T) {
	one, err := Build(t.Context(), filepath.Join(t.TempDir(), "a"), Pause("hipaa.test/pause:1"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := Build(t.Context(), t.TempDir(), Pause("hipaa.test/pause:1"))
	if err != nil || one.Digest != two.Digest || one.Name != "hipaa.test/pause:1" || filepath.Base(one.Path) != "hipaa.test_pause_1.tar" {
		t.Errorf("%+v %+v, error %v", one, two, err)
	}
	if info, err := os.Stat(one.Path); err != nil || info.Size() < 100<<10 || info.Size() > 4<<20 {
		t.Errorf("%v, error %v", info, err)
	}
	if _, err := Build(t.Context(), t.TempDir(), Sample("hipaa.test/none:1", "none")); err == nil || !strings.Contains(err.Error(), "image hipaa.test/none:1: ") {
		t.Errorf("error %v", err)
	}
}

// TestPauseReaps what was left to it, and ends when it is told to.
func TestPauseReaps(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "pause")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./pause").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The shell starts a child, tells its number, and becomes pause: the child is then pause's, which did not start it.
	pause := exec.CommandContext(t.Context(), "sh", "-c", "sleep 0.2 & echo $!; exec "+binary)
	stdout, err := pause.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := pause.Start(); err != nil {
		t.Fatal(err)
	}
	child, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	gone := func(context.Context) (bool, error) {
		_, err := os.Stat("/proc/" + strings.TrimSpace(child))
		return errors.Is(err, os.ErrNotExist), nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, gone); err != nil {
		t.Errorf("the child was not reaped: %v", err)
	}
	if err := pause.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := pause.Wait(); err != nil {
		t.Errorf("pause ended with %v", err)
	}
}
