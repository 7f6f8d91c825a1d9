// Command cluster builds the control plane that tests and demonstrations run on, and keeps one running locally, with
// the operator on it.
//
//	go run ./hack/cluster build [-kubelet]   build into bin/k8s what is missing there
//	go run ./hack/cluster up                 start a cluster that stays, with the operator and its state in .local
//	go run ./hack/cluster down               stop it
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/cluster/internal/build"
	"github.com/hipaatenant/hipaa-tenant-operator/hack/cluster/internal/local"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

const usage = "usage: go run ./hack/cluster build [-kubelet] | up | down"

func main() { program.Main("error", run) }

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("expected a command, found none; %s", usage)
	}
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return err
	}
	environment := local.Environment{Dir: filepath.Join(root, ".local"), Log: os.Stdout}
	switch command, args := args[0], args[1:]; command {
	case "build":
		return runBuild(ctx, root, args)
	case "up":
		return runUp(ctx, root, environment)
	case "down":
		return environment.Down()
	default:
		return fmt.Errorf("expected build, up or down, found %q; %s", command, usage)
	}
}

// runUp builds the operator first: when that fails, nothing was touched.
func runUp(ctx context.Context, root string, environment local.Environment) (err error) {
	fmt.Println("building the operator; that takes minutes the first time")
	if environment.Operator, err = operator.Build(ctx, filepath.Join(root, "bin")); err != nil {
		return err
	}
	return environment.Up(ctx)
}

func runBuild(ctx context.Context, root string, args []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	kubelet := flags.Bool("kubelet", false, "build the kubelet too, for tests on a real node")
	if err := flags.Parse(args); err != nil {
		return err
	}
	programs := build.Programs()
	if *kubelet {
		programs = append(programs, build.Kubelet())
	}
	if dir := os.Getenv(cluster.AssetsVariable); dir != "" {
		fmt.Printf("%s is set: the programs in %s are used, and nothing is built\n", cluster.AssetsVariable, dir)
		return build.Check(dir, programs)
	}
	return build.Builder{
		Root: root, Out: filepath.Join(root, "bin", "k8s"), Log: os.Stdout, Interval: 15 * time.Second,
	}.Build(ctx, programs)
}
