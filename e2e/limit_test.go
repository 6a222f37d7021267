package e2e

import (
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
)

// limited asks for the documented run once, and checks the status and what the response says of the
// rate limit: its window is an hour, which began during the test.
func limited(t *testing.T, s *apiServer, token string, status, limit, remaining int) *client.Response {
	t.Helper()
	c := newClient(t, s, token, client.WithMaxRetries(0))
	_, resp, err := c.GetJobRun(t.Context(), documented)
	if resp == nil {
		t.Fatal(err)
	}
	got := resp.RateLimit
	if resp.StatusCode != status || got.Limit != limit || got.Remaining != remaining || got.Reset > time.Hour ||
		got.Reset < 50*time.Minute {
		t.Errorf("%s with %+v, want %d with %d of %d (%v)", resp.Status, got, status, remaining, limit, err)
	}
	if (status == http.StatusTooManyRequests) != errors.Is(err, client.ErrRateLimited) {
		t.Errorf("%s: the error is %v", resp.Status, err)
	}
	return resp
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	other := output(t, "jobrund", "token", "create", "--name", "other", "--store", store)
	s := serve(t, store, "--rate-limit", "3/1h")
	for remaining := 2; remaining >= 0; remaining-- {
		limited(t, s, token, http.StatusOK, 3, remaining)
	}
	resp := limited(t, s, token, http.StatusTooManyRequests, 3, 0)
	if after, reset := resp.Header.Get("Retry-After"), resp.Header.Get("X-Ratelimit-Reset"); after != reset {
		t.Errorf("Retry-After is %s, the reset %s", after, reset)
	}
	const usedUp = `the token "test" has used up its requests: 3/1h`
	if got := ask(t, s, token, runPath, http.StatusTooManyRequests); got != usedUp {
		t.Errorf("the message is %q", got)
	}
	limited(t, s, other, http.StatusOK, 3, 2)

	// A person is told at once, and not only when an hour is over.
	got := outcomeOf(t, program(t, "northflank", "get", "job", "run", "--host", s.url, "--token", token,
		"--project", documented.Project, "--job", documented.Job, "--run", documented.Run))
	want := regexp.MustCompile(
		`^northflank: ` + regexp.QuoteMeta(s.url) + ` has had too many requests with the token of --token, ` +
			`try again after 3[0-9]{3}s: ` + usedUp + ` \(request [0-9a-f-]{36}\)\n$`,
	)
	if got.status != 1 || got.stdout != "" || !want.MatchString(got.stderr) {
		t.Errorf("northflank: %+v", got)
	}

	// Each process counts for itself.
	limited(t, serve(t, store, "--rate-limit", "4/1h"), token, http.StatusOK, 4, 3)
}
