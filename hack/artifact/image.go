package artifact

import (
	"context"
	"fmt"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/oci"
)

const (
	// Repository of the operator's image: its name without tag.
	Repository = "ghcr.io/hipaatenant/hipaa-tenant-operator"
	// User whom images run their program as: a number, so that a kubelet can tell without a password file that it is not root.
	User = "65532:65532"
	// Program of the operator's image, and the file it is in the root directory.
	Program = "manager"
)

// Labels of the operator's image. The Dockerfile has the same ones.
func Labels(version, revision string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "hipaa-tenant-operator",
		"org.opencontainers.image.description": "Isolated, region-bound, encrypted namespaces for healthcare customers",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     version,
		"org.opencontainers.image.revision":    revision,
	}
}

// OperatorImage is the operator's image to be made.
type OperatorImage struct {
	// Name with registry and tag.
	Name string
	// Binary to compile for each of Architectures, as Go names them.
	Binary        Binary
	Architectures []string
	// When is the time of the image and of its file.
	When time.Time
}

// Made is an image with a bill of materials for each architecture.
type Made struct {
	oci.Archive
	Bills map[string][]byte
}

// Make compiles the operator and packs it: one static program on nothing.
func (o OperatorImage) Make(ctx context.Context) (Made, error) {
	binaries := map[string][]byte{}
	var images []oci.Image
	for _, arch := range o.Architectures {
		b := o.Binary
		b.Package, b.OS, b.Arch = "./cmd/"+Program, "linux", arch
		text, err := b.Build(ctx)
		if err != nil {
			return Made{}, err
		}
		if binaries[arch] != nil {
			return Made{}, fmt.Errorf("expected every architecture once, found %q", o.Architectures)
		}
		binaries[arch] = text
		images = append(images, oci.Image{
			OS: b.OS, Arch: arch, User: User, Entrypoint: []string{"/" + Program}, Labels: Labels(b.Version, b.Revision), Created: o.When,
			Files: []oci.File{{Path: Program, Mode: 0o755, Text: text}},
		})
	}
	archive, err := oci.Pack(o.Name, images...)
	if err != nil {
		return Made{}, err
	}
	made := Made{Archive: archive, Bills: map[string][]byte{}}
	for arch, text := range binaries {
		if made.Bills[arch], err = ImageBill(o.Name, archive.Digest, o.When, Program, text); err != nil {
			return Made{}, err
		}
	}
	return made, nil
}

// Files are the archive and the bills, by the names they are published under.
func (m Made) Files(version string) map[string][]byte {
	files := map[string][]byte{"hipaa-tenant-operator-image_" + version + ".tar": m.Text}
	for arch, text := range m.Bills {
		files["hipaa-tenant-operator-image_"+version+"_linux_"+arch+".cdx.json"] = text
	}
	return files
}
