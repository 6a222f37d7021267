//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// crontab is one of the README's, for a host of the test.
type crontab struct {
	variables []string // as in an environment
	commands  []string // by line
	folder    string   // what /usr/local/bin is to it
}

var (
	cronVariable = regexp.MustCompile(`^\w+=`)
	cronTimes    = regexp.MustCompile(`^(\S+ +){5}`)
)

// readCrontab returns the first crontab of a section of the README, for the server of the API. The
// folder of its programs has jobrun, and scripts.
func (a *api) readCrontab(t *testing.T, section string, scripts map[string]string, changes ...string) crontab {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "\n## "+section+"\n")
	_, text, _ = strings.Cut(text, "\n\n```\n") // no end of a block
	text, _, found := strings.Cut(text, "\n```\n")
	if !found {
		t.Fatalf("the section %q has no crontab", section)
	}
	c := crontab{folder: t.TempDir()}
	if err := os.Symlink(filepath.Join(programs, "jobrun"), filepath.Join(c.folder, "jobrun")); err != nil {
		t.Fatal(err)
	}
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(c.folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.NewReplacer(append(changes, "/usr/local/bin", c.folder, "https://jobs.example.com", a.server.url,
		"/etc/jobruns/token", a.recorder)...).Replace(text)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if cronVariable.MatchString(line) {
			c.variables = append(c.variables, line)
			continue
		}
		times := cronTimes.FindString(line)
		command := strings.ReplaceAll(line[len(times):], `\%`, "\x00")
		if times == "" || strings.Contains(command, "%") {
			t.Fatalf("cron does not take the line %q", line)
		}
		c.commands = append(c.commands, strings.ReplaceAll(command, "\x00", "%"))
	}
	return c
}

// command returns a command of the crontab as cron runs it: with /bin/sh, and little in the
// environment.
func (c crontab) command(i int) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", c.commands[i])
	cmd.Dir = c.folder
	cmd.Env = append([]string{"HOME=" + c.folder, "LOGNAME=nobody", "SHELL=/bin/sh", "PATH=/usr/bin:/bin",
		"JOBRUN_SPOOL=" + filepath.Join(c.folder, "spool")}, c.variables...)
	return cmd
}

