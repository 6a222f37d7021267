package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// runLine is a line of a run of job j in project p.
func runLine(id string) string {
	return fmt.Sprintf(`{"projectId":"p","jobId":"j","run":{"id":"%s","active":0,"backoffLimit":0,"completions":1,`+
		`"concluded":true,"failed":0,"runName":"example-job-5fcf67bc56e1913e21d49504","status":"SUCCESS","succeeded":1,`+
		`"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z"}}`+"\n", id)
}

// importText imports the text from standard input.
func importText(t testing.TB, store, text string, args ...string) outcome {
	t.Helper()
	cmd := program(t, "jobrund", append([]string{"import", "--store", store}, args...)...)
	cmd.Stdin = strings.NewReader(text)
	return outcomeOf(t, cmd)
}

func imported(runs int) outcome {
	return outcome{stderr: "jobrund: imported " + someRuns(runs) + "\n"}
}

func TestImport(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	file := filepath.Join(t.TempDir(), "runs.jsonl")
	if err := os.WriteFile(file, []byte(runLine("file")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		text string
		runs int
		has  []string
	}{
		"file":               {[]string{file}, runLine("not-read"), 1, []string{"file"}},
		"-":                  {[]string{"-"}, runLine("dash"), 1, []string{"dash"}},
		"standard input":     {nil, runLine("plain") + runLine("plain-2"), 2, []string{"plain", "plain-2"}},
		"nothing":            {nil, "", 0, nil},
		"the same run twice": {nil, runLine("twice") + runLine("twice"), 2, []string{"twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := importText(t, a.store, test.text, test.args...); got != imported(test.runs) {
				t.Errorf("%+v, want %d runs", got, test.runs)
			}
			for _, id := range test.has {
				if run := a.run(t, id); run.ID != id || run.Status != model.JobRunStatusSuccess {
					t.Errorf("%+v", *run)
				}
			}
		})
	}
	a.hasNot(t, "not-read")
}

// hasNot checks that there is no such run, or soon is none: what has been removed may be kept for a
// moment.
func (a *api) hasNot(t testing.TB, id string) {
	t.Helper()
	soon(t, func() error {
		run, _, err := a.GetJobRun(t.Context(), client.RunRef{Project: "p", Job: "j", Run: id})
		if errors.Is(err, client.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("run %q: %+v, %w", id, run, err)
	})
}

// soon repeats a check of what a server may still keep in memory, for much longer than it may.
func soon(t testing.TB, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}

func TestImportReplaces(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	running := strings.NewReplacer(`"active":0`, `"active":1`, `"concluded":true`, `"concluded":false`, "SUCCESS",
		"RUNNING", `"succeeded":1`, `"succeeded":0`, `"2020-12-08T11:52:08Z"`, "null").Replace(runLine("r"))
	for _, step := range []struct {
		text   string
		runs   int
		status model.JobRunStatus
	}{
		{running, 1, model.JobRunStatusRunning},
		{runLine("r"), 1, model.JobRunStatusSuccess},
		{runLine("r") + running, 2, model.JobRunStatusRunning}, // the last one counts
	} {
		if got := importText(t, a.store, step.text); got != imported(step.runs) {
			t.Fatalf("%+v", got)
		}
		soon(t, func() error {
			if run := a.run(t, "r"); run.Status != step.status || run.Concluded != (run.ConcludedAt != nil) {
				return fmt.Errorf("%+v, want %s", *run, step.status)
			}
			return nil
		})
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	// Enough lines for several to be read ahead.
	var many strings.Builder
	for i := range 1000 {
		many.WriteString(runLine(fmt.Sprint("many-", i)))
	}
	for name, test := range map[string]struct{ text, says string }{
		"not JSON":    {runLine("first") + "run\n", "line 2: not JSON: "},
		"cut off":     {strings.TrimSuffix(runLine("first"), "}}\n"), "line 1: not JSON: "},
		"late":        {many.String() + "{}\n", `line 1001: `},
		"too long":    {runLine("first") + strings.Repeat("x", 300_000), "line 2: longer than 262144 bytes"},
		"bad project": {runLine("first") + strings.Replace(runLine("bad"), `"p"`, `"a/b"`, 1) + runLine("last"), `line 2: projectId: breaks the rule "pattern": `},
	} {
		t.Run(name, func(t *testing.T) {
			got := importText(t, a.store, test.text)
			if got.status != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 ||
				!strings.HasPrefix(got.stderr, "jobrund: nothing was imported: standard input: "+test.says) {
				t.Errorf("%+v, without %q", got, test.says)
			}
		})
	}
	for _, id := range []string{"first", "bad", "last", "many-0", "many-999"} {
		a.hasNot(t, id)
	}
}

var suggested = regexp.MustCompile(`: (northflank .*)\n`)

// TestImportExplainsHowToImportAList runs the command that the message for the output of northflank
// shows.
func TestImportExplainsHowToImportAList(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	importText(t, store, runLine("a")+runLine("b"))
	token := output(t, "jobrund", "token", "create", "--name", "n", "--store", store)
	s := serve(t, store)
	other := newStore(t)
	shell := func(command string) outcome {
		cmd := program(t, "jobrund")
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", command}
		cmd.Env = append(cmd.Env, "NORTHFLANK_HOST="+s.url, "NORTHFLANK_API_TOKEN="+token, "JOBRUND_STORE="+other,
			"PATH="+programs+":"+os.Getenv("PATH"))
		return outcomeOf(t, cmd)
	}
	got := shell("northflank get job runs --project p --job j -o json | jobrund import")
	command := suggested.FindStringSubmatch(got.stderr)
	if got.status != 1 || command == nil {
		t.Fatalf("%+v", got)
	}
	project := strings.NewReplacer("--project P", "--project p", "--job J", "--job j", `"P"`, `"p"`, `"J"`, `"j"`)
	if got := shell(project.Replace(command[1]) + " | jobrund import"); got != imported(2) {
		t.Errorf("%s: %+v", command[1], got)
	}
	newAPI(t, other).run(t, "b")
}

func TestImportNamesTheFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	bad := filepath.Join(folder, "bad.jsonl")
	if err := os.WriteFile(bad, []byte("\nbad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing.jsonl")
	for file, says := range map[string]string{
		missing: "jobrund: open " + missing + ": no such file or directory\n",
		bad:     "jobrund: nothing was imported: " + bad + ": line 2: not JSON: ",
		folder:  "jobrund: nothing was imported: " + folder + ": line 1: read " + folder + ": is a directory\n",
	} {
		got := jobrund(t, "import", "--store", newStore(t), file)
		if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, says) {
			t.Errorf("%s: %+v, want %q", file, got, says)
		}
	}
}
