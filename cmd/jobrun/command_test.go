package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

func TestJobrunPassesSignalsOn(t *testing.T) {
	t.Parallel()
	const script = `for s in HUP INT QUIT USR1 USR2 WINCH PIPE XCPU XFSZ; do trap "echo $s" $s; done
		trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done`
	s := &store{}
	h := newHost(t, s)
	cmd := h.command("--backoff-limit", "9", "--", "sh", "-c", script)
	out, err := os.Create(h.path("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the command", exists(h.path("ready")))
	got := func() string {
		text, _ := os.ReadFile(out.Name())
		return strings.Join(strings.Fields(string(text)), " ")
	}
	want := ""
	for _, sig := range []struct {
		syscall.Signal
		name string // "" if it is not passed on
	}{
		{syscall.SIGPIPE, ""}, {syscall.SIGXCPU, ""}, {syscall.SIGXFSZ, ""}, {syscall.SIGUSR1, "USR1"},
		{syscall.SIGUSR2, "USR2"}, {syscall.SIGWINCH, "WINCH"}, {syscall.SIGHUP, "HUP"}, {syscall.SIGINT, "INT"},
		{syscall.SIGQUIT, "QUIT"},
	} {
		_ = cmd.Process.Signal(sig.Signal)
		want = strings.TrimSpace(want + " " + sig.name)
		await(t, want, func() bool { return got() == want }) // signals that wait are not ordered
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if status := wait(t, cmd, nil); status != 5 || got() != want {
		t.Errorf("status %d, the command got %q, want %q", status, got(), want)
	}
	record := s.only(t)
	if *record.Outcome.Reason != "Interrupted" ||
		*record.Outcome.Message != "interrupted by signal 1 (HUP): exit status 5" ||
		record.Run.Completions != 1 {
		t.Errorf("%+v", record)
	}
}

func TestIgnoredHangupStaysIgnored(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	cmd := exec.Command("nohup", program, "--", "sh", "-c", "touch ready; kill -HUP $$ $PPID; echo alive")
	cmd.Env, cmd.Dir = h.env, h.folder
	out, err := cmd.Output()
	if err != nil || string(out) != "alive\n" {
		t.Errorf("%v, %q", err, out)
	}
}

// TestTerminalSignalReachesCommandOnce types into a terminal.
func TestTerminalSignalReachesCommandOnce(t *testing.T) {
	t.Parallel()
	s := &store{}
	h := newHost(t, s)
	cmd := h.command("--", "sh", "-c",
		`trap 'echo got INT' INT; trap 'exit 0' TERM; touch ready; while :; do sleep 0.01; done`)
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	await(t, "the command", exists(h.path("ready")))
	if _, err := terminal.Write([]byte{3}); err != nil { // ^C
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	text, _ := io.ReadAll(terminal) // the error is EIO at the end
	if err := cmd.Wait(); err != nil || strings.Count(string(text), "got INT") != 1 {
		t.Errorf("%v, %s", err, text)
	}
}

func TestTimeoutEndsCommandAndItsChildren(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		status int
	}{
		"TERM":       {"sleep 60 & echo $! > child; wait", 143},
		"KILL":       {"trap '' TERM; sleep 60 & echo $! > child; while :; do sleep 0.1; done", 137},
		"status 0":   {"trap 'exit 0' TERM; sleep 60 & echo $! > child; wait", 124},
		"in backoff": {"sleep 0 & echo $! > child; exit 9", 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			h := newHost(t, s)
			_, _, status := h.run("--timeout", "300ms", "--kill-after", "300ms", "--backoff-limit", "5", "--backoff", "30s",
				"--", "sh", "-c", test.script)
			record := s.only(t)
			if status != test.status || *record.Outcome.Reason != "DeadlineExceeded" || record.Run.Completions != 1 ||
				!strings.HasPrefix(*record.Outcome.Message, "the time limit of 300ms is over: ") || record.Run.Failed != 1 {
				t.Errorf("status %d, %+v, %s", status, record.Run, *record.Outcome.Message)
			}
			child, _ := os.ReadFile(h.path("child"))
			await(t, "the end of the child", func() bool {
				state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
				return err != nil || strings.Contains(string(state), ") Z ")
			})
		})
	}
}

func TestKeptOutputIsReportedAndPassedOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script, log, stdout string
	}{
		"both streams":   {"echo out; sleep 0.1; echo err >&2; sleep 0.1; printf end", "out\nerr\nend", "out\nend"},
		"the end":        {"seq 1000; exit 3", "996\n997\n998\n999\n1000", ""},
		"left running":   {"sleep 60 & echo $!", "", ""},
		"as on a screen": {`printf '10%%\r100%%\n\033[31mred\033[0m\n'`, "100%\nred", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			h := newHost(t, s)
			began := time.Now()
			stdout, _, _ := h.run("--quiet", "--keep-output", "24B", "--", "sh", "-c", test.script)
			if name == "left running" {
				test.log = strings.TrimSpace(stdout)
				defer func() { _ = exec.Command("kill", test.log).Run() }()
			}
			if got := logOf(s.only(t)); got != test.log || time.Since(began) > 5*time.Second {
				t.Errorf("after %v: %q, want %q", time.Since(began), got, test.log)
			}
			if test.stdout != "" && stdout != test.stdout {
				t.Errorf("stdout %q, want %q", stdout, test.stdout)
			}
		})
	}
}

// TestLostOutputFailsRun has outputs that cannot be written.
func TestLostOutputFailsRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		command []string
		status  int
		reason  string
	}{
		"a full disk":               {[]string{"yes"}, 141, "Signal"},
		"a full disk, a little":     {[]string{"echo", "a"}, 1, "OutputLost"},
		"a full disk, and no print": {[]string{"true"}, 0, "Completed"},
		"a closed reader":           {[]string{"yes"}, 141, "Signal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			h := newHost(t, s)
			cmd := h.command(append([]string{"--keep-output", "16KiB", "--"}, test.command...)...)
			if name == "a closed reader" {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				cmd.Stdout = w
				defer w.Close()
				r.Close()
			} else if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
				cmd.Stdout = full
				defer full.Close()
			}
			status := wait(t, cmd, cmd.Start())
			if reason := *s.only(t).Outcome.Reason; status != test.status || reason != test.reason {
				t.Errorf("status %d, %s, want %d, %s", status, reason, test.status, test.reason)
			}
		})
	}
}

func TestSlowReaderGetsAllOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t, &store{})
	cmd := h.command("--quiet", "--keep-output", "1KiB", "--", "head", "-c", "200000", "/dev/zero")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	n := 0
	for buffer := make([]byte, 30_000); err == nil; time.Sleep(50 * time.Millisecond) {
		var read int
		read, err = out.Read(buffer)
		n += read
	}
	if n != 200_000 || cmd.Wait() != nil {
		t.Errorf("%d bytes, %v", n, cmd.ProcessState)
	}
}
