package e2e

import (
	"net/http"
	"regexp"
	"testing"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	other := output(t, "jobrund", "token", "create", "--name", "other", "--store", store)
	s := serve(t, store, "--rate-limit", "3/1h")
	for range 3 {
		ask(t, s, token, runPath, http.StatusOK)
	}
	const usedUp = `the token "test" has used up its requests: 3/1h`
	if got := ask(t, s, token, runPath, http.StatusTooManyRequests); got != usedUp {
		t.Errorf("the message is %q", got)
	}
	ask(t, s, other, runPath, http.StatusOK)

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
	ask(t, serve(t, store, "--rate-limit", "4/1h"), token, runPath, http.StatusOK)
}
