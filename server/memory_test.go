package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/jobrun"
)

// inMemory calls the test in a bubble, whose time passes only when all goroutines wait, with an api
// that has cached the example run and the token.
func inMemory(t *testing.T, test func(a *api, secret string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, secret := newFilledAPI(t)
		a.remember()
		for range 3 {
			a.want(a.get(runPath(t, exampleKey), secret), 200)
			synctest.Wait() // for what goes on in the background
		}
		a.wantLookups(runPath(t, exampleKey), secret, 200, false, false)
		test(a, secret)
	})
}

// remember gives the api a memory.
func (a *api) remember() {
	a.Helper()
	options := server.Options{Memory: 1 << 20, RateLimit: auth.RateLimit{Requests: 1000, Window: time.Hour}}
	var err error
	if a.handler, err = server.New(a.store, a.logger, options); err != nil {
		a.Fatal(err)
	}
}

// wantLookups sends a GET, and checks whether a run and a token were looked up for it.
func (a *api) wantLookups(path, secret string, status int, run, token bool) answer {
	a.Helper()
	looked := false
	a.store.onToken = func() error { looked = true; return nil }
	got := a.get(path, secret)
	a.want(got, status)
	if runs := a.store.takeLookups(); len(runs) > 0 != run {
		a.Errorf("%s: the runs %v were looked up", path, runs)
	}
	if looked != token {
		a.Errorf("%s: the token was looked up: %t", path, looked)
	}
	a.store.onToken = nil
	synctest.Wait()
	return got
}

// change changes the example run, or removes it.
func (a *api) change(run *model.JobRun) {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	a.store.revision++
	delete(a.store.runs, exampleKey)
	if run != nil {
		a.store.runs[exampleKey] = *run
	}
}

// lookAgain has a request come late enough to have the revision looked up.
func (a *api) lookAgain() {
	a.Helper()
	time.Sleep(time.Second)
	a.want(a.get("/v1/login", ""), 401)
	synctest.Wait()
}

func TestKeptAnswerIsTheSame(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		fresh := newAPI(a)
		fresh.store = a.store
		var err error
		if fresh.handler, err = server.New(
			a.store,
			fresh.logger,
			server.Options{RateLimit: auth.RateLimit{Requests: 1000, Window: time.Hour}},
		); err != nil {
			a.Fatal(err)
		}
		for name, change := range map[string]func(*http.Request){
			"plain":     func(*http.Request) {},
			"team":      func(r *http.Request) { r.URL.Path = teamRunPath(t, exampleKey) },
			"HEAD":      func(r *http.Request) { r.Method = http.MethodHead },
			"wait":      func(r *http.Request) { r.Header.Set("Prefer", "wait=5") },
			"two lines": func(r *http.Request) { r.Header["Prefer"] = []string{"respond-async", "wait=5"} },
			"escaped": func(r *http.Request) {
				r.URL.RawPath = strings.Replace(runPath(t, exampleKey), "default", "%64efault", 1)
			},
			"body": func(r *http.Request) { r.ContentLength = 3 },
		} {
			request := func() *http.Request {
				r := httptest.NewRequest(http.MethodGet, runPath(t, exampleKey), nil)
				r.Header.Set("Authorization", "Bearer "+secret)
				change(r)
				return r
			}
			want, got := fresh.send(request()), a.send(request())
			for _, header := range []string{"X-Request-Id", "X-Ratelimit-Remaining"} {
				want.header.Del(header)
				got.header.Del(header)
			}
			if diff := cmp.Diff(want.header, got.header); diff != "" {
				t.Errorf("%s: headers (-want +got):\n%s", name, diff)
			}
			if got.status != want.status || string(got.body) != string(want.body) {
				t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, want.status, want.body)
			}
		}
	})
}

// A path without its team is malformed, although the cached run is of the token's own team.
func TestKeptAnswerHasATeam(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		path := teamRunPath(t, exampleKey)
		a.want(a.get(path, secret), http.StatusOK)
		a.want(
			a.get(strings.Replace(path, "/teams/"+exampleKey.Team+"/", "/teams//", 1), secret),
			http.StatusBadRequest,
		)
	})
}

// A caller without access to a run does not get it from the cache either, and reads the same error.
func TestCachedResponseNeedsTheSameAccess(t *testing.T) {
	inMemory(t, func(a *api, _ string) {
		other := func(change func(*jobrun.Token)) string {
			token := allowed()
			change(&token)
			return a.token(token)
		}
		path := runPath(t, exampleKey)
		a.want(a.get(path, ""), 401)
		a.want(a.get(path, other(func(t *jobrun.Token) { t.Permissions = nil })), 403)
		a.want(a.get(path, other(func(t *jobrun.Token) { t.Projects = []string{"other"} })), 403)
		a.want(a.get(path, other(func(t *jobrun.Token) { t.Teams = []string{"other"} })), 404)
		a.want(a.get(path, other(func(t *jobrun.Token) { t.Teams = append(t.Teams, "other") })), 400)
		a.want(a.get(teamRunPath(t, exampleKey), other(func(t *jobrun.Token) { t.Teams = []string{"other"} })), 403)
		a.want(a.get(path, other(func(*jobrun.Token) {})), 200)
		for _, parameter := range []string{"projectId", "jobId", "runId"} {
			a.want(a.get(runPath(t, keyWith(exampleKey, parameter, "other")), other(func(*jobrun.Token) {})), 404)
			a.want(a.get(runPath(t, keyWith(exampleKey, parameter, "-")), other(func(*jobrun.Token) {})), 400)
		}
	})
}

