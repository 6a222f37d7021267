package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestText(t *testing.T) {
	golang := "\ngo     " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	stamps := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{
			{Key: "vcs.revision", Value: "2f0134a2c751"},
			{Key: "vcs.time", Value: "2026-11-24T00:29:44Z"},
			{Key: "vcs.modified", Value: modified},
		}
	}
	for version, test := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"":             {nil, "unknown"},
		"(devel)":      {stamps("true"), "(devel)\ncommit 2f0134a2c751, with changes\ndate   2026-11-24T00:29:44Z"},
		"v1.2.3":       {stamps("false"), "v1.2.3\ncommit 2f0134a2c751\ndate   2026-11-24T00:29:44Z"},
		"v1.2.3+dirty": {nil, "v1.2.3+dirty"}, // of go install
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: test.settings}
		if got := text(info); got != test.want+golang {
			t.Errorf("%q: %q, want %q", version, got, test.want+golang)
		}
	}
}
