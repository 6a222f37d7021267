package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/gen/model"
)

// imported imports what jobrun left behind on standard error.
func (a *api) imported(t *testing.T, stderr string) {
	t.Helper()
	line := stderr[strings.Index(stderr, "\n{")+1:]
	importer := program(t, "jobrund", "import", "--store", a.store)
	importer.Stdin = strings.NewReader(line)
	if out, err := importer.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", line, err, out)
	}
}

func TestJobrunSaysAtOnceThatAStoreNeverWorks(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	missing := "sqlite:" + filepath.Join(t.TempDir(), "not", "there.db")
	for _, store := range []string{"mysql://x", "", missing} {
		for _, flags := range [][]string{nil, {"--quiet"}, {"--run", "chosen"}} {
			begin := time.Now()
			got := outcomeOf(t, recorded(t, store, "echo ran; exit 3", flags...))
			if took := time.Since(begin); took > prompt {
				t.Errorf("store %q: it took %s", store, took)
			}
			if got.status != 3 || got.stdout != "ran\n" || strings.Count(got.stderr, "this store cannot be used") != 1 {
				t.Errorf("store %q: %+v", store, got)
			}
			if chosen := slices.Contains(flags, "chosen"); strings.Contains(got.stderr,
				"could not be asked") != chosen {
				t.Errorf("store %q: whether another run has the id: %s", store, got.stderr)
			}
			a.imported(t, got.stderr)
			if run := a.run(t, runID(t, got.stderr)); run.Status != model.JobRunStatusFailed || run.Completions != 1 {
				t.Errorf("store %q: imported %+v", store, *run)
			}
		}
	}
}

func TestJobrunStartsThoughStandardErrorIsFull(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	full(t, writer)
	store := newStore(t)
	cmd := recorded(t, store, "echo ran; exit 5", "--run", "chosen")
	cmd.Stderr = writer
	out, err := cmd.Output()
	if got := exitStatus(t, err); got != 5 || string(out) != "ran\n" {
		t.Errorf("exit status %d, %q", got, out)
	}
	if run := newAPI(t, store).run(t, "chosen"); run.Status != model.JobRunStatusFailed {
		t.Errorf("recorded %+v", *run)
	}
}

// full fills a pipe.
func full(t *testing.T, writer *os.File) {
	t.Helper()
	raw, err := writer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Write(func(fd uintptr) bool {
		for {
			if _, err := unix.Write(int(fd), []byte("x")); err != nil { // it is not blocking
				return true
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJobrunPrintsNothingWhenQuietAndAllIsWell(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	for script, status := range map[string]int{"true": 0, "exit 3": 3} {
		got := outcomeOf(t, recorded(t, store, script, "--quiet"))
		if got.status != status || got.stdout != "" || got.stderr != "" {
			t.Errorf("%q: %+v", script, got)
		}
	}
	inEnvironment := recorded(t, store, "true")
	inEnvironment.Env = append(inEnvironment.Env, "JOBRUN_QUIET=true")
	if got := outcomeOf(t, inEnvironment); got.status != 0 || got.stderr != "" {
		t.Errorf("in the environment: %+v", got)
	}
	missing := program(t, "jobrun", "--store", store, "--project", "p", "--job", "j", "--quiet", "no-such-command")
	if got := outcomeOf(t, missing); got.status != 127 || !strings.Contains(got.stderr, "no-such-command") {
		t.Errorf("a command that does not exist: %+v", got)
	}
}

func TestJobrunTellsTheCommandOfItsRun(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	cmd := recorded(t, store, `echo $JOBRUN_ID $JOBRUN_TEAM $JOBRUN_PROJECT $JOBRUN_JOB`, "--team", "t")
	cmd.Env = append(cmd.Env, "JOBRUN_ID=outer", "JOBRUN_JOB=outer")
	got := outcomeOf(t, cmd)
	if want := runID(t, got.stderr) + " t p j\n"; got.stdout != want {
		t.Errorf("the command finds %q, want %q", got.stdout, want)
	}
}

// TestJobrunWithinJobrun takes project and job from the outer one, and has an id of its own.
func TestJobrunWithinJobrun(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	inner := "'" + filepath.Join(programs, "jobrun") + "' --store '" + store + "' -- true"
	got := outcomeOf(t, recorded(t, store, inner, "--run", "outer"))
	ids := announced.FindAllStringSubmatch(got.stderr, -1)
	if got.status != 0 || len(ids) != 2 || ids[0][1] == ids[1][1] {
		t.Fatalf("%+v", got)
	}
	a := newAPI(t, store)
	for _, id := range ids {
		if run := a.run(t, id[1]); run.Status != model.JobRunStatusSuccess {
			t.Errorf("recorded %+v", *run)
		}
	}
}

func TestJobrunTakesTheCallersID(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	for _, test := range []struct {
		id     string
		status int
		stdout string
		stderr string
	}{
		{"nightly.2026-11-25", 3, "ran\n", "jobrun: run nightly.2026-11-25\n"},
		{"nightly.2026-11-25", 2, "", "exists already"},
		{"", 2, "", "--run"},
		{"a/b", 2, "", "--run"},
		{strings.Repeat("a", 253), 3, "ran\n", "a\n"},
		{strings.Repeat("a", 254), 2, "", "253"},
	} {
		got := outcomeOf(t, recorded(t, store, "echo ran; exit 3", "--run", test.id))
		if got.status != test.status || got.stdout != test.stdout || !strings.Contains(got.stderr, test.stderr) {
			t.Errorf("%q: %+v", test.id, got)
		}
	}
	if run := newAPI(t, store).run(t, "nightly.2026-11-25"); run.Status != model.JobRunStatusFailed {
		t.Errorf("recorded %+v", *run)
	}
}

// TestJobrunDoesNotReplaceARunWhoseStoreWasAway takes an id that is taken in a store that comes back
// while the command runs.
func TestJobrunDoesNotReplaceARunWhoseStoreWasAway(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	folder := filepath.Dir(strings.TrimPrefix(store, "sqlite:"))
	if got := outcomeOf(t, recorded(t, store, "true", "--run", "taken")); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	got := outcomeOf(t, recorded(t, store, "mv '"+folder+".away' '"+folder+"'; exit 9", "--run", "taken"))
	if got.status != 9 || !strings.Contains(got.stderr, "exists already") ||
		!strings.Contains(got.stderr, "with another id") {
		t.Errorf("%+v", got)
	}
	if run := newAPI(t, store).run(t, "taken"); run.Status != model.JobRunStatusSuccess {
		t.Errorf("the run of that id is now %+v", *run)
	}
}
