// Command upgrade takes a cluster with tenants from the previous version of the operator to this one, back, forward again,
// away and in again, with the real helm and the charts of both versions. `make upgrade` runs it.
//
// # Method
//
// The cluster is a real control plane: etcd, API server, controller manager. The previous version is built, operator and
// chart, from its commit. Nothing runs the operator's pods: whatever the chart's Deployment says is run as a process of its
// own, with the Deployment's command line, under the chart's service account. When the Deployment changes, the operator it
// asks for is started beside the one that runs, and once it is ready that one is ended, as a rolling update does; by a
// rollback it is killed instead, so that its lease has to run out.
//
// All the while a cluster administrator, whom RBAC refuses nothing, does by turns in all tenants what the policies must
// refuse, and what they must not. What passes of the one, and is refused of the other, is counted; so are writes of the
// operator, from the API server's audit log, and namespaces, Secrets, ConfigMaps and claims that are gone, or are others
// under the same name, or have another content. A phase has ended when every tenant is Ready under the operator that the
// Deployment asks for, every policy is type-checked, and the operator has written nothing for a while.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/images"
	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

func main() {
	program.Quiet()
	program.Main("upgrade", run)
}

// options of one run.
type options struct {
	count int
	from  string
	limit time.Duration
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("upgrade", flag.ContinueOnError)
	f.IntVar(&o.count, "tenants", 100, "number of tenants, 1 or more")
	f.StringVar(&o.from, "from", images.Previous, "commit of the previous version")
	f.DurationVar(&o.limit, "limit", 3*time.Minute, "how long a phase may take until every tenant is Ready")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.count < 1 || f.NArg() > 0 {
		return fmt.Errorf("expected -tenants of 1 or more and no other words, found %d and %q", o.count, f.Args())
	}
	w, err := build(ctx, o)
	if errors.Is(err, artifact.ErrNoCommit) {
		fmt.Printf("upgrade: nothing was run: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	err = w.story(ctx)
	return errors.Join(err, w.end(err != nil))
}
