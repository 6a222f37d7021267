package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/jobruns/jobruns/client"
)

// documented is the run of the reference's example.
var documented = client.RunRef{
	Project: "default-project",
	Job:     "example-job",
	Run:     "d34582a4-35bd-4c71-8e7c-e36999b88723",
}

// documentedStore returns a store with the documented run, and a token for it.
func documentedStore(t testing.TB) (store, token string) {
	t.Helper()
	store = newStore(t)
	return store, importDocumented(t, store)
}

// importDocumented imports the documented run, and returns a token for it.
func importDocumented(t testing.TB, store string) (token string) {
	t.Helper()
	line, err := os.Open("testdata/documented.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	importer := program(t, "jobrund", "import", "--store", store)
	importer.Stdin = line
	if out, err := importer.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	return output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
}

// TestDocumentedExample sends the documented run through the store, the server, the client and the
// command line.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	wantDocumented(t, store, token)
}

func wantDocumented(t *testing.T, store, token string) {
	t.Helper()
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, store)
	same := func(who string, got []byte) {
		t.Helper()
		if !bytes.Equal(bytes.TrimSpace(want), bytes.TrimSpace(got)) {
			t.Errorf("%s:\n got %s\nwant %s", who, got, want)
		}
	}
	for _, team := range []string{"", "default"} {
		ref := documented
		ref.Team = team
		c := newClient(t, s, token)
		run, response, err := c.GetJobRun(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		indented, err := json.MarshalIndent(run, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		same("the client", indented)

		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
		var answer struct{ Data json.RawMessage }
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		if err := json.Indent(&plain, answer.Data, "", "  "); err != nil {
			t.Fatal(err)
		}
		same("the response", plain.Bytes())

		args := []string{"get", "job", "run", "--host", s.url, "--token", token, "--projectId", ref.Project,
			"--jobId", ref.Job, "--runId", ref.Run, "-o", "json"}
		if team != "" {
			args = append(args, "--teamId", team)
		}
		same("northflank", []byte(output(t, "northflank", args...)))
	}
}
