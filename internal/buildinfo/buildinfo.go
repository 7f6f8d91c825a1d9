// Package buildinfo says what a binary was built from, the same in each of the project's binaries, in its metrics and in its
// requests.
package buildinfo

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// Set by the linker: release in a build that the Makefile or the Dockerfile makes, revision in one that Go lets not ask git.
var release, revision string

// Info of the running binary. No field is empty.
type Info struct {
	// Version of the release, such as 0.1.0; of a build without one, what Go recorded of the module.
	Version string
	// Revision is the commit it was built from, with "-dirty" where the tree had changes.
	Revision string
	// GoVersion such as go1.26.0.
	GoVersion string
}

const unknown = "unknown"

// Read what this binary was built from.
func Read() Info {
	build, found := debug.ReadBuildInfo()
	if !found {
		build = &debug.BuildInfo{}
	}
	return from(build)
}

func from(build *debug.BuildInfo) Info {
	settings := map[string]string{}
	for _, s := range build.Settings {
		settings[s.Key] = s.Value
	}
	recorded := settings["vcs.revision"]
	if recorded != "" && settings["vcs.modified"] == "true" {
		recorded += "-dirty"
	}
	return Info{
		Version:   cmp.Or(release, build.Main.Version, unknown),
		Revision:  cmp.Or(revision, recorded, unknown),
		GoVersion: cmp.Or(build.GoVersion, runtime.Version()),
	}
}
