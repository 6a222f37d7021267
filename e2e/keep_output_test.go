package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// printed records a shell script, and returns what it printed on both streams, and its exit status.
func printed(t *testing.T, store, script string, flags ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := recorded(t, store, script, append([]string{"--quiet"}, flags...)...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	status = exitStatus(t, cmd.Run())
	return out.String(), errors.String(), status
}

func TestKeepOutput(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	logs := a.logsClient(t)
	for name, test := range map[string]struct {
		script    string
		flags     []string
		status    int
		kept      string
		truncated bool
	}{
		"both streams":          {"echo a; sleep 0.05; echo b >&2; sleep 0.05; echo c; exit 3", nil, 3, "a\nb\nc\n", false},
		"nothing":               {"true", nil, 0, "", false},
		"no end of line":        {"printf x", nil, 0, "x", false},
		"the end":               {"printf 0123456789", []string{"--keep-output", "4"}, 0, "6789", true},
		"cut at a character":    {`printf 'a\303\251\342\202\254'`, []string{"--keep-output", "4"}, 0, "€", true},
		"binary":                {`printf 'a\377\000\033[31mb'`, nil, 0, "a\ufffd\x00\x1b[31mb", false},
		"all attempts":          {"echo $$; exit 1", []string{"--backoff-limit", "1", "--backoff", "1ms"}, 1, "", false},
		"no program":            {"exec no-such-program 2>/dev/null", nil, 127, "", false},
		"a stream that is shut": {"exec >&-; echo b >&2", nil, 0, "b\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.ReplaceAll(name, " ", "-")
			flags := append([]string{"--run", id, "--keep-output", "1KiB"}, test.flags...)
			stdout, stderr, status := printed(t, a.store, test.script, flags...)
			if status != test.status {
				t.Errorf("exit status %d, want %d: %s", status, test.status, stderr)
			}
			got, _, err := logs.GetJobRunOutput(t.Context(), refTo(id))
			if err != nil || got.Output == nil {
				t.Fatalf("%+v, %v", got, err)
			}
			want := test.kept
			if name == "all attempts" {
				want = stdout // which are the numbers of two processes
				if strings.Count(want, "\n") != 2 {
					t.Errorf("printed %q", want)
				}
			}
			if *got.Output != want || got.Truncated != test.truncated {
				t.Errorf("kept %q, truncated %t; want %q, %t", *got.Output, got.Truncated, want, test.truncated)
			}
			// The same without: nothing is kept, and as much is printed.
			plainOut, plainErr, _ := printed(t, a.store, test.script, append(test.flags, "--run", id+"-plain", "--keep-output", "0")...)
			if name != "all attempts" && (plainOut != stdout || plainErr != stderr) {
				t.Errorf("printed %q and %q, without keeping it %q and %q", stdout, stderr, plainOut, plainErr)
			}
			if got, _, err := logs.GetJobRunOutput(t.Context(), refTo(id+"-plain")); err != nil || got.Output != nil || got.Truncated {
				t.Errorf("not kept: %+v, %v", got, err)
			}
		})
	}
}

// A flood goes through unchanged, and memory does not grow with it.
func TestKeepOutputOfAFlood(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	const flood = 100_000_000
	script := "head -c 100000000 /dev/zero; cat /proc/$PPID/status > status; echo the end"
	cmd := recorded(t, a.store, script, "--run", "r", "--keep-output", "16KiB")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, stdout)
	if err != nil || n != flood+int64(len("the end\n")) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	status, err := os.ReadFile(filepath.Join(cmd.Dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	if peak := peakOf(t, status); peak > flood>>10 {
		t.Errorf("%d KiB of memory", peak)
	}
	got, _, err := a.logsClient(t).GetJobRunOutput(t.Context(), refTo("r"))
	if err != nil || len(*got.Output) != 16<<10 || !strings.HasSuffix(*got.Output, "\x00the end\n") || !got.Truncated {
		t.Errorf("%+v, %v", got, err)
	}
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakOf returns what a process's file status in /proc says of the most memory that it has had, in
// KiB.
func peakOf(t *testing.T, status []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(peak.FindSubmatch(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What the command leaves running does not hold jobrun up, even if it floods.
func TestKeepOutputDoesNotWaitForWhatIsLeftRunning(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	for name, left := range map[string]string{"silent": "sleep 60", "a flood": "yes"} {
		t.Run(name, func(t *testing.T) {
			cmd := recorded(t, store, left+" & echo $! >&2", "--quiet", "--keep-output", "1KiB")
			file, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			cmd.Stderr = file // no pipe, for which this test would wait too
			done := make(chan error, 1)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { done <- cmd.Wait() }()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(30 * time.Second):
				_ = cmd.Process.Kill()
				t.Fatal("jobrun waits for what its command left")
			}
			text, err := os.ReadFile(file.Name())
			if err != nil {
				t.Fatal(err)
			}
			pid, _, _ := strings.Cut(string(text), "\n")
			_ = exec.Command("kill", pid).Run() // or it has ended, because nobody reads what it prints
		})
	}
}

// missing skips a test that lacks what it needs, and fails it in CI.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// The command learns that nobody reads what it prints, as it would without jobrun.
func TestKeepOutputOfAStreamThatNobodyReads(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	cmd := recorded(t, a.store, "exec yes", "--run", "r", "--keep-output", "1KiB")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	readLine(t, r)
	r.Close()
	if got := exitStatus(t, cmd.Wait()); got != 128+int(syscall.SIGPIPE) {
		t.Errorf("exit status %d", got)
	}
	if run, _ := whyOf(t, a.outcome(t, "r")); run.reason != "Signal" || run.signal != "PIPE" {
		t.Errorf("%+v", run)
	}
}

// The command goes on where what it prints cannot be written.
func TestKeepOutputOnAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		missing(t, "needs /dev/full")
	}
	defer full.Close()
	a := newAPI(t, newStore(t))
	cmd := recorded(t, a.store, "echo a; sleep 0.05; echo b", "--run", "r", "--quiet", "--keep-output", "1KiB")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = full, &stderr
	if got := exitStatus(t, cmd.Run()); got != 0 {
		t.Errorf("exit status %d", got)
	}
	const want = "jobrun: some of what the command prints is lost: write /dev/stdout: no space left on device\n"
	if stderr.String() != want {
		t.Errorf("jobrun says %q, want %q", stderr.String(), want)
	}
	if got, _, err := a.logsClient(t).GetJobRunOutput(t.Context(), refTo("r")); err != nil || *got.Output != "a\nb\n" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Standard input is the command's own, and what is kept is bounded.
func TestKeepOutputFlag(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	cmd := recorded(t, a.store, "cat", "--run", "r", "--quiet")
	cmd.Env = append(cmd.Env, "JOBRUN_KEEP_OUTPUT=1 KiB")
	cmd.Stdin = strings.NewReader("in\n")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "in\n" {
		t.Errorf("%v: %s", err, out)
	}
	if got, _, err := a.logsClient(t).GetJobRunOutput(t.Context(), refTo("r")); err != nil || *got.Output != "in\n" {
		t.Errorf("%+v, %v", got, err)
	}
	for value, want := range map[string]string{
		"2MiB": "--keep-output 2.0 MiB: must be at most 1.0 MiB", "much": `"much" is not a number of bytes`, "-1": "not a number of bytes",
	} {
		out, err := recorded(t, a.store, "echo ran", "--keep-output", value).CombinedOutput()
		if exitStatus(t, err) != 2 || !strings.Contains(string(out), want) || strings.Contains(string(out), "ran") {
			t.Errorf("%s: %v: %s", value, err, out)
		}
	}
}
