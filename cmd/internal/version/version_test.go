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
		"":                                     {nil, "unknown, built for development"},
		"(devel)":                              {stamps("true"), "unknown, built for development\ncommit 2f0134a2c751, with changes\ndate   2026-11-24T00:29:44Z"},
		"v1.2.3":                               {stamps("false"), "v1.2.3\ncommit 2f0134a2c751\ndate   2026-11-24T00:29:44Z"},
		"v1.2.4":                               {nil, "v1.2.4"}, // of go install
		"v2.0.0-rc.1+incompatible":             {nil, "v2.0.0-rc.1+incompatible"},
		"v1.2.3+dirty":                         {nil, "v1.2.3+dirty, built for development"},
		"v0.0.0-20261124002944-2f0134a2c751":   {nil, "v0.0.0-20261124002944-2f0134a2c751, built for development"},
		"v1.2.4-0.20261124002944-2f0134a2c751": {nil, "v1.2.4-0.20261124002944-2f0134a2c751, built for development"},
		"v1.2.4-rc.0.20261124002944-2f0134a2c751":  {nil, "v1.2.4-rc.0.20261124002944-2f0134a2c751, built for development"},
		"v0.0.0-20261124002944-2f0134a2c751+dirty": {nil, "v0.0.0-20261124002944-2f0134a2c751+dirty, built for development"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: test.settings}
		if got := text(info); got != test.want+golang {
			t.Errorf("%q: %q, want %q", version, got, test.want+golang)
		}
	}
}
