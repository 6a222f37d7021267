package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/jobrun"
)

const recordPermission = "Project > Jobs > Runs > Record"

// newRecordingAPI returns an api without runs, and the secret of a token that can only record.
func newRecordingAPI(t testing.TB) (*api, string) {
	t.Helper()
	a := newAPI(t)
	return a, a.token(jobrun.Token{Name: "recorder", Teams: []string{"team"}, Permissions: []string{recordPermission}})
}

// put sends a report: a JSON body, unless it is "".
func (a *api) put(path, secret, body string, headers ...string) answer {
	a.Helper()
	r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return a.send(r)
}

func TestRecordJobRun(t *testing.T) {
	a, secret := newRecordingAPI(t)
	for i, test := range []struct {
		query, body string
		status      int
		want        string // in the response
	}{
		{"", "", 200, `"status":"RUNNING"`},
		{"", "", 200, `"completions":0`},
		{"", "{}", 200, `"concludedAt":null`},
		{"?heartbeatTimeout=86400", "", 200, `"runName":"r"`},
		{"", `{"runName":"other"}`, 409, `the run is recorded with the name \"r\"`},
		{"?exitStatus=3", "", 200, `"status":"FAILED"`},
		{"?exitStatus=3", "", 200, `"completions":1`},
		{"", "", 200, `"status":"FAILED"`},
		{"?exitStatus=0", "", 409, "with another conclusion: FAILED at "},
	} {
		got := a.put("/v1/projects/p/jobs/j/runs/r"+test.query, secret, test.body)
		a.want(got, test.status)
		if !strings.Contains(string(got.body), test.want) {
			t.Errorf("%d: %s, want %s", i, got.body, test.want)
		}
	}
	if _, recorded := a.store.runs[jobrun.Key{Team: "team", Project: "p", Job: "j", Run: "r"}]; !recorded {
		t.Error("the run is not recorded in the token's team")
	}
}

func TestRecordJobRunRefusesBadRequests(t *testing.T) {
	for name, test := range map[string]struct {
		query, body string
		headers     []string
		status      int
		details     model.ErrorDetails
		says        string
	}{
		"an unknown parameter":   {query: "?exitstatus=0", status: 400, details: model.ErrorDetails{Parameter: "exitstatus", Rule: "parameters"}},
		"a long parameter":       {query: "?" + strings.Repeat("a", 40), status: 400, details: model.ErrorDetails{Parameter: "...", Rule: "parameters"}},
		"an exit status of 256":  {query: "?exitStatus=256", status: 400, details: model.ErrorDetails{Parameter: "exitStatus", Rule: "maximum"}},
		"a body and a parameter": {query: "?exitStatus=0", body: `{"host":"h"}`, status: 400, details: model.ErrorDetails{Parameter: "exitStatus", Rule: "requestBody"}},
		"another media type":     {body: "{}", headers: []string{"Content-Type", "text/plain"}, status: 415, says: "must be application/json"},
		"an encoded body":        {body: "{}", headers: []string{"Content-Encoding", "gzip"}, status: 415, says: "without a Content-Encoding"},
		"a large body":           {body: `{"host":"` + strings.Repeat("a", 256<<10) + `"}`, status: 413, says: "it may have 262144 bytes"},
		"not JSON":               {body: "{", status: 400, details: model.ErrorDetails{Rule: "type"}, says: "not valid JSON"},
		"two values":             {body: "{}{}", status: 400, details: model.ErrorDetails{Rule: "type"}, says: "not valid JSON"},
		"a list":                 {body: "[]", status: 400, details: model.ErrorDetails{Rule: "type"}},
		"an unknown field":       {body: `{"Host":"h"}`, status: 400, details: model.ErrorDetails{Rule: "properties"}, says: `property "Host" is unsupported`},
		"an unknown inner field": {body: `{"conclusion":{"succeeded":true,"x":1}}`, status: 400, details: model.ErrorDetails{Rule: "properties", Pointer: "/conclusion"}},
		"a null":                 {body: `{"host":null}`, status: 400, details: model.ErrorDetails{Rule: "nullable", Pointer: "/host"}},
		"a half second":          {body: `{"heartbeatTimeout":10.5}`, status: 400, details: model.ErrorDetails{Rule: "type", Pointer: "/heartbeatTimeout"}},
		"a day that is none":     {body: `{"startedAt":"2026-02-30T00:00:00Z"}`, status: 400, details: model.ErrorDetails{Rule: "format", Pointer: "/startedAt"}},
		"an exponent":            {body: `{"heartbeatTimeout":1.2e2}`, status: 400, details: model.ErrorDetails{Rule: "type"}, says: "heartbeatTimeout must be an integer without"},
		"a leap second":          {body: `{"startedAt":"2016-12-31T23:59:60Z"}`, status: 400, details: model.ErrorDetails{Rule: "pattern", Pointer: "/startedAt"}},
		"the server's reason":    {body: `{"conclusion":{"succeeded":false,"reason":"RecorderLost"}}`, status: 400, says: "the server's own"},
		"a hidden character":     {body: `{"runName":"a\u202eb"}`, status: 400, says: "U+202E"},
	} {
		t.Run(name, func(t *testing.T) {
			a, secret := newRecordingAPI(t)
			got := a.put("/v1/projects/p/jobs/j/runs/r"+test.query, secret, test.body, test.headers...)
			a.want(got, test.status)
			if got.err.Details != test.details || !strings.Contains(got.err.Message, test.says) {
				t.Errorf("%+v, want %+v and %q", got.err, test.details, test.says)
			}
			if len(a.store.runs) > 0 {
				t.Error("a run is recorded")
			}
		})
	}
}

