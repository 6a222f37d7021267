//go:build e2e

package e2e

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// unseen are the characters that a terminal would act upon, or that would turn the text around them.
var unseen = regexp.MustCompile("[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

// An old recorder, or somebody with sqlite3, may have given a run such a name.
const oldName = "a\u009b31mred\u0085\u202eb\u2028c\u2066d"
const oldNameShown = `a\u009b31mred\u0085\u202eb\u2028c\u2066d`

// renamedStore is a store whose run has that name: no recorder of today writes it.
func renamedStore(t *testing.T) (store, token string) {
	t.Helper()
	store, token = documentedStore(t)
	var codes []string
	for _, r := range oldName {
		codes = append(codes, strconv.Itoa(int(r)))
	}
	update := "UPDATE runs SET run_name = char(" + strings.Join(codes, ", ") + ");"
	out, err := exec.Command("sqlite3", strings.TrimPrefix(store, "sqlite:"), update).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return store, token
}

func TestFindPageEscapesOldNames(t *testing.T) {
	store, token := renamedStore(t)
	s := serve(t, store)
	b := newTab(t, screens[0])
	b.find(s.url+"/#/projects/"+documented.Project+"/jobs/"+documented.Job, token)
	b.heading(documented.Job)
	wantEscaped := func(where string) {
		t.Helper()
		text := get(b, where, chromedp.Evaluate[string]("document.documentElement.textContent"))
		if found := unseen.FindString(text); found != "" || !strings.Contains(text, oldNameShown) {
			t.Errorf("%s has %q: %q", where, found, text)
		}
	}
	wantEscaped("the list")
	b.do("open the run", chromedp.Click(chromedp.CSS("tbody a")))
	b.heading(oldNameShown)
	wantEscaped("the run")
	if title := get(b, "the title", chromedp.Evaluate[string]("document.title")); title != oldNameShown+" - jobruns" {
		t.Errorf("the title is %q", title)
	}
	b.quiet(s.url)
}

func TestNorthflankEscapesOldNames(t *testing.T) {
	store, token := renamedStore(t)
	s := serve(t, store)
	runs := []string{"get", "job", "runs", "--project", documented.Project, "--job", documented.Job}
	run := append([]string{"get", "job", "run", "--run", documented.Run}, runs[3:]...)
	for name, args := range map[string][]string{
		"run": run, "wait": append(run, "--wait"), "run as JSON": append(run, "-o", "json"),
		"run as YAML": append(run, "-o", "yaml"),
		"runs":        runs, "runs as JSON": append(runs, "-o", "json"), "verbose": append(run, "--verbose"),
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t, "northflank", args...)
			cmd.Env = append(cmd.Env, "NORTHFLANK_HOST="+s.url, "NORTHFLANK_API_TOKEN="+token)
			out, err := cmd.CombinedOutput()
			if found := unseen.FindString(string(out)); err != nil || found != "" {
				t.Errorf("%v, %q in %q", err, found, out)
			}
			if name == "run as JSON" {
				var got struct{ RunName string }
				if err := json.Unmarshal(out, &got); err != nil || got.RunName != oldName {
					t.Errorf("the name is %q: %v", got.RunName, err)
				}
			}
		})
	}
}
