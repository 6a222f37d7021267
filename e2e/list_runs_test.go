package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNorthflankListsRunsOfManyJobsInFewRequests counts the requests to a proxy in front of the server.
func TestNorthflankListsRunsOfManyJobsInFewRequests(t *testing.T) {
	t.Parallel()
	const jobs = 1000
	a := newAPI(t, newStore(t))
	var text strings.Builder
	latest := time.Date(2020, 12, 8, 12, 0, 0, 0, time.UTC)
	ago := func(minutes int) time.Time { return latest.Add(-time.Duration(minutes) * time.Minute) }
	for i := range jobs {
		line := startedRun(fmt.Sprintf("run-%04d", i), ago(i), latest)
		line = strings.Replace(line, `"j"`, fmt.Sprintf(`"j%d"`, i), 1)
		if i%10 == 0 {
			line = strings.NewReplacer(`"failed":0`, `"failed":1`, `"succeeded":1`, `"succeeded":0`, "SUCCESS", "FAILED").Replace(line)
		}
		text.WriteString(line)
	}
	if got := importText(t, a.store, text.String()); got != imported(jobs) {
		t.Fatalf("%+v", got)
	}
	target, err := url.Parse(a.server.url)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	token := output(t, "jobrund", "token", "create", "--name", "reader", "--store", a.store)
	for flags, want := range map[string]struct{ runs, requests int }{
		"":                          {100, 1},
		"--limit 7":                 {7, 1},
		"--limit 250":               {250, 3},
		"--limit 0":                 {1000, 10},
		"--status FAILED":           {100, 1},
		"--status SUCCESS --job j1": {1, 1},
		"--status FAILED --since " + ago(119).Format(time.RFC3339):                                            {12, 1},
		"--since " + ago(99).Format(time.RFC3339) + " --until " + ago(49).Format(time.RFC3339) + " --limit 0": {50, 1},
	} {
		asked.Store(0)
		args := append([]string{"list", "runs", "--project", "p", "--host", proxy.URL, "--token", token, "-o", "json",
			"--jq", ".runs | map(.id) | unique | length"}, strings.Fields(flags)...)
		got := strings.TrimSpace(output(t, "northflank", args...))
		if got != fmt.Sprint(want.runs) || int(asked.Load()) != want.requests {
			t.Errorf("list runs %s: %s runs with %d requests, want %d with %d", flags, got, asked.Load(), want.runs, want.requests)
		}
	}
}
