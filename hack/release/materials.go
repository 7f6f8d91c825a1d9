package main

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
)

// materials writes a bill for each program.
func (r *release) materials(ctx context.Context) error {
	for _, name := range []string{"manager", "kubectl-hipaa"} {
		binary, err := r.build(ctx, platform{"linux", "amd64"}, "./cmd/"+name)
		if err != nil {
			return err
		}
		text, err := artifact.Bill(name, r.version, r.when, binary)
		if err != nil {
			return err
		}
		if err := r.write(name+"_"+r.version+".cdx.json", text); err != nil {
			return err
		}
	}
	return nil
}
