package main

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
)

// materials writes the bill of the command line. The operator's stand beside its image.
func (r *release) materials(ctx context.Context) error {
	binary, err := r.build(ctx, platform{"linux", "amd64"}, "./cmd/kubectl-hipaa")
	if err != nil {
		return err
	}
	text, err := artifact.Bill("kubectl-hipaa", r.version, r.when, binary)
	if err != nil {
		return err
	}
	return r.write("kubectl-hipaa_"+r.version+".cdx.json", text)
}
