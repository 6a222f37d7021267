package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeShowsWhatFailed runs the commands of the README's first section as printed, with another
// address and the programs that are built already.
func TestReadmeShowsWhatFailed(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## What failed last night\n")
	_, script, _ := strings.Cut(section, "\n```sh\nmake build\n")
	script, rest, found := strings.Cut(script, "\n```\n")
	if !found {
		t.Fatal("the section is not there")
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jobrun", "jobrund", "northflank"} {
		if err := os.Symlink(filepath.Join(programs, name), filepath.Join(folder, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	script = strings.ReplaceAll(script, "127.0.0.1:8080", address)
	script = strings.ReplaceAll(script, "sleep 1\n", "until grep -q serving bin/serve.log; do sleep 0.1; done\n")
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -m\n"+script)
	cmd.Dir = folder
	cmd.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "JOBRUND_ADDR=" + address}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	row := regexp.MustCompile(
		`(?m)^JOB +STATUS +STARTED \(UTC\) +TOOK +HOST +REASON +RUN\nbackup-web2 +FAILED +\S+ \S+ +\S+ +\S+ +exit status 1 +\S{36}$`,
	)
	for what, text := range map[string]string{"the commands print": string(out), "the README shows": rest} {
		if !row.MatchString(text) || strings.Count(text, "backup-web2  FAILED") != 1 {
			t.Errorf("%s no such row: %s", what, text)
		}
	}
	if !strings.Contains(string(out), "\nStatus     FAILED: exit status 1 on ") {
		t.Errorf("the latest run is not shown: %s", out)
	}
}
