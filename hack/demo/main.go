// Command demo shows what the operator is for, from nothing to the end: on a control plane of its own, in a temporary
// directory, it lets people do what they should and should not do, prints each command as they would type it with the API
// server's answer, and checks that answer. It ends with code 0 only if every check passed, and leaves nothing behind.
//
//	go run ./hack/demo
//
// The manifests it applies are config/samples and hack/demo/manifests.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

// limit bounds the whole demonstration, so that it ends by itself whatever happens. Usual is a minute.
const limit = 10 * time.Minute

func main() { program.Main("error", run) }

func run(ctx context.Context, _ []string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	d, err := prepare(ctx, newTerminal(os.Stdout))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	return d.summarize(d.play(ctx, steps()), time.Since(began))
}
