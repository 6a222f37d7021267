package server_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

// forEachParameter runs the test once for every path parameter of every operation of the document.
func forEachParameter(t *testing.T, test func(t *testing.T, o operation, parameter string)) {
	t.Helper()
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, parameter := range o.parameters {
			t.Run(parameter, func(t *testing.T) { test(t, o, parameter) })
		}
	})
}

func TestMalformedParameter(t *testing.T) {
	tests := []struct{ value, rule string }{ // the value as it goes over the wire
		{strings.Repeat("a", 254), "maxLength"},
		{strings.Repeat("%61", 254), "maxLength"},
		{"-a", "pattern"},
		{"a-", "pattern"},
		{".a", "pattern"},
		{"a.", "pattern"},
		{"_a", "pattern"},
		{"a_", "pattern"},
		{"-", "pattern"},
		{".", "pattern"},
		{"..", "pattern"},
		{"%2E%2E", "pattern"},
		{"a%2Fb", "pattern"},
		{"a%2fb", "pattern"},
		{"%2F", "pattern"},
		{"a%5Cb", "pattern"},
		{"a%00", "pattern"},
		{"%00", "pattern"},
		{"a%0A", "pattern"},
		{"a%0Ab", "pattern"},
		{"a%20b", "pattern"},
		{"a+b", "pattern"},
		{"a%252Fb", "pattern"},
		{"%252D", "pattern"},
		{"a%3Fb", "pattern"},
		{"a%23b", "pattern"},
		{"a;b", "pattern"},
		{"a,b", "pattern"},
		{"a=b", "pattern"},
		{"a:b", "pattern"},
		{"*", "pattern"},
		{":runId", "pattern"},
		{"{runId}", "pattern"},
		{"%C3%A9", "pattern"},
		{"é", "pattern"},
		{"a%CC%81", "pattern"},
		{"%EF%BC%91", "pattern"}, // a digit, but not of ASCII
		{"a%FF", "pattern"},      // not UTF-8
		{"a\xff", "pattern"},
	}
	forEachParameter(t, func(t *testing.T, o operation, parameter string) {
		a, secret := newFilledAPI(t)
		for _, test := range tests {
			t.Run(strconv.QuoteToASCII(test.value), func(t *testing.T) {
				a.TB = t
				a.wantBroken(a.ask(o, map[string]string{parameter: test.value}, secret), parameter, test.rule)
			})
		}
	})
}

// wantBroken checks that the response blames the parameter for breaking the rule.
func (a *api) wantBroken(got answer, parameter, rule string) {
	a.Helper()
	a.want(got, 400)
	if details := got.err.Details; details.Parameter != parameter || details.Rule != rule {
		a.Errorf("details are %+v, want the parameter %q and the rule %q", details, parameter, rule)
	}
	for _, word := range []string{parameter, rule} {
		if !strings.Contains(got.err.Message, word) {
			a.Errorf("the message %q does not name %q", got.err.Message, word)
		}
	}
}

// A path may end before its last parameter, and is then no path of the document; in the middle, it
// is one with a value that is empty.
func TestEmptyParameter(t *testing.T) {
	forEachParameter(t, func(t *testing.T, o operation, parameter string) {
		a, secret := newFilledAPI(t)
		got := a.ask(o, map[string]string{parameter: ""}, secret)
		if strings.HasSuffix(o.path(map[string]string{parameter: ""}), "/") {
			a.want(got, 404)
			a.noLookup()
			return
		}
		a.wantBroken(got, parameter, "required")
	})
}

func TestWellFormedParameter(t *testing.T) {
	tests := []string{ // as they go over the wire
		"a",
		"Z",
		"0",
		strings.Repeat("a", 253),
		strings.Repeat("%61", 253),
		"a" + strings.Repeat(".", 251) + "a",
		"a%2Db",
		"a%2db",
		"a%2Eb",
		"%61",
		"a.b_c-d",
		"a..b",
		// Words that mean something in JSON or in a path elsewhere.
		"null",
		"true",
		"1e5",
		"007",
		"runs",
		"login",
	}
	forEachParameter(t, func(t *testing.T, o operation, parameter string) {
		for _, value := range tests {
			t.Run(value, func(t *testing.T) {
				decoded, err := url.PathUnescape(value)
				if err != nil {
					t.Fatal(err)
				}
				a := newAPI(t)
				key := keyWith(exampleKey, parameter, decoded)
				a.store.runs[key] = exampleRun(t)
				token := allowed()
				token.Teams = []string{key.Team}
				token.Projects = []string{key.Project}
				a.want(a.ask(o, map[string]string{parameter: value}, a.token(token)), o.success)
				looked := a.store.takeLookups()
				if readsRun := o.id == "getJobRun" ||
					o.id == "getTeamJobRun"; readsRun &&
					(len(looked) != 1 || looked[0] != key) {
					t.Errorf("looked up %v, want only %v", looked, key)
				}
			})
		}
	})
}

// keyWith returns the key with one part replaced, which a path parameter names.
func keyWith(key jobrun.Key, parameter, value string) jobrun.Key {
	part := map[string]*string{
		"teamId": &key.Team, "projectId": &key.Project, "jobId": &key.Job, "runId": &key.Run,
	}[parameter]
	*part = value
	return key
}

// The parameters come in the path's order, so that the response for several that are wrong is always
// the same.
func TestFirstMalformedParameterIsNamed(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		if len(o.parameters) == 0 {
			return
		}
		a, secret := newFilledAPI(t)
		a.wantBroken(a.ask(o, malformedValues(o), secret), o.parameters[0], "pattern")
	})
}
