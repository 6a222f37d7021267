//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// chaosVariable and seedVariable are environment variables: how many rounds there are, and what
// repeats the choices of an earlier test.
const (
	chaosVariable = "JOBRUNS_CHAOS_ROUNDS"
	seedVariable  = "JOBRUNS_CHAOS_SEED"
)

// importedLines is how many runs an import of a round has.
const importedLines = 300

// chaos is a store that many programs use while some are killed.
type chaos struct {
	*api
	token  string
	random *rand.Rand
	// told are the statuses of the runs whose recorders have ended by themselves.
	told map[string]model.JobRunStatus
	// maybe are those of killed recorders, which may not have come as far as to store them, and
	// may have stored the conclusion already.
	maybe map[string]model.JobRunStatus
	// nameless is how many recorders were killed before they said the id.
	nameless int
	// imports are the numbers of rounds whose imports have ended by themselves, killed the others.
	imports, killed []int
}

// participant is a recorder or an import of a round.
type participant struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	ended  chan struct{}
}

func (c *chaos) start(t *testing.T, cmd *exec.Cmd) *participant {
	t.Helper()
	p := &participant{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the state says more
	}()
	return p
}

// kill ends the process and its command, and reports whether that came before its end.
func (p *participant) kill() (killed bool) {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // or all have ended
	<-p.ended
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

func (c *chaos) importOf(t *testing.T, round int) *exec.Cmd {
	t.Helper()
	var lines strings.Builder
	for i := range importedLines {
		lines.WriteString(runLine(fmt.Sprintf("import-%d-%d", round, i)))
	}
	cmd := program(t, "jobrund", "import", "--store", c.store)
	cmd.Stdin = strings.NewReader(lines.String())
	return cmd
}

// serve starts a server in place of one that was killed.
func (c *chaos) serve(t *testing.T) {
	t.Helper()
	s := serve(t, c.store)
	asking := newClient(t, s, c.token)
	c.api = &api{asking, c.store, s}
}

// round runs some recorders and an import, one of which is killed, or else the server.
func (c *chaos) round(t *testing.T, number int) {
	t.Helper()
	const recorders = 3
	var participants []*participant
	var statuses []int
	for range recorders {
		status := c.random.IntN(2)
		statuses = append(statuses, status)
		script := fmt.Sprintf("sleep 0.%02d; exit %d", c.random.IntN(20), status)
		participants = append(participants, c.start(t, recorded(t, c.store, script)))
	}
	participants = append(participants, c.start(t, c.importOf(t, number)))
	victim := c.random.IntN(len(participants) + 1)
	time.Sleep(time.Duration(c.random.IntN(250)) * time.Millisecond)
	wasKilled := false
	if victim < len(participants) {
		wasKilled = participants[victim].kill()
	} else {
		c.server.stop(t, syscall.SIGKILL)
		c.serve(t)
	}
	for i, p := range participants {
		<-p.ended
		killed := wasKilled && i == victim
		if i < recorders {
			c.recorded(t, p, statuses[i], killed)
			continue
		}
		switch text := p.stderr.String(); {
		case killed:
			c.killed = append(c.killed, number)
		case text != imported(importedLines).stderr:
			t.Errorf("an import: %s", text)
		default:
			c.imports = append(c.imports, number)
		}
	}
}

// recorded checks what a recorder has left.
func (c *chaos) recorded(t *testing.T, p *participant, status int, killed bool) {
	t.Helper()
	want := model.JobRunStatusSuccess
	if status != 0 {
		want = model.JobRunStatusFailed
	}
	text := p.stderr.String()
	switch {
	case !killed && strings.Contains(text, `"runName"`): // the line to import, which says that it is not stored
		t.Logf("not recorded: %s", text)
	case !killed:
		if got := p.cmd.ProcessState.ExitCode(); got != status {
			t.Errorf("exit status %d, want %d: %s", got, status, text)
		}
		id := runID(t, text)
		c.told[id] = want
		c.check(t, id, want)
	case !announced.MatchString(text):
		c.nameless++
	default:
		id := runID(t, text)
		c.maybe[id] = want
		c.checkKilled(t, id, want)
	}
}

func (c *chaos) check(t *testing.T, id string, want model.JobRunStatus) {
	t.Helper()
	if run := c.run(t, id); run.Status != want || !run.Concluded {
		t.Errorf("%+v, want %s", *run, want)
	}
	c.checkReason(t, id, want, false)
}

// checkReason checks that the outcome is that of the run: of a command that ended, or of a recorder
// that did.
func (c *chaos) checkReason(t *testing.T, id string, status model.JobRunStatus, killed bool) {
	t.Helper()
	got, _ := whyOf(t, c.outcome(t, id))
	wanted := map[model.JobRunStatus]string{model.JobRunStatusSuccess: "Completed", model.JobRunStatusFailed: "ExitStatus"}[status]
	if got.reason != wanted && (!killed || got.reason != "RecorderLost") {
		t.Errorf("run %s: %+v, want the reason %s", id, got, wanted)
	}
}

// checkKilled checks the run of a recorder that was killed. A server looks at its locks each time it
// is asked.
func (c *chaos) checkKilled(t *testing.T, id string, want model.JobRunStatus) {
	t.Helper()
	run, _, err := c.GetJobRun(t.Context(), client.RunRef{Project: "p", Job: "j", Run: id})
	switch {
	case errors.Is(err, client.ErrNotFound):
	case err != nil:
		t.Error(err)
	case run.Status != model.JobRunStatusFailed && run.Status != want:
		t.Errorf("its recorder was killed: %+v", *run)
	case run.Concluded:
		c.checkReason(t, id, run.Status, true)
	}
}

// checkAll checks everything that the store must have.
func (c *chaos) checkAll(t *testing.T) {
	t.Helper()
	intact(t, c.store)
	for id, want := range c.told {
		c.check(t, id, want)
	}
	for id, want := range c.maybe {
		c.checkKilled(t, id, want)
	}
	db := openDatabase(t, strings.TrimPrefix(c.store, "sqlite:"))
	defer db.Close()
	for _, round := range c.imports {
		var count int
		if err := db.QueryRowContext(context.Background(), "SELECT count(*) FROM runs WHERE id GLOB $1",
			fmt.Sprintf("import-%d-*", round)).Scan(&count); err != nil ||
			count != importedLines {
			t.Errorf("the import of round %d has left %d runs, %v", round, count, err)
		}
	}
	rows, err := db.Query("SELECT id, concluded FROM runs WHERE id NOT GLOB 'import-*'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	unknown := 0
	for rows.Next() {
		var id string
		var concluded bool
		if err := rows.Scan(&id, &concluded); err != nil {
			t.Fatal(err)
		}
		if _, told := c.told[id]; told && !concluded {
			t.Errorf("run %s has not concluded", id)
		}
		if c.told[id] == "" && c.maybe[id] == "" {
			unknown++
		}
		if !concluded {
			c.checkKilled(t, id, model.JobRunStatusFailed)
		}
	}
	if err := rows.Err(); err != nil || unknown > c.nameless {
		t.Errorf("%d runs that nobody has announced, of %d killed recorders, %v", unknown, c.nameless, err)
	}
}

// TestChaos kills a recorder, an import or the server again and again, all of one store. Nothing that
// a program has reported as done may be lost, and nothing may be wrong.
func TestChaos(t *testing.T) {
	rounds, seed := 30, uint64(time.Now().UnixNano())
	if text := os.Getenv(chaosVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("%s=%d repeats the choices", seedVariable, seed)
	store := newStore(t)
	c := &chaos{
		api:    &api{store: store},
		token:  output(t, "jobrund", "token", "create", "--name", "test", "--store", store),
		random: rand.New(rand.NewPCG(seed, 0)),
		told:   map[string]model.JobRunStatus{},
		maybe:  map[string]model.JobRunStatus{},
	}
	c.serve(t)
	for number := range rounds {
		c.round(t, number)
		if t.Failed() {
			t.Fatalf("in round %d", number)
		}
		if number%10 == 9 {
			c.checkAll(t)
		}
	}
	for _, round := range c.killed {
		if got := ends(t, c.importOf(t, round)); got != imported(importedLines) {
			t.Errorf("the import of round %d again: %+v", round, got)
		}
		c.imports = append(c.imports, round)
	}
	c.checkAll(t)
	t.Logf("%d runs recorded, %d recorders killed, %d imports, of which %d were killed at first",
		len(c.told), len(c.maybe)+c.nameless, len(c.imports), len(c.killed))
}
