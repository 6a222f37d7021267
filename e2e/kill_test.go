package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// loops are shells that do something again and again, each in a process group of its own.
type loops struct {
	lines chan string // closed when the last process has ended
	kill  func()      // ends the shells and all that they have started, wherever they are
}

// loop starts as many shells, which write to one and the same place. In the script, $0 is the
// folder of the programs and $1 is the number of the shell.
func loop(t testing.TB, shells int, script string) *loops {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	var started []*exec.Cmd
	l := &loops{lines: make(chan string), kill: sync.OnceFunc(func() {
		for _, shell := range started {
			_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
			_ = shell.Wait()
		}
	})}
	go func() {
		defer close(l.lines)
		defer reader.Close()
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			l.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		l.kill()
		l.rest()
	})
	for i := range shells {
		cmd := exec.Command("sh", "-c", script, programs, fmt.Sprint(i))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		cmd.Stdout, cmd.Stderr = writer, writer
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, cmd)
	}
	return l
}

// rest waits until all processes have ended, and returns what they wrote until then.
func (l *loops) rest() []string {
	var lines []string
	for line := range l.lines {
		lines = append(lines, line)
	}
	return lines
}

// intact checks that the database is one, by its own account.
func intact(t testing.TB, store string) {
	t.Helper()
	var verdict string
	db := openDatabase(t, strings.TrimPrefix(store, "sqlite:"))
	defer db.Close()
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("the database: %s, %v", verdict, err)
	}
}

// TestKilledRecordersAndServers kills them again and again, on one and the same store, each time at
// another number of runs of which the API has told.
func TestKilledRecordersAndServers(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	store := newStore(t)
	token := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	start := func() *api {
		s := serve(t, store)
		c, err := client.New(s.url, client.WithToken(token))
		if err != nil {
			t.Fatal(err)
		}
		return &api{c, store, s}
	}
	told := map[string]model.JobRun{}
	for round := range 20 {
		a := start()
		recorders := loop(t, 3, `while "$0/jobrun" --store '`+store+`' --project p --job j -- true; do :; done`)
		before := map[string]model.JobRun{}
		for len(before) < 1+round%10 {
			id := runID(t, <-recorders.lines)
			// Every other round takes runs as they come, the others those that are over.
			before[id] = *a.eventually(t, id, func(r *model.JobRun) bool { return round%2 == 0 || r.Concluded })
		}
		if round%4 < 2 {
			go recorders.kill()
			a.server.stop(t, syscall.SIGKILL)
		} else {
			a.server.stop(t, syscall.SIGKILL)
			recorders.kill()
		}
		recorders.rest()

		a = start()
		intact(t, store)
		maps.Copy(told, before)
		for id, was := range before {
			a.stillHas(t, id, was)
		}
		last := outcomeOf(t, recorded(t, store, "true"))
		if run := a.run(t, runID(t, last.stderr)); run.Status != model.JobRunStatusSuccess {
			t.Errorf("a run after it: %+v", *run)
		}
		a.server.stop(t, syscall.SIGKILL)
	}
	a := start()
	for id, was := range told {
		a.stillHas(t, id, was)
	}
}

// stillHas checks that the run is as it was, or has concluded since then: well, or by the death of
// its recorder, on a machine on which the test takes longer than a lease.
func (a *api) stillHas(t testing.TB, id string, was model.JobRun) {
	t.Helper()
	is := *a.run(t, id)
	if !was.Concluded && is.Concluded {
		was.Active, was.Concluded, was.ConcludedAt = model.FlagNo, true, is.ConcludedAt
		if is.Status == model.JobRunStatusFailed {
			was.Status, was.Failed = model.JobRunStatusFailed, model.FlagYes
		} else {
			was.Completions, was.Status, was.Succeeded = 1, model.JobRunStatusSuccess, model.FlagYes
		}
	}
	if was.Concluded && is.ConcludedAt != nil && was.ConcludedAt.Equal(*is.ConcludedAt) {
		was.ConcludedAt = is.ConcludedAt // not the same pointer
	}
	if is != was {
		t.Errorf("after the kill: %+v\nwas, or should be: %+v", is, was)
	}
}

func TestKilledTokenCreate(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	store := newStore(t)
	for round := range 8 {
		creators := loop(
			t,
			2,
			fmt.Sprintf(
				`i=0; while i=$((i+1)); do "$0/jobrund" token create --store '%s' --name "%d.$1.$i"; done`,
				store,
				round,
			),
		)
		var tokens []string
		for len(tokens) <= round {
			tokens = append(tokens, <-creators.lines)
		}
		go creators.kill()
		tokens = append(tokens, creators.rest()...)
		s := serve(t, store)
		intact(t, store)
		for _, token := range append(tokens, output(t, "jobrund", "token", "create", "--store", store, "--name", fmt.Sprint(round))) {
			ask(t, s, token, "/v1/login", http.StatusOK)
		}
		s.stop(t, syscall.SIGKILL)
	}
}
