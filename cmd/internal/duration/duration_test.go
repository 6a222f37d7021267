package duration

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d12h": 36 * time.Hour, "0": 0, "0d": 0, "2160h": 90 * day, "1h30m": 90 * time.Minute,
		"1.5h": 90 * time.Minute,
	} {
		if got, err := Parse(text); got != want || err != nil {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "d", "90", "1h1d", "1d1", "1dd", "1d-1h", "-1h", "-1d", "d1h", "1e3d", "nand", " 1d", "1d ", "106752d", "1w", "1D",
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseReadsWhatFormatWrites(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * day: "90d", 36 * time.Hour: "1d12h", 30 * time.Minute: "30m", 90 * time.Second: "1m30s", 0: "0s",
		day + time.Second: "1d1s", 10 * time.Minute: "10m", 10 * time.Hour: "10h", -25 * time.Hour: "-1d1h",
	} {
		if got := Format(d); got != want {
			t.Errorf("Format(%v) = %q, want %q", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(65535*day)).Draw(t, "d"))
		if got, err := Parse(Format(d)); got != d || err != nil {
			t.Errorf("Parse(%q) = %v, %v, want %v", Format(d), got, err, d)
		}
	})
}
