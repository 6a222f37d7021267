package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/jobruns/jobruns/gen/model"
)

func TestJobrunPassesSignalsOn(t *testing.T) {
	a := newAPI(t, newStore(t))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1} {
		t.Run(sig.String(), func(t *testing.T) {
			// The test may ignore the signal itself, as under nohup. What it starts must not.
			caught := make(chan os.Signal, 1)
			signal.Notify(caught, sig)
			defer signal.Stop(caught)
			script := `trap 'echo caught; exit 7' TERM HUP USR1; echo ready; while :; do sleep 0.01; done`
			cmd := recorded(t, a.store, script)
			_, stdout, stderr := pipes(t, cmd)
			// As a shell does with a job, so that the signal does not come to this process.
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			id := runID(t, readLine(t, stderr))
			readLine(t, stdout)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if line := readLine(t, stdout); line != "caught" {
				t.Errorf("the command says %q", line)
			}
			if got := exitStatus(t, cmd.Wait()); got != 7 {
				t.Errorf("exit status %d, want the command's, 7", got)
			}
			if run := a.run(t, id); run.Status != model.JobRunStatusFailed {
				t.Errorf("recorded %+v", *run)
			}
		})
	}
}

func TestJobrunDoesNotTryAgainWhenAskedToEnd(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"during an attempt": `trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done`,
		"during a delay":    `echo ready; exit 7`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, newStore(t))
			cmd := recorded(t, a.store, script, "--backoff-limit", "5", "--backoff", "1d")
			_, stdout, stderr := pipes(t, cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			id := runID(t, readLine(t, stderr))
			readLine(t, stdout)
			if name == "during a delay" {
				a.eventually(t, id, func(r *model.JobRun) bool { return r.Completions == 1 })
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got := exitStatus(t, cmd.Wait()); got != 7 {
				t.Errorf("exit status %d, want that of the last attempt, 7", got)
			}
			if run := a.run(t, id); run.Status != model.JobRunStatusFailed || run.Completions != 1 {
				t.Errorf("recorded %+v", *run)
			}
		})
	}
}

// TestJobrunOnATerminal types Ctrl-C: the terminal sends the signal to the command itself, which must
// not get it twice.
func TestJobrunOnATerminal(t *testing.T) {
	t.Parallel()
	script := `trap 'echo caught' INT; trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done`
	cmd := recorded(t, newStore(t), script)
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for !strings.Contains(readLine(t, terminal), "ready") {
	}
	if _, err := io.WriteString(terminal, "\x03"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(readLine(t, terminal), "caught") {
	}
	// Signals are passed on in order: what comes before this one has come when it ends the command.
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(terminal) // ends with an error when nobody has the other side open any more
	if strings.Contains(string(rest), "caught") {
		t.Error("the command got the signal twice")
	}
	if got := exitStatus(t, cmd.Wait()); got != 7 {
		t.Errorf("exit status %d, want 7", got)
	}
}

// counting is a script that says which process started it, and then each signal that it gets. SIGUSR2
// ends it.
const counting = `for s in TERM HUP USR1 ALRM VTALRM XCPU XFSZ IO PWR 37 50 64; do trap "echo got $s" $s; done
trap 'exit 7' USR2; echo $PPID; while :; do sleep 0.01; done`

// TestJobrunGivesTheCommandEachSignalOnce signals as people and supervisors do.
func TestJobrunGivesTheCommandEachSignalOnce(t *testing.T) {
	for name, test := range map[string]struct {
		before []string // what starts jobrun
		send   func(t *testing.T, recorder int) string
	}{
		"timeout signals its child and then the group": {
			[]string{"timeout", "1"}, func(*testing.T, int) string { return "TERM" },
		},
		"a shell signals the group": {nil, func(t *testing.T, recorder int) string {
			return kill(t, -recorder, syscall.SIGHUP, "HUP")
		}},
		"somebody signals jobrun": {nil, func(t *testing.T, recorder int) string {
			return kill(t, recorder, syscall.SIGTERM, "TERM")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			inner := recorded(t, newStore(t), counting, "--quiet")
			args := append(test.before, inner.Args...)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir, cmd.Env = inner.Dir, inner.Env
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			recorder, err := strconv.Atoi(readLine(t, stdout))
			if err != nil {
				t.Fatal(err)
			}
			awaitWitness(t, recorder)
			want := "got " + test.send(t, recorder)
			if got := readLine(t, stdout); got != want {
				t.Errorf("the command says %q, want %q", got, want)
			}
			// Signals are passed on in order: what comes before this one has come when it ends the command.
			kill(t, recorder, syscall.SIGUSR2, "")
			if rest, err := io.ReadAll(stdout); err != nil || len(rest) > 0 {
				t.Errorf("the command says more: %q, %v", rest, err)
			}
			_ = cmd.Wait() // timeout has a status of its own
		})
	}
}

// kill sends a signal, and returns its name.
func kill(t *testing.T, pid int, sig syscall.Signal, name string) string {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
	return name
}

// awaitWitness waits until jobrun has its witness, which takes it a moment.
func awaitWitness(t *testing.T, recorder int) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(time.Millisecond) {
		for _, pid := range children(t, recorder) {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(name) == "signal-witness\n" {
				return
			}
		}
	}
	t.Fatal("jobrun has no witness")
}

// children returns the processes that a process has started and that have not ended.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has ended (%v)", parent, err)
	}
	for _, thread := range threads {
		text, _ := os.ReadFile(thread) // it may have ended
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestJobrunIsNotKilledInsteadOfTheCommand sends signals that end a process unless it catches them.
func TestJobrunIsNotKilledInsteadOfTheCommand(t *testing.T) {
	t.Parallel()
	cmd := recorded(t, newStore(t), counting, "--quiet")
	_, stdout, _ := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	readLine(t, stdout)
	for _, sig := range []struct {
		syscall.Signal
		name string
	}{
		{syscall.SIGALRM, "ALRM"}, {syscall.SIGVTALRM, "VTALRM"}, {syscall.SIGXCPU, "XCPU"}, {syscall.SIGXFSZ, "XFSZ"},
		{syscall.SIGIO, "IO"}, {syscall.SIGPWR, "PWR"}, {37, "37"}, {50, "50"}, {64, "64"},
	} {
		kill(t, cmd.Process.Pid, sig.Signal, "")
		if got := readLine(t, stdout); got != "got "+sig.name {
			t.Errorf("SIG%s: the command says %q", sig.name, got)
		}
	}
	kill(t, cmd.Process.Pid, syscall.SIGUSR2, "")
	if got := exitStatus(t, cmd.Wait()); got != 7 {
		t.Errorf("exit status %d, want the command's, 7", got)
	}
}