func TestKeptAnswerEnds(t *testing.T) {
	replaced := exampleRun(t)
	replaced.RunName = "replaced"
	for name, test := range map[string]struct {
		run    *model.JobRun
		status int
	}{"removed": {nil, 404}, "replaced": {&replaced, 200}} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(a *api, secret string) {
				a.change(test.run)
				a.lookAgain()
				got := a.wantLookups(runPath(t, exampleKey), secret, test.status, true, true)
				if test.run != nil {
					var answer model.JobRunResult
					decodeStrictly(t, got.body, &answer)
					if diff := cmp.Diff(*test.run, answer.Data); diff != "" {
						t.Errorf("the run (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

// A server that is asked all the time does not wait for the look that tells it of the change.
func TestKeptAnswerEndsWhileItIsAskedFor(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		a.change(nil)
		begin := time.Now()
		for a.get(runPath(t, exampleKey), secret).status == 200 {
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the run that was removed is there for %s", took)
		}
	})
}

func TestRevokedTokenEnds(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		for hash := range a.store.tokens {
			delete(a.store.tokens, hash)
		}
		a.store.revision++
		a.lookAgain()
		a.want(a.get(runPath(t, exampleKey), secret), 401)
	})
}

func TestKeptTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newFilledAPI(t)
		a.remember()
		soon := time.Now().Add(100 * time.Millisecond)
		token := allowed()
		token.ExpiresAt = &soon
		secret := a.token(token)
		for range 3 {
			a.want(a.get(runPath(t, exampleKey), secret), 200)
			synctest.Wait()
		}
		time.Sleep(100 * time.Millisecond)
		a.want(a.get(runPath(t, exampleKey), secret), 401)
	})
}

// A cached token need not be looked up for another address, even one that has been wrong too often.
func TestCachedTokenFromElsewhere(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		a.guess(there, 60)
		for _, address := range []string{here, there} {
			if got, looked := a.from(address, secret); got.status != 200 || looked {
				t.Errorf("%s: status %d, looked up: %t", address, got.status, looked)
			}
		}
	})
}

func TestOpenRunIsNotKept(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		run := exampleRun(a)
		run.Status, run.Active, run.Concluded, run.ConcludedAt = model.JobRunStatusRunning, model.FlagYes, false, nil
		a.change(&run)
		time.Sleep(2 * time.Second)
		for range 3 {
			a.want(a.get(runPath(t, exampleKey), secret), 200)
			synctest.Wait()
		}
		a.wantLookups(runPath(t, exampleKey), secret, 200, true, false)
	})
}

func ptr[T any](v T) *T { return &v }

// While nobody knows the revision, everything is looked up, as if there were no memory.
func TestUnknownRevision(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		a.store.onRevision = func() error { return errors.New("broken") }
		time.Sleep(time.Second)
		for range 3 {
			a.wantLookups(runPath(t, exampleKey), secret, 200, true, true)
		}
	})
}

// What was read before a change does not count as read after it, however long the reader took.
func TestSlowReaderKeepsNothingOld(t *testing.T) {
	inMemory(t, func(a *api, secret string) {
		key := keyWith(exampleKey, "runId", "slow")
		old := exampleRun(t)
		old.ID, old.RunName = key.Run, "old"
		a.store.runs[key] = old
		current := old
		current.RunName = "new"
		a.store.onRun = func() error {
			// The fake looks the run up now, and answers when the others know of the change.
			a.store.onRun = nil
			a.store.mu.Lock()
			a.store.runs[key] = current
			a.store.revision++
			a.store.mu.Unlock()
			time.Sleep(2 * time.Second)
			a.get("/v1/login", secret)
			synctest.Wait()
			a.store.mu.Lock()
			a.store.runs[key] = old
			a.store.mu.Unlock()
			return nil
		}
		r := httptest.NewRequest(http.MethodGet, runPath(t, key), nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		a.handler.ServeHTTP(httptest.NewRecorder(), r)
		a.log.take()
		a.store.runs[key] = current
		got := a.get(runPath(t, key), secret)
		var answer model.JobRunResult
		decodeStrictly(t, got.body, &answer)
		if answer.Data.RunName != "new" {
			t.Errorf("the run is %q", answer.Data.RunName)
		}
	})
}
