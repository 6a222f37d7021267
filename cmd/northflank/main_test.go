package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
	_ "time/tzdata" // the scripts have TZ

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"northflank": func() {
		reasonTimeout = 500 * time.Millisecond // scripts wait for it
		main()
	}})
}

// TestScripts runs the program as a process. The scripts find a server at $HOST and one at $OTHER,
// which know good-token, and what those were asked in host.log and other.log.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector holds up each process for a second
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			for name, file := range map[string]string{"HOST": "host.log", "OTHER": "other.log"} {
				server := httptest.NewServer(api(filepath.Join(env.WorkDir, file)))
				env.Defer(server.Close)
				env.Setenv(name, server.URL)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "mode": mode, "expand": expand},
	})
}

// exits is the script command "exits STATUS COMMAND [ARG...]".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// mode is the script command "mode OCTAL FILE".
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode %s, want %s", got, args[0])
	}
}

// expand is the script command "expand FROM TO", which writes TO, a new file, as FROM with its
// variables.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	to := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(to), 0o700))
	ts.Check(os.RemoveAll(to))
	ts.Check(os.WriteFile(to, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o640))
}