func TestRecordJobRunAuthorizesBeforeItReadsTheBody(t *testing.T) {
	for name, test := range map[string]struct {
		token  jobrun.Token
		path   string
		status int
	}{
		"no permission":    {jobrun.Token{Teams: []string{"team"}, Permissions: []string{readPermission}}, "/v1/projects/p/jobs/j/runs/r", 403},
		"another project":  {jobrun.Token{Teams: []string{"team"}, Projects: []string{"q"}, Permissions: []string{recordPermission}}, "/v1/projects/p/jobs/j/runs/r", 403},
		"another team":     {jobrun.Token{Teams: []string{"team"}, Permissions: []string{recordPermission}}, "/v1/teams/other/projects/p/jobs/j/runs/r", 403},
		"a malformed ID":   {jobrun.Token{Teams: []string{"team"}, Permissions: []string{recordPermission}}, "/v1/projects/p/jobs/j/runs/-", 400},
		"too large a body": {jobrun.Token{Teams: []string{"team"}, Permissions: []string{recordPermission}}, "/v1/projects/p/jobs/j/runs/r", 413},
	} {
		a := newAPI(t)
		r := httptest.NewRequest(http.MethodPut, test.path, unread{t})
		r.ContentLength = 1 << 20
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+a.token(test.token))
		if got := a.send(r); got.status != test.status {
			t.Errorf("%s: the status is %d, want %d: %s", name, got.status, test.status, got.body)
		}
	}
}

func TestARecordingTokenReadsNothing(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		a, secret := newRecordingAPI(t)
		want := http.StatusForbidden
		if o.permission == recordPermission || o.permission == "" {
			want = http.StatusOK
		}
		a.want(a.ask(o, nil, secret), want)
	})
}

// newLimitedRecordingAPI is newRecordingAPI with so many requests and new runs an hour.
func newLimitedRecordingAPI(t *testing.T, requests, newRuns int) (a *api, secret string) {
	t.Helper()
	a, secret = newRecordingAPI(t)
	handler, err := server.New(a.store, a.logger, server.Options{
		RateLimit:   auth.RateLimit{Requests: requests, Window: time.Hour},
		RecordLimit: auth.RateLimit{Requests: newRuns, Window: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.handler = handler
	return a, secret
}

func TestRecordLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newLimitedRecordingAPI(t, 1, 2)
		run := func(n int, query string) answer {
			return a.put(fmt.Sprintf("/v1/projects/p/jobs/j/runs/%d%s", n, query), secret, "")
		}
		wantLimit(t, run(1, ""), "2", "1", "3600")
		wantLimit(t, run(2, ""), "2", "0", "3600")
		for n := range 400 { // 200 reports for each new run
			if got := run(1+n%2, ""); got.status != 200 {
				t.Fatalf("report %d: %d %s", n, got.status, got.body)
			}
		}
		wantLater(t, run(1, ""), "3600", `the token "recorder" has used up its reports: 400/1h`)
		wantLater(t, run(3, ""), "3600", `the token "recorder" has used up its new runs: 2/1h`)
		wantLater(t, run(3, "?exitStatus=0"), "3600", `the token "recorder" has used up its new runs: 2/1h`)
		a.want(run(1, "?exitStatus=0"), 200)
		a.want(run(1, "?exitStatus=0"), 200)
		time.Sleep(time.Hour)
		a.want(run(3, ""), 200)
	})
}

// TestRenewalsNeverCostAConclusion has 50 runs renewed every 30 seconds for two hours, with the
// limits that jobrund has by default.
func TestRenewalsNeverCostAConclusion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newLimitedRecordingAPI(t, 1000, 10_000)
		all := func(query string) {
			for run := range 50 {
				if got := a.put(fmt.Sprintf("/v1/projects/p/jobs/j/runs/%d%s", run, query), secret, ""); got.status != 200 {
					t.Fatalf("run %d%s: %d %s", run, query, got.status, got.body)
				}
			}
		}
		for range 2 * time.Hour / (30 * time.Second) {
			all("?heartbeatTimeout=120")
			time.Sleep(30 * time.Second)
		}
		all("?exitStatus=0")
	})
}

// TestHostileBodies sends bodies of the largest size that take long to validate.
func TestHostileBodies(t *testing.T) {
	const size = 256 << 10
	fill := func(begin, part, end string) string {
		return begin + strings.Repeat(part, (size-len(begin)-len(end))/len(part)) + end
	}
	bodies := []string{
		fill("", "[", ""),
		fill("["+strings.Repeat("[", 9000)+strings.Repeat("]", 9000), " ", "]"),
		fill(`{"log":[{}`, ",{}", "]}"),
		fill(`{"log":[[]`, ",[]", "]}"),
		fill(`{"attempts":[`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+`]`, " ", "}"),
		fill(`{"runName":"`, `\u0000`, `"}`),
		fill(`{"log":[{"ts":"2026-11-29T12:00:00Z","log":"`, "é", `"}]}`),
		fill(`{"`, `a`, `":1}`),
	}
	a, secret := newRecordingAPI(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := make(chan uint64)
	done := make(chan struct{})
	go func() {
		var most uint64
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(time.Millisecond):
				runtime.ReadMemStats(&after)
				most = max(most, after.HeapInuse)
			}
		}
	}()
	var all sync.WaitGroup
	for _, body := range bodies {
		all.Go(func() {
			r := httptest.NewRequest(http.MethodPut, "/v1/projects/p/jobs/j/runs/r", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+secret)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r)
			if w.Code != 400 || w.Body.Len() > 1000 {
				t.Errorf("%.20s: %d %.200s", body, w.Code, w.Body)
			}
		})
	}
	all.Wait()
	close(done)
	if grown := int64(<-peak) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the bodies cost %d MiB", grown>>20)
	}
}
