package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ignoring returns a command that ignores a signal, if it has a name, and executes the arguments.
func ignoring(cmd *exec.Cmd, name string) *exec.Cmd {
	script := `exec "$@"`
	if name != "" {
		script = "trap '' " + name + "; " + script
	}
	outer := exec.Command("sh", append([]string{"-c", script, "sh"}, cmd.Args...)...)
	outer.Dir, outer.Env = cmd.Dir, cmd.Env
	return outer
}

// TestJobrunIgnoresWhatItWasStartedToIgnore asks the kernel what the command ignores, with jobrun and
// with env.
func TestJobrunIgnoresWhatItWasStartedToIgnore(t *testing.T) {
	status := []string{"grep", "^Sig[BIC]", "/proc/self/status"}
	store := newStore(t)
	for _, name := range []string{"", "PIPE", "TERM", "CHLD", "HUP", "INT", "XCPU"} {
		plain := program(t, "jobrun")
		plain.Args = append([]string{"env"}, status...)
		want := outcomeOf(t, ignoring(plain, name))
		args := append([]string{"--quiet", "--store", store, "--project", "p", "--job", "j", "--"}, status...)
		got := outcomeOf(t, ignoring(program(t, "jobrun", args...), name))
		if got != want || !strings.Contains(got.stdout, "SigIgn") {
			t.Errorf("SIG%s: %+v, want %+v", name, got, want)
		}
	}
	// The end of the command is noticed all the same.
	for script, want := range map[string]outcome{
		"echo ran; exit 3":  {status: 3, stdout: "ran\n"},
		"kill -TERM $$":     {status: 143},
		"exec /nowhere/cmd": {status: 127, stderr: "sh: 1: exec: /nowhere/cmd: not found\n"},
	} {
		if got := outcomeOf(t, ignoring(recorded(t, store, script, "--quiet"), "CHLD")); got != want {
			t.Errorf("%q without SIGCHLD: %+v, want %+v", script, got, want)
		}
	}
}

// TestJobrunLeavesClosedStreamsClosed asks the kernel what the command has open.
func TestJobrunLeavesClosedStreamsClosed(t *testing.T) {
	for _, closed := range []string{"", "<&-", "<&- >&- 2>&-"} {
		var open [2]string
		for i, prefix := range []string{"env", "'" + filepath.Join(programs, "jobrun") + "' --project p --job j --quiet --"} {
			script := prefix + ` sh -c 'for fd in 0 1 2; do test -e /proc/$$/fd/$fd && echo $fd >> open; done; true' ` + closed
			cmd := program(t, "sh")
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script}
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v", script, err)
			}
			text, _ := os.ReadFile(filepath.Join(cmd.Dir, "open")) // not there if nothing is open
			open[i] = string(text)
		}
		if open[0] != open[1] {
			t.Errorf("%s: jobrun's command has open %q, want %q", closed, open[1], open[0])
		}
	}
}

// TestJobrunFindsTheCommandAsEnvDoes compares what runs, and the statuses of what does not.
func TestJobrunFindsTheCommandAsEnvDoes(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"plain":       "echo \"plain $0 $1\"; exit 4\n",
		"interpreted": "#!/bin/sh\necho \"interpreted $1\"; exit 5\n",
		"empty":       "",
		"nowhere":     "#!/nowhere/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "readable"), []byte("echo ran"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := newStore(t)
	for _, path := range []string{".:" + os.Getenv("PATH"), os.Getenv("PATH") + ":", "-"} {
		for _, command := range []string{"plain", "./interpreted", "empty", "nowhere", "readable", "no-such", "true"} {
			var got [2]outcome
			for i, args := range [][]string{
				{"/usr/bin/env"},
				{filepath.Join(programs, "jobrun"), "--quiet", "--store", store, "--project", "p", "--job", "j", "--"},
			} {
				cmd := exec.Command(args[0], append(args[1:], command, "argument")...)
				cmd.Dir, cmd.Env = folder, []string{"HOME=" + folder, "PATH=" + path}
				if path == "-" {
					cmd.Env = cmd.Env[:1]
				}
				got[i] = outcomeOf(t, cmd)
				if got[i].status >= 126 != (got[i].stderr != "") {
					t.Errorf("PATH %q, %s: %+v", path, command, got[i])
				}
				got[i].stderr = "" // the words differ
			}
			if got[0] != got[1] {
				t.Errorf("PATH %q, %s: %+v, want %+v", path, command, got[1], got[0])
			}
		}
	}
}
