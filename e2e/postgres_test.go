//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/gen/model"
)

func TestPostgres(t *testing.T) {
	t.Parallel() // its tests mostly wait
	pg := postgres.Start(t)
	for name, test := range map[string]func(*testing.T, *postgres.Server){
		"SeveralServers":  testSeveralServers,
		"ManyStartAtOnce": func(t *testing.T, pg *postgres.Server) { testManyStartAtOnce(t, pg.NewDatabase(t)) },
		"Unreachable":     testPostgresUnreachable,
		"Hangs":           testPostgresHangs,
		"KilledRecorder":  func(t *testing.T, pg *postgres.Server) { testKilledRecorder(t, pg.NewDatabase(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, pg)
		})
	}
}

// TestPostgresBurst allows few connections.
func TestPostgresBurst(t *testing.T) {
	pg := postgres.Start(t)
	pg.Stop(t)
	pg.MaxConnections = 20
	pg.Restart(t)
	testBurst(t, pg.NewDatabase(t))
}

// testSeveralServers has two servers and a recorder share a database, each in a process of its own,
// as on several machines.
func testSeveralServers(t *testing.T, pg *postgres.Server) {
	store := pg.NewDatabase(t)
	w := newWaiting(t, store) // through the one server
	other := serve(t, store)
	path := "/v1/projects/p/jobs/j/runs/" + w.id
	ask(t, other, w.token, path, http.StatusOK)
	w.tell(t, "7")
	w.want(t, 3, model.JobRunStatusFailed)
	if got := exitStatus(t, waitFor(t, other.url, w.token, w.id).Run()); got != 3 {
		t.Errorf("through the other server: exit status %d, want 3", got)
	}
	timeout := 10
	if _, _, err := recordingClient(t, other, w.api.recorder).RecordJobRun(t.Context(), refTo("lost"),
		client.JobRunReport{HeartbeatTimeout: &timeout}); err != nil {
		t.Fatal(err)
	}
	listenFor(t, store, time.Minute)
	if run, _, err := w.WaitForJobRun(t.Context(), refTo("lost")); err != nil || run.Status != model.JobRunStatusFailed {
		t.Errorf("%+v, %v", run, err)
	}
	time.Sleep(6 * time.Second) // longer than a tick
	if logs := w.server.log.String() + other.log.String(); strings.Count(logs, "a run is lost") != 1 {
		t.Errorf("the run is not lost once: %s", logs)
	}
	output(t, "jobrund", "token", "revoke", "waiter", "--store", store)
	for _, s := range []*apiServer{w.server, other} {
		refusedSoon(t, s, w.token, path)
	}
}

// testPostgresUnreachable reads what a person is told whose database is not there.
func testPostgresUnreachable(t *testing.T, pg *postgres.Server) {
	wrong := strings.Replace(pg.NewDatabase(t), "p%40ss", "hush", 1)
	for _, command := range []string{"serve --addr 127.0.0.1:0", "import", "token list"} {
		got := jobrund(t, append(strings.Fields(command), "--store", wrong)...)
		message, isLine := strings.CutSuffix(got.stderr, "\n")
		if got.status != 1 || got.stdout != "" || !isLine || strings.Contains(message, "\n") ||
			!strings.Contains(message, "password authentication failed") || strings.Contains(message, "hush") {
			t.Errorf("%s: exit status %d, %q", command, got.status, got.stderr)
		}
	}
}

// testPostgresHangs cuts the network between a server and the database, so that nobody is told of
// it.
func testPostgresHangs(t *testing.T, pg *postgres.Server) {
	store := pg.NewDatabase(t)
	token := importDocumented(t, store)
	p := pg.NewProxy(t)
	s := serve(t, strings.Replace(store, pg.Address(), p.Address, 1))
	ask(t, s, token, runPath, http.StatusOK)
	p.Lock()
	message := ask(t, s, token, runPath, http.StatusServiceUnavailable)
	p.Unlock()
	if !strings.Contains(message, "the store did not answer in time") {
		t.Errorf("the answer says %q", message)
	}
	eventuallyAnswers(t, s, token, runPath)
}

// eventuallyAnswers asks until the server reaches its store again.
func eventuallyAnswers(t *testing.T, s *apiServer, token, path string) {
	t.Helper()
	for {
		response, err := http.DefaultClient.Do(newRequest(t, s, token, path))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			return
		case http.StatusServiceUnavailable:
			if response.Header.Get("Retry-After") == "" {
				t.Fatal("503 without Retry-After")
			}
		default:
			t.Fatal(response.Status)
		}
	}
}

// TestPostgresStops stops the database for longer than heartbeat timeouts, under a server, a
// recorder and somebody who waits, and starts it again.
func TestPostgresStops(t *testing.T) {
	t.Parallel() // it mostly waits
	pg := postgres.Start(t)
	w := newWaiting(t, pg.NewDatabase(t))
	path := "/v1/projects/p/jobs/j/runs/" + w.id
	testLostWhileListening(t, w.api, func() {
		pg.Stop(t)
		if message := ask(t, w.server, w.token, path, http.StatusServiceUnavailable); strings.Contains(message,
			pg.Address()) {
			t.Errorf("the answer tells of the inside: %q", message)
		}
		w.tell(t, "0")
		time.Sleep(11 * time.Second)
		pg.Restart(t)
		eventuallyAnswers(t, w.server, w.token, path)
	}, func() {})
	w.want(t, 0, model.JobRunStatusSuccess)
	if err := w.recorder.Wait(); err != nil {
		t.Errorf("the recorder: %v", err)
	}
}

// TestPostgresFailover has a standby take the primary's place under a server, a recorder and
// somebody who waits.
func TestPostgresFailover(t *testing.T) {
	t.Parallel()
	primary := postgres.Start(t)
	store := primary.NewDatabase(t)
	standby := primary.StartStandby(t)
	hosts := primary.Address() + "," + standby.Address()
	w := newWaiting(t, strings.Replace(store, primary.Address(), hosts, 1)+"&target_session_attrs=read-write")
	path := "/v1/projects/p/jobs/j/runs/" + w.id
	primary.Stop(t)
	w.tell(t, "0")
	standby.Promote(t)
	if err := w.recorder.Wait(); err != nil {
		t.Errorf("the recorder: %v", err)
	}
	eventuallyAnswers(t, w.server, w.token, path)
	w.want(t, 0, model.JobRunStatusSuccess)
}
