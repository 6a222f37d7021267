package server_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

// requests returns those that name the run: with its parts escaped, and as they are, where that is
// a request at all.
func requests(t testing.TB, key jobrun.Key, secret string) []*http.Request {
	t.Helper()
	escaped := jobrun.Key{
		Team:    key.Team,
		Project: url.PathEscape(key.Project),
		Job:     url.PathEscape(key.Job),
		Run:     url.PathEscape(key.Run),
	}
	var all []*http.Request
	for _, path := range []string{
		runPath(t, escaped), teamRunPath(t, escaped), runPath(t, key), teamRunPath(t, key),
	} {
		if r, err := http.NewRequest(http.MethodGet, path, nil); err == nil {
			all = append(all, r)
		}
		// What a server reads, which takes more than a client would send.
		if r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(get(path, secret)))); err == nil {
			r.RemoteAddr = httptest.DefaultRemoteAddr
			all = append(all, r)
		}
	}
	for _, r := range all {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return all
}

// FuzzPathParameters checks that whatever stands in a path is answered as the document says, and
// that only a path with the IDs of the stored run finds it.
func FuzzPathParameters(f *testing.F) {
	for _, value := range []string{
		"", "a", "..", "%2F", "%2D", "%00", "\x00", "\xff", "a/b", "a?b", "a#b", "é", "-a", "a-", " ", "%", "%zz", "a\r\nB: c",
		"example-job/", "example%2Djob", ":jobId", "*", strings.Repeat("a", 253), strings.Repeat("a", 254),
	} {
		f.Add(value, exampleKey.Job, exampleKey.Run)
		f.Add(exampleKey.Project, value, exampleKey.Run)
		f.Add(exampleKey.Project, exampleKey.Job, value)
	}
	f.Add(exampleKey.Project, exampleKey.Job, exampleKey.Run)

	a, secret := newFilledAPI(f)
	schema := document(f).Components.Schemas["ID"].Value
	pattern := regexp.MustCompile(schema.Pattern)
	wellFormed := func(id string) bool {
		return pattern.MatchString(id) && uint64(len(id)) <= *schema.MaxLength
	}
	f.Fuzz(func(t *testing.T, project, job, run string) {
		a.TB = t
		key := jobrun.Key{Team: exampleKey.Team, Project: project, Job: job, Run: run}
		for i, r := range requests(t, key, secret) {
			got := a.send(r)
			switch got.status {
			case http.StatusOK, http.StatusNotFound, http.StatusBadRequest:
			default:
				t.Errorf("%s: the status is %d: %s", r.URL, got.status, got.body)
			}
			if i == 0 && key == exampleKey && got.status != http.StatusOK {
				t.Errorf("%s: the status is %d, want 200: %s", r.URL, got.status, got.body)
			}
			looked := a.store.takeLookups()
			for _, key := range looked {
				for _, id := range []string{key.Team, key.Project, key.Job, key.Run} {
					if !wellFormed(id) {
						t.Errorf("%s: looked up %+q", r.URL, key)
					}
				}
			}
			if got.status == http.StatusOK && (len(looked) != 1 || looked[0] != exampleKey || !names(r, exampleKey)) {
				t.Errorf("%s: the status is 200, looked up %+q", r.URL, looked)
			}
		}
	})
}

// names tells whether the request's path is one of the run's, when its segments are unescaped one
// by one.
func names(r *http.Request, key jobrun.Key) bool {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i, segment := range segments {
		segments[i], _ = url.PathUnescape(segment)
	}
	want := []string{"", "v1", "projects", key.Project, "jobs", key.Job, "runs", key.Run}
	got := strings.Join(segments, "\x00")
	withTeam := append([]string{"", "v1", "teams", key.Team}, want[2:]...)
	return got == strings.Join(want, "\x00") || got == strings.Join(withTeam, "\x00")
}
