package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/images"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// operatorImage is what the chart names, without the tag.
const operatorImage = "ghcr.io/hipaatenant/hipaa-tenant-operator"

// appImage is the sample application that tenants run.
const appImage = "hipaa.test/keyset-consumer:1"

// toolboxImage is what somebody who reaches into a pod finds.
const toolboxImage = "hipaa.test/toolbox:1"

// built is what was made outside, where Go finds its modules.
type built struct {
	// Tarballs of all images.
	Tarballs []string `json:"tarballs"`
	// Charts of the operator, by version.
	Present release `json:"present"`
	// Previous version; empty when its commit is not in this clone, or when nothing is upgraded.
	Previous release `json:"previous"`
}

// release is a version of the operator's chart.
type release struct {
	Version string `json:"version"`
	Chart   string `json:"chart"`
}

// build makes the images, from source.
func (o *options) build(ctx context.Context) (err error) {
	if o.Root, err = cluster.RepositoryRoot(); err != nil {
		return err
	}
	bin := filepath.Join(o.Root, "bin")
	assets := cmp.Or(os.Getenv(cluster.AssetsVariable), filepath.Join(bin, "k8s"))
	for _, tool := range []string{filepath.Join(bin, "helm"), filepath.Join(bin, node.KubeProxy), filepath.Join(bin, "vault-transit"), filepath.Join(assets, node.Kubelet)} {
		if _, err := os.Stat(tool); err != nil {
			return fmt.Errorf("%w: run `make e2e`, which builds it", err)
		}
	}
	began := time.Now()
	fmt.Println("building the images from source")
	if o.Built.Present, err = releaseOf(o.Root); err != nil {
		return err
	}
	specs := []images.Spec{
		images.Pause(node.PauseImage),
		images.Operator(operatorImage+":"+o.Built.Present.Version, o.Built.Present.Version),
		images.Sample(appImage, "keyset-consumer"),
		images.Toolbox(toolboxImage),
	}
	if o.tells("upgrade") {
		previous, err := o.previous(ctx)
		if err != nil {
			return err
		}
		specs = append(specs, previous...)
	}
	for _, s := range specs {
		image, err := images.Build(ctx, filepath.Join(o.Dir, "images"), s)
		if err != nil {
			return err
		}
		fmt.Printf("  %s %s\n", image.Name, image.Digest)
		o.Built.Tarballs = append(o.Built.Tarballs, image.Path)
	}
	fmt.Printf("built %d images in %s\n", len(specs), short(time.Since(began)))
	return nil
}

// previous version's image. Without its commit there is none, and nothing to upgrade from, which is an error for who asked for that
// story by name, and a line for who asked for all.
func (o *options) previous(ctx context.Context) ([]images.Spec, error) {
	source := filepath.Join(o.Dir, "previous")
	err := artifact.Checkout(ctx, o.Root, images.Previous, source)
	if errors.Is(err, artifact.ErrNoCommit) && len(o.Only) == 0 {
		fmt.Printf("story upgrade will not be told: %v\n", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the previous version: %w", err)
	}
	if o.Built.Previous, err = releaseOf(source); err != nil {
		return nil, err
	}
	return []images.Spec{images.OperatorOf(operatorImage+":"+o.Built.Previous.Version, o.Built.Previous.Version, source)}, nil
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
