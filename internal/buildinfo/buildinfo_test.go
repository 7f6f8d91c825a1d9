package buildinfo

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestFrom(t *testing.T) {
	for name, tc := range map[string]struct {
		release, revision string
		build             debug.BuildInfo
		want              Info
	}{
		"nothing recorded": {"", "", debug.BuildInfo{}, Info{"unknown", "unknown", runtime.Version()}},
		"go install": {"", "", debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v0.2.0"}},
			Info{"v0.2.0", "unknown", "go1.26.0"}},
		"a release": {"0.2.0", "", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"},
		}}, Info{"0.2.0", "abc", runtime.Version()}},
		"with changes": {"0.2.0", "", debug.BuildInfo{Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"},
		}}, Info{"0.2.0", "abc-dirty", runtime.Version()}},
		"told the revision": {"0.2.0", "def", debug.BuildInfo{}, Info{"0.2.0", "def", runtime.Version()}},
	} {
		release, revision = tc.release, tc.revision
		if got := from(&tc.build); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	release, revision = "", ""
}

func TestReadHasNoEmptyField(t *testing.T) {
	if got := Read(); got.Version == "" || got.Revision == "" || got.GoVersion != runtime.Version() {
		t.Errorf("%+v", got)
	}
}
