//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// command runs a program of the machine in the folder.
func command(t *testing.T, folder string, environment []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// taggedClone returns a new clone of the last commit below the folder, as that of version 1.2.3.
func taggedClone(t *testing.T, folder string) string {
	t.Helper()
	source := filepath.Join(folder, "source")
	command(t, ".", nil, "git", "clone", "--quiet", "..", source)
	command(t, source, nil, "git", "tag", "v1.2.3")
	return source
}

// release builds a release for this machine in a new clone, and returns its dist/.
func release(t *testing.T, folder string, environment ...string) string {
	t.Helper()
	source := taggedClone(t, folder)
	command(t, source, environment, filepath.Join(source, ".ci", "release"), runtime.GOOS+"/"+runtime.GOARCH)
	return filepath.Join(source, "dist")
}

const releasedPlatform = "_v1.2.3_" + runtime.GOOS + "_" + runtime.GOARCH

// releasedOnce has the release that tests share.
var releasedOnce struct {
	sync.Mutex
	dist string
}

// released returns the dist/ of a release for this machine.
func released(t *testing.T) string {
	t.Helper()
	releasedOnce.Lock()
	defer releasedOnce.Unlock()
	if releasedOnce.dist == "" {
		releasedOnce.dist = release(t, filepath.Join(programs, "release")) // removed with the programs
	}
	return releasedOnce.dist
}

// TestRelease builds twice, in different surroundings. What is not committed does not take part.
func TestRelease(t *testing.T) {
	t.Parallel()
	second := release(t, filepath.Join(t.TempDir(), "b c"), "TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false", "GOOS=plan9", "LC_ALL=POSIX", "GZIP=-1")
	first := released(t)
	platform := releasedPlatform
	var names []string
	files, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		names = append(names, file.Name())
		one, err := os.ReadFile(filepath.Join(first, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(filepath.Join(second, file.Name())); err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s is another the second time, %v", file.Name(), err)
		}
	}
	want := []string{
		"SHA256SUMS", "jobrun" + platform + ".cdx.json", "jobrund" + platform + ".cdx.json", "jobruns.rb",
		"jobruns" + platform + ".deb", "jobruns" + platform + ".rpm", "jobruns" + platform + ".tar.gz",
		"northflank" + platform + ".cdx.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("dist/ has %q, want %q", names, want)
	}
	command(t, first, nil, "sha256sum", "--check", "--strict", "SHA256SUMS")

	unpacked := t.TempDir()
	command(t, unpacked, nil, "tar", "-xzf", filepath.Join(first, "jobruns"+platform+".tar.gz"))
	unpacked = filepath.Join(unpacked, "jobruns"+platform)
	for _, name := range []string{"LICENSE", "README.md", "THIRD-PARTY-LICENSES", "sbom/jobrund.cdx.json", "systemd/jobrund.service"} {
		if _, err := os.Stat(filepath.Join(unpacked, name)); err != nil {
			t.Error(err)
		}
	}
	commit := command(t, ".", nil, "git", "rev-parse", "HEAD")
	for program, page := range map[string]string{"jobrun": "jobrun.1", "jobrund": "jobrund-token-create.1", "northflank": "northflank-get-job-run.1"} {
		want := program + " version v1.2.3\ncommit " + commit + "date   "
		if got := command(t, unpacked, nil, "./"+program, "--version"); !strings.HasPrefix(got, want) {
			t.Errorf("%s says %q, want %q", program, got, want)
		}
		if text, err := os.ReadFile(filepath.Join(unpacked, "man", "man1", page)); err != nil ||
			!strings.Contains(string(text), ".SH OPTIONS") {
			t.Errorf("%s: %v: %s", page, err, text)
		}
		command(t, unpacked, nil, "bash", "-n", filepath.Join("completions", program+".bash"))
	}
	wantReleasedVersion(t, filepath.Join(unpacked, "jobrund"))
	wantLicenses(t, unpacked)
	wantFormula(t, first, "jobruns"+platform+".tar.gz")
}

// wantReleasedVersion checks that a released server says which version it is, where people look.
func wantReleasedVersion(t *testing.T, path string) {
	t.Helper()
	process := program(t, "jobrund", "serve", "--addr", "127.0.0.1:0", "--store", newStore(t))
	process.Path = path
	s := startServer(t, process)
	for path, want := range map[string]string{
		"/":                "<footer>jobrund v1.2.3</footer>",
		"/v1/swagger-html": "<footer>jobrund v1.2.3</footer>",
		"/v1/swagger-json": `"x-served-by":"jobrund v1.2.3"`,
	} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s lacks %s: %s, %v", path, want, got, err)
		}
	}
}

// wantLicenses checks that the license of each module that is linked is in the archive.
func wantLicenses(t *testing.T, archive string) {
	t.Helper()
	licenses, err := os.ReadFile(filepath.Join(archive, "THIRD-PARTY-LICENSES"))
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	for line := range strings.Lines(command(t, archive, nil, "go", "version", "-m", "jobrun", "jobrund", "northflank")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "dep" {
			modules++
			if !bytes.Contains(licenses, []byte("\n"+fields[1]+" "+fields[2]+": ")) {
				t.Errorf("there is no license of %s", fields[1])
			}
		}
	}
	if modules == 0 {
		t.Error("the programs link no modules")
	}
}

// wantFormula checks that the formula installs the archive.
func wantFormula(t *testing.T, dist, archive string) {
	t.Helper()
	formula, err := os.ReadFile(filepath.Join(dist, "jobruns.rb"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dist, archive))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("/releases/download/v1.2.3/%s\"\n      sha256 \"%x\"\n", archive, sha256.Sum256(content))
	if !strings.Contains(string(formula), want) {
		t.Errorf("the formula lacks %s: %s", want, formula)
	}
}
