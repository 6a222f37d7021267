package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/gen/spec"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// readPermission is the one that the reference names for the run's details.
const readPermission = "Project > Jobs > General > Read"

// exampleKey is where the tests store the run of the reference.
var exampleKey = jobrun.Key{
	Team:    "team",
	Project: "default-project",
	Job:     "example-job",
	Run:     "d34582a4-35bd-4c71-8e7c-e36999b88723",
}

// exampleData is the "data" of the example response, byte for byte as the reference prints it.
var exampleData = readExample()

func readExample() string {
	data, err := os.ReadFile("../e2e/testdata/documented.json")
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(string(data), "\n")
}

func exampleRun(t testing.TB) model.JobRun {
	t.Helper()
	var run model.JobRun
	if err := json.Unmarshal([]byte(exampleData), &run); err != nil {
		t.Fatal(err)
	}
	return run
}

// everyPermission returns those that the document has.
var everyPermission = sync.OnceValue(func() []string {
	document, err := contract.Load()
	if err != nil {
		panic(err)
	}
	return document.Permissions()
})

// allowed is a token that may do all with the example run.
func allowed() jobrun.Token {
	return jobrun.Token{Name: "ci", Teams: []string{exampleKey.Team}, Permissions: everyPermission()}
}

// freshDocument returns the contract, for the test to change.
func freshDocument() (*openapi3.T, error) {
	doc, err := spec.GetSpec()
	if err == nil {
		doc.Servers = nil // kin-openapi would check each request's Host header against them
	}
	return doc, err
}

var readDocument = sync.OnceValues(freshDocument)

// document returns the contract, which tests that share it must not change.
func document(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operation is an operation of the document, as a request needs it.
type operation struct {
	*routers.Route
	id, permission string
	open           bool     // needs no token
	parameters     []string // of the path, in its order
	success        int      // the status of a good response
}

var template = regexp.MustCompile(`\{([^}]+)\}`)

// operations returns all that the document has, so that a test covers one that is added later.
func operations(t testing.TB) []operation {
	t.Helper()
	doc := document(t)
	var all []operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			found := operation{
				Route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				id:    op.OperationID,
			}
			found.open = op.Security != nil && len(*op.Security) == 0
			found.permission, _ = op.Extensions["x-required-permission"].(string)
			for status := range op.Responses.Map() {
				if strings.HasPrefix(status, "2") {
					found.success, _ = strconv.Atoi(status)
				}
			}
			for _, match := range template.FindAllStringSubmatch(path, -1) {
				found.parameters = append(found.parameters, match[1])
			}
			all = append(all, found)
		}
	}
	if len(all) == 0 {
		t.Fatal("the document has no operations")
	}
	slices.SortFunc(all, func(a, b operation) int { return cmp.Compare(a.id, b.id) })
	return all
}

// path returns the operation's path with the values in it as they are. What they leave out is that
// of the example.
func (o operation) path(values map[string]string) string {
	example := pathValues(exampleKey)
	return template.ReplaceAllStringFunc(o.Path, func(parameter string) string {
		name := strings.Trim(parameter, "{}")
		if value, ok := values[name]; ok {
			return value
		}
		return example[name]
	})
}

// request returns a request for the operation: values are those of its path, and what else it
// requires comes from the document's examples.
func (o operation) request(values map[string]string) *http.Request {
	query := url.Values{}
	for _, p := range o.Operation.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && p.Value.Required {
			query.Set(p.Value.Name, fmt.Sprint(p.Value.Example))
		}
	}
	path := o.path(values)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if o.Operation.RequestBody == nil {
		return httptest.NewRequest(o.Method, path, nil)
	}
	body, err := json.Marshal(o.Operation.RequestBody.Value.Content["application/json"].Example)
	if err != nil {
		panic(err) // an example that was read from JSON
	}
	r := httptest.NewRequest(o.Method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// expects returns the status that the operation has where another answers 200.
func (o operation) expects(status int) int {
	if status == http.StatusOK {
		return o.success
	}
	return status
}

// operationOf returns the operation with that id.
func operationOf(t testing.TB, id string) operation {
	t.Helper()
	all := operations(t)
	i := slices.IndexFunc(all, func(o operation) bool { return o.id == id })
	if i < 0 {
		t.Fatalf("the document has no operation %q", id)
	}
	return all[i]
}

// runPath returns the path of a run without its team.
func runPath(t testing.TB, key jobrun.Key) string {
	t.Helper()
	return operationOf(t, "getJobRun").path(pathValues(key))
}

// teamRunPath returns the path of a run with its team.
func teamRunPath(t testing.TB, key jobrun.Key) string {
	t.Helper()
	return operationOf(t, "getTeamJobRun").path(pathValues(key))
}

func pathValues(key jobrun.Key) map[string]string {
	return map[string]string{"teamId": key.Team, "projectId": key.Project, "jobId": key.Job, "runId": key.Run}
}

// operationsAt returns what the document has at the escaped path, whatever the method. It is no
// router of the server's, so that the two can disagree.
func operationsAt(t testing.TB, path string) (found []operation) {
	t.Helper()
	same := func(want, got string) bool { return want == got || template.MatchString(want) && got != "" }
	for _, o := range operations(t) {
		if slices.EqualFunc(strings.Split(o.Path, "/"), strings.Split(path, "/"), same) {
			found = append(found, o)
		}
	}
	return found
}
