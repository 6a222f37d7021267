package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeBlocks returns the blocks of the README in a language, by the heading of their section, in
// order.
func readmeBlocks(t *testing.T, language string) []readmeBlock {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []readmeBlock
	for section := range strings.SplitSeq(string(readme), "\n## ") {
		name, _, _ := strings.Cut(section, "\n")
		for _, block := range strings.Split(section, "\n```"+language+"\n")[1:] {
			text, _, found := strings.Cut(block, "\n```\n")
			if !found {
				t.Fatalf("%s has a block without an end", name)
			}
			blocks = append(blocks, readmeBlock{name, text + "\n"})
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("the README has no block in %s", language)
	}
	return blocks
}

type readmeBlock struct{ section, text string }

// desk is where a person tries out the README: a folder that looks like the repository after
// make build, and a shell.
type desk struct {
	folder    string
	env       []string
	addresses map[string]string // in place of those that the README has, which others may use
}

// newDesk returns one in a new folder. Its make build has nothing left to do; make run is the real
// one.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{folder: t.TempDir(), addresses: map[string]string{}}
	for _, port := range []string{"8080", "8081", "8082", "8083", "8084"} {
		d.addresses["127.0.0.1:"+port] = freeAddress(t)
	}
	for _, name := range []string{"bin", ".ci", "path"} {
		if err := os.Mkdir(filepath.Join(d.folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"jobrun", "jobrund", "northflank"} {
		if err := os.Symlink(filepath.Join(programs, name), filepath.Join(d.folder, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root(t), "README.md"), filepath.Join(d.folder, "README.md")); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../.ci/serve-locally")
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimPrefix(d.addresses["127.0.0.1:8080"], "127.0.0.1:")
	local := strings.Replace(string(script), "port=8080\n", "port="+port+"\n", 1)
	if err := os.WriteFile(filepath.Join(d.folder, ".ci/serve-locally"), []byte(local), 0o755); err != nil {
		t.Fatal(err)
	}
	d.imitate(t, "make", `case $1 in run) exec .ci/serve-locally;; build | install) ;; *) exit 2;; esac`)
	d.env = []string{"HOME=" + d.folder, "JOBRUN_SPOOL=" + d.folder + "/spool",
		"PATH=" + filepath.Join(d.folder, "path") + ":" + os.Getenv("PATH")}
	return d
}

// root returns the repository's folder.
func root(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// imitate puts a program in place of one that cannot run in a test.
func (d *desk) imitate(t *testing.T, name, script string) {
	t.Helper()
	path := filepath.Join(d.folder, "path", name)
	if err := os.WriteFile(path, []byte("#!/usr/bin/env bash\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// served finds a server that a block waits for.
var served = regexp.MustCompile(`(?m)(--addr (\S+):(\d+) .*\n)sleep 1\n`)

// shell returns a shell that reads the text as if it were pasted, with the usual umask. It ends with
// the status 0 if no command fails that should not.
func (d *desk) shell(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	text = strings.ReplaceAll(text, "sleep 10", "sleep 1")
	for old, address := range d.addresses {
		text = strings.ReplaceAll(text, old, address)
	}
	// A machine that is busy takes longer to serve.
	text = served.ReplaceAllString(text, "${1}until (exec 3<> /dev/tcp/$2/$3) 2> /dev/null; do sleep 0.1; done\n")
	const check = `set -m; umask 022
trap '[[ $BASH_COMMAND == *"-- test"* ]] || { echo "FAILS ($?): $BASH_COMMAND"; failed=1; }' ERR
`
	cmd := exec.CommandContext(t.Context(), "bash")
	cmd.Dir, cmd.Env = d.folder, d.env
	cmd.Stdin = strings.NewReader(check + text + "\nexit ${failed:-0}\n")
	return cmd
}

// paste returns what a shell prints that the text is pasted into.
func (d *desk) paste(t *testing.T, text string) string {
	t.Helper()
	cmd := d.shell(t, text)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s\n%s", err, text, out)
	}
	return out.String()
}

var tokenForm = regexp.MustCompile(`jobruns_[A-Za-z0-9_-]{43}`)

// wantPrivate checks that nobody else can read a file with a token, of which there have to be some.
func (d *desk) wantPrivate(t *testing.T, names ...string) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(d.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !tokenForm.Match(text) {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has a token, and the mode %v", path, info.Mode())
		}
		found = append(found, entry.Name())
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if !slices.Contains(found, name) {
			t.Errorf("there is no token in %s: %q", name, found)
		}
	}
}

// TestReadmeShowsWhatFailed runs the commands of the README's first section as printed, with another
// address and the programs that are built already.
func TestReadmeShowsWhatFailed(t *testing.T) {
	t.Parallel()
	block := readmeBlocks(t, "sh")[0]
	if block.section != "What failed last night" {
		t.Fatalf("the first block is that of %q", block.section)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), block.text)
	section, _, _ = strings.Cut(section, "\n## ")
	d := newDesk(t)
	out := d.paste(t, block.text)
	row := regexp.MustCompile(
		`(?m)^JOB +STATUS +STARTED \(UTC\) +TOOK +HOST +REASON +RUN\n` +
			`backup-web2 +FAILED +\S+ \S+ +\S+ +\S+ +exit status 1 +\S{36}$`,
	)
	for what, text := range map[string]string{"the commands print": out, "the README shows": section} {
		if !row.MatchString(text) || strings.Count(text, "backup-web2  FAILED") != 1 {
			t.Errorf("%s no such row: %s", what, text)
		}
	}
	if !strings.Contains(out, "\nStatus     FAILED: exit status 1 on ") {
		t.Errorf("the latest run is not shown: %s", out)
	}
	d.wantPrivate(t, "token", "record-token")
}
