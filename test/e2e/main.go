// Command e2e runs the whole product on real nodes: the operator's image as pods that its chart installs, tenants with running
// workloads, packets between them. `make e2e` runs it.
//
//	bin/e2e [-only STORY,STORY...] [-keep]
//
// It needs root, cgroups, and Debian's containerd, runc and containernetworking-plugins. Everything runs in network, mount and
// process namespaces of its own (package test/node), on two nodes with a kubelet, containerd, CNI's bridge and kube-proxy each.
// Every story prints
//
//	e2e: <story> <ok|miss> <seconds>s <figures>
//
// and what is left on the machine afterwards is counted in the last line. Exit codes: 0 when every story held, 1 when one did not,
// 77 when this machine cannot run a node; the reason is the only line printed then.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

// exitImpossible is the exit code on a machine that cannot run a node.
const exitImpossible = 77

func main() {
	program.Quiet()
	// Whatever the user's own is: what containers read on the nodes' disks is read by users who are not root.
	syscall.Umask(0o022)
	if err := os.Setenv("PATH", node.SystemPath(os.Getenv("PATH"))); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	if len(os.Args) == 3 && os.Args[1] == inside {
		program.Main("e2e", func(ctx context.Context, args []string) error { return runInside(ctx, args[1]) })
		return
	}
	program.Main("e2e", run)
}

// options of one run, and what was made for it outside the sandbox. It is handed to the inside in a file.
type options struct {
	// Only these stories; empty means all.
	Only []string `json:"only,omitempty"`
	// Keep the files when all is over.
	Keep bool `json:"keep,omitempty"`
	// Dir is where everything is.
	Dir string `json:"dir"`
	// Root of the repository.
	Root string `json:"root"`
	// Images, and what else was built.
	Built built `json:"built"`
}

// inside is the first argument of this program's second run, in the sandbox; the options' file is the second.
const inside = "inside"

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("e2e", flag.ContinueOnError)
	only := f.String("only", "", "comma list of stories to tell; empty means all: "+strings.Join(names(), ", "))
	f.BoolVar(&o.Keep, "keep", false, "keep logs and files, and print where they are")
	possible := f.Bool("possible", false, "only say whether this machine can run a node")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("expected only flags, found %q", f.Args())
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	if err := known(o.Only); err != nil {
		return err
	}
	if err := node.Possible(ctx); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return program.Exit{Code: exitImpossible, Err: err}
	}
	if *possible {
		return nil
	}
	return o.run(ctx)
}

// run builds, enters the sandbox, and looks what is left of it.
func (o options) run(ctx context.Context) (err error) {
	release, err := node.Alone(ctx, func(other string) {
		fmt.Printf("another run, %s, is under way on this machine: waiting for its end\n", other)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if o.Dir, err = node.MakeDir(ctx); err != nil {
		return err
	}
	trace, err := node.NewTrace(o.Dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(o.Dir))
	}
	defer func() { err = errors.Join(err, o.leave(trace, err != nil && ctx.Err() == nil)) }()
	if err := trace.Prepare(); err != nil {
		return err
	}
	// What compilers are killed over lies with the rest of the files.
	if err := os.Setenv("TMPDIR", o.Dir); err != nil {
		return err
	}
	if err := o.build(ctx); err != nil {
		return cmp.Or(ctx.Err(), err) // that a compiler was killed is no news to who pressed Ctrl-C
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	file := filepath.Join(o.Dir, "options.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	if err := node.Enter(ctx, inside, file); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return fmt.Errorf("not every story held: %w", err)
	}
	return nil
}

// leave removes what namespaces do not hold, and counts what is there still. The logs of a run that failed are kept elsewhere.
func (o options) leave(trace *node.Trace, failed bool) (err error) {
	if failed || o.Keep {
		fmt.Printf("logs and files are in %s\n", o.Dir)
		trace.KeepFiles()
	}
	err = trace.Remove(context.Background()) // also when the user has had enough
	left, others, listing := trace.Left()
	for _, one := range left {
		fmt.Println("left behind:", one)
	}
	for _, one := range others {
		fmt.Println("appeared meanwhile, and is not of this run:", one)
	}
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("%d things are left behind", len(left)))
	}
	fmt.Printf("e2e: leftovers %s processes=%d mounts=%d devices=%d cgroups=%d settings=%d directories=%d\n", verdict(len(left) == 0),
		count(left, "process"), count(left, "mount"), count(left, "device"), count(left, "cgroup"), count(left, "setting"), count(left, "directory"))
	return errors.Join(err, listing)
}

func count(left []string, kind string) (n int) {
	for _, one := range left {
		if strings.HasPrefix(one, kind+" ") {
			n++
		}
	}
	return n
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "miss"
}