// runs returns the runs of a job.
func (a *api) runs(t *testing.T, job string) (runs []client.JobRun) {
	t.Helper()
	ref := client.JobRef{Project: "nightly", Job: job}
	for run, err := range a.JobRuns(t.Context(), ref, client.ListJobRunsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	return runs
}

// wantRun checks how the only run of a job ended, and returns its id.
func (a *api) wantRun(t *testing.T, job string, status model.JobRunStatus) string {
	t.Helper()
	runs := a.runs(t, job)
	if len(runs) != 1 || runs[0].Status != status {
		t.Fatalf("the runs of %s are %+v, want one that is %s", job, runs, status)
	}
	return runs[0].ID
}

// recipes returns the crontab of the README's recipes, and the API of its store.
func recipes(t *testing.T, scripts map[string]string, changes ...string) (crontab, *api) {
	t.Helper()
	a := newAPI(t, newStore(t))
	c := a.readCrontab(t, "Be told of failures", scripts, append(changes, "/run/lock", t.TempDir())...)
	if len(c.variables) != 0 || len(c.commands) != 3 {
		t.Fatalf("the crontab is %+v", c)
	}
	c.variables = []string{"JOBRUN_SERVER=" + a.server.url, "JOBRUN_TOKEN_FILE=" + a.recorder}
	return c, a
}

func TestRecipesRunAsPrinted(t *testing.T) {
	t.Parallel()
	c, a := recipes(t, map[string]string{"backup.sh": "", "mirror.sh": "", "report.sh": ""})
	for i, job := range []string{"backup", "mirror", "report"} {
		if out, err := c.command(i).CombinedOutput(); err != nil || len(out) > 0 { // cron would mail it
			t.Errorf("%s: %v: %s", job, err, out)
		}
		a.wantRun(t, job, model.JobRunStatusSuccess)
	}
}

func TestRecipeStartsNoSecondRun(t *testing.T) {
	t.Parallel()
	c, a := recipes(t, map[string]string{"mirror.sh": "echo started; exec cat wait"})
	if err := syscall.Mkfifo(filepath.Join(c.folder, "wait"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := c.command(1)
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	readLine(t, stdout)
	if status := exitStatus(t, c.command(1).Run()); status != 1 {
		t.Errorf("exit status %d, want that of flock", status)
	}
	if err := os.WriteFile(filepath.Join(c.folder, "wait"), nil, 0o600); err != nil { // ends cat
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	a.wantRun(t, "mirror", model.JobRunStatusSuccess)
}

func TestRecipeTellsOfAFailure(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- r.Method + " " + string(body)
	}))
	defer hook.Close()
	c, a := recipes(t, map[string]string{"report.sh": "exit 3"}, "https://chat.example.org", hook.URL)
	if out, err := c.command(2).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	id := a.wantRun(t, "report", model.JobRunStatusFailed)
	if got, want := <-told, "POST report has failed: run "+id; got != want {
		t.Errorf("told is %q, want %q", got, want)
	}
}

// TestCurlRecordsInACrontab has two shells run the line on two hosts at once.
func TestCurlRecordsInACrontab(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	var all sync.WaitGroup
	var folders []string
	db := openDatabase(t, a.store)
	for name, host := range map[string]struct{ shell, end string }{
		"web1": {"/bin/dash", "true"}, "web2": {"/bin/bash", "exit 3"},
	} {
		c := a.readCrontab(t, "Record a command", map[string]string{
			"backup.sh": "until [ -e end ]; do sleep 0.01; done; " + host.end, "hostname": "echo " + name})
		if len(c.variables) != 1 || len(c.commands) != 1 {
			t.Fatalf("the crontab is %+v", c)
		}
		c.variables = append(c.variables, "PATH="+c.folder+":/usr/bin:/bin")
		cmd := c.command(0)
		cmd.Path, cmd.Args[0] = host.shell, host.shell
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 { // cron would mail it
				t.Errorf("%s: %v: %s", host.shell, err, out)
			}
		})
		folders = append(folders, c.folder)
		soon(t, func() (err error) {
			var timeout int
			err = db.QueryRow("SELECT heartbeat_timeout FROM runs WHERE status = 'RUNNING' AND id LIKE $1", name+"-%").
				Scan(&timeout)
			if err == nil && timeout != 86400 {
				err = fmt.Errorf("the heartbeat timeout is %d s", timeout)
			}
			return err
		})
	}
	for _, folder := range folders {
		if err := os.WriteFile(filepath.Join(folder, "end"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	ended := map[string]model.JobRunStatus{}
	for _, run := range a.runs(t, "backup") {
		host, _, _ := strings.Cut(run.ID, "-")
		ended[host] = run.Status
	}
	if diff := cmp.Diff(map[string]model.JobRunStatus{"web1": "SUCCESS", "web2": "FAILED"}, ended); diff != "" {
		t.Error(diff)
	}
}

// onHost returns the command as it runs on a host of that name. Only root can have one.
func onHost(host string, cmd *exec.Cmd) *exec.Cmd {
	args := append([]string{"--uts", "sh", "-c", `hostname "$0" && exec "$@"`, host}, cmd.Args...)
	named := exec.Command("unshare", args...)
	named.Dir, named.Env = cmd.Dir, cmd.Env
	return named
}

// TestWhatFailedLastNight has the crontabs of several hosts run as the README prints that of web1.
// In the morning, one command says which jobs failed, why, and where.
func TestWhatFailedLastNight(t *testing.T) {
	t.Parallel()
	if out, err := onHost("web1", exec.Command("true")).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("only root can name hosts: %v: %s", err, out)
	}
	a := newAPI(t, newStore(t))
	for host, script := range map[string]string{"web1": "true", "web2": "exit 23", "db1": "kill -9 $$", "db2": ""} {
		scripts := map[string]string{"backup.sh": script}
		if script == "" {
			scripts = nil
		}
		c := a.readCrontab(t, "What failed last night", scripts, "web1", host)
		if len(c.variables) != 2 || len(c.commands) != 1 {
			t.Fatalf("the crontab is %+v", c)
		}
		out, err := onHost(host, c.command(0)).CombinedOutput()
		t.Logf("%s: %v: %s", host, err, out)
	}
	cmd := program(t, "northflank", strings.Fields("list runs --projectId nightly --status FAILED --since 24h")...)
	cmd.Env = append(cmd.Env, "NORTHFLANK_HOST="+a.server.url,
		"NORTHFLANK_API_TOKEN="+output(t, "jobrund", "token", "create", "--name", "morning", "--store", a.store))
	morning := outcomeOf(t, cmd)
	if morning.status != 0 || strings.Count(morning.stdout, "\n") != 4 {
		t.Errorf("exit status %d, %s%s", morning.status, morning.stdout, morning.stderr)
	}
	for _, row := range []string{
		`^JOB +STATUS +STARTED \(UTC\) +TOOK +HOST +REASON +RUN$`,
		`^backup-web2 +FAILED +\S+ \S+ +\S+ +web2 +exit status 23 +\S{36}$`,
		`^backup-db2 +FAILED +\S+ \S+ +\S+ +db2 +.*no such file.* +\S{36}$`,
		`^backup-db1 +FAILED +\S+ \S+ +\S+ +db1 +killed by signal 9 \(KILL\) +\S{36}$`,
	} {
		if !regexp.MustCompile("(?m)" + row).MatchString(morning.stdout) {
			t.Errorf("there is no row %s in\n%s", row, morning.stdout)
		}
	}
}
