package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outcome is what a person sees of a program that has ended.
type outcome struct {
	stdout, stderr string
	status         int
}

func outcomeOf(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	status := exitStatus(t, cmd.Run())
	return outcome{stdout.String(), stderr.String(), status}
}

// named returns jobrund with the arguments, or jobrun if that is the first of them.
func named(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	if len(args) > 0 && args[0] == "jobrun" {
		return program(t, args[0], args[1:]...)
	}
	return program(t, "jobrund", args...)
}

// jobrund runs the program to its end.
func jobrund(t testing.TB, args ...string) outcome {
	t.Helper()
	return outcomeOf(t, program(t, "jobrund", args...))
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	create := func(args ...string) []string {
		return slices.Concat([]string{"token", "create", "--name", "n"}, args)
	}
	for name, test := range map[string]struct {
		args    []string
		says    string
		command string // that has the help
	}{
		"unknown command":       {[]string{"nothing"}, `unknown command "nothing"`, ""},
		"unknown flag":          {[]string{"serve", "--nothing"}, "unknown flag: --nothing", "serve"},
		"flag without a value":  {[]string{"serve", "--addr"}, "flag needs an argument: --addr", "serve"},
		"no number of bytes":    {[]string{"serve", "--cache-size", "much"}, `"much" is not a number of bytes, such as 64MiB or 0`, "serve"},
		"a small cache":         {[]string{"serve", "--cache-size", "1MiB"}, "--cache-size 1.0 MiB: must be 0 or at least 32 MiB", "serve"},
		"another header":        {[]string{"serve", "--trusted-header", "X-Real-IP"}, `--trusted-header "X-Real-IP": must be X-Forwarded-For or Forwarded`, "serve"},
		"a host with a port":    {[]string{"serve", "--admin-host", "a:9090"}, `--admin-host "a:9090": must have`, "serve"},
		"negative shutdown":     {[]string{"serve", "--shutdown-delay", "-1s"}, `"-1s" for "--shutdown-delay"`, "serve"},
		"no name":               {[]string{"token", "create"}, `"name"`, "token create"},
		"bad limit":             {[]string{"serve", "--record-limit", "many"}, `"many"`, "serve"},
		"records and reads":     {create("--record", "--permission", "Project > Jobs > General > Read"), "exclude each other", "token create"},
		"permission to record":  {create("--permission", "Project > Jobs > Runs > Record"), "create it with --record", "token create"},
		"bad name":              {create("--name", "a b"), `--name "a b": must have`, "token create"},
		"unknown permission":    {create("--permission", "all"), `--permission "all": must be one of: Project > Jobs > Deployment > View Instance Logs`, "token create"},
		"expired already":       {create("--expires-in", "0s"), "--expires-in 0: must be positive", "token create"},
		"unnamed token":         {[]string{"token", "revoke"}, "NAME is missing", "token revoke"},
		"a URL without --store": {[]string{"serve", "postgres://u:secret@db1/jobs"}, `unexpected argument "..."`, "serve"},
		"two tokens":            {[]string{"token", "revoke", "a", "b"}, `unexpected argument "b"`, "token revoke"},
		"no age":                {[]string{"prune"}, `"older-than"`, "prune"},
		"negative age":          {[]string{"prune", "--older-than", "-1h"}, `"-1h" for "--older-than"`, "prune"},
		"age in weeks":          {[]string{"prune", "--older-than", "9w"}, `"9w" for "--older-than"`, "prune"},
		"retain nothing":        {[]string{"serve", "--retain", "0"}, "--retain 0: must be positive", "serve"},
		"two files":             {[]string{"import", "a", "b"}, `unexpected argument "b"`, "import"},
	} {
		t.Run(name, func(t *testing.T) {
			got := jobrund(t, test.args...)
			line, hint, _ := strings.Cut(got.stderr, "\n")
			if want := fmt.Sprintf("See %s --help\n", strings.TrimSpace("jobrund "+test.command)); hint != want {
				t.Errorf("the hint is %q, want %q", hint, want)
			}
			if !strings.HasPrefix(line, "jobrund: ") || !strings.Contains(line, test.says) {
				t.Errorf("the message is %q, without %q", line, test.says)
			}
			if got.status != 2 || got.stdout != "" {
				t.Errorf("exit status %d and %q on standard output, want 2 and nothing", got.status, got.stdout)
			}
		})
	}
}

func TestNoCommandShowsHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "token", "completion"} {
		got := jobrund(t, strings.Fields(command)...)
		if got.status != 2 || got.stdout != "" || !strings.Contains(got.stderr, "Available Commands:") {
			t.Errorf("%q: %+v", command, got)
		}
	}
}

// TestEnvironment gives every flag once as a variable and once both ways. The values are bad ones:
// the message tells which was taken.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	const run = "jobrun --project p --job j FLAG -- true"
	const create = "token create --name n FLAG"
	for _, test := range []struct {
		command, flag      string // FLAG is where the flag goes
		variable, says     string
		value, saysInstead string
	}{
		{"serve FLAG", "addr", "first", "address first:", "second", "address second:"},
		{"serve FLAG", "store", "sqlite:/first/x", "/first/x", "sqlite:/second/x", "/second/x"},
		{"serve FLAG", "rate-limit", "x", `JOBRUND_RATE_LIMIT="x": `, "y", `rate limit "y": `},
		{"serve FLAG", "cache-size", "x", `JOBRUND_CACHE_SIZE="x": `, "1MiB", "must be 0 or at least"},
		{"serve FLAG", "retain", "x", `JOBRUND_RETAIN="x": `, "0", "must be positive"},
		{"prune FLAG", "older-than", "x", `JOBRUND_OLDER_THAN="x": `, "0", "must be positive"},
		{"import FLAG", "store", "sqlite:/first/x", "/first/x", "sqlite:/second/x", "/second/x"},
		{"token list FLAG", "store", "sqlite:/first/x", "/first/x", "sqlite:/second/x", "/second/x"},
		{"token revoke x FLAG", "store", "sqlite:/first/x", "/first/x", "sqlite:/second/x", "/second/x"},
		{create, "store", "sqlite:/first/x", "/first/x", "sqlite:/second/x", "/second/x"},
		{"jobrun --job j FLAG -- true", "project", "-", `--project "-"`, "+", `--project "+"`},
		{"jobrun --project p FLAG -- true", "job", "-", `--job "-"`, "+", `--job "+"`},
		{run, "team", "-", `--team "-"`, "+", `--team "+"`},
		{run, "backoff-limit", "x", `JOBRUN_BACKOFF_LIMIT="x": `, "-1", "--backoff-limit must be from 0"},
		{run, "server", "x", "--server: not a URL", "http://127.0.0.1:1", ""},
		{run, "backoff", "x", `JOBRUN_BACKOFF="x": `, "-1s", `"-1s" for "--backoff"`},
		{"token create FLAG", "name", "-", `--name "-"`, "+", `--name "+"`},
		{create, "team", "-", `--team "-"`, "+", `--team "+"`},
		{create, "project", "-", `--project "-"`, "+", `--project "+"`},
		{create, "permission", "x", `--permission "x"`, "y", `--permission "y"`},
		{create, "expires-in", "x", `JOBRUND_EXPIRES_IN="x": `, "0", "must be positive"},
	} {
		t.Run(test.command+" "+test.flag, func(t *testing.T) {
			prefix := "JOBRUND_"
			if strings.HasPrefix(test.command, "jobrun ") {
				prefix = "JOBRUN_"
			}
			variable := prefix + strings.ToUpper(strings.ReplaceAll(test.flag, "-", "_")) + "=" + test.variable
			messages := func(flag string) string {
				cmd := named(t, strings.Fields(strings.Replace(test.command, "FLAG", flag, 1))...)
				cmd.Env = append(cmd.Env, variable)
				return outcomeOf(t, cmd).stderr
			}
			if got := messages(""); !strings.Contains(got, test.says) {
				t.Errorf("with %s: %q, without %q", variable, got, test.says)
			}
			if got := messages("--" + test.flag + "=" + test.value); strings.Contains(got, test.says) ||
				!strings.Contains(got, test.saysInstead) {
				t.Errorf("with %s and the flag: %q, without %q", variable, got, test.saysInstead)
			}
		})
	}
}

// TestEnvironmentAlone gives nothing but variables, and none of them twice.
func TestEnvironmentAlone(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	cmd := program(t, "jobrund", "token", "create")
	cmd.Env = append(cmd.Env, "JOBRUND_STORE="+store, "JOBRUND_NAME=n", "JOBRUND_TEAM=t", "JOBRUND_PROJECT=p",
		"JOBRUND_RECORD=true", "JOBRUND_OUT="+filepath.Join(cmd.Dir, "token"))
	if got := outcomeOf(t, cmd); got != (outcome{}) {
		t.Fatalf("%+v", got)
	}
	if list := output(t, "jobrund", "token", "list", "--store", store); !strings.Contains(list, "n     record  t      p ") {
		t.Error(list)
	}
	s := serve(t, store)
	record := program(t, "jobrun", "true")
	record.Env = append(record.Env, "JOBRUN_TEAM=t", "JOBRUN_PROJECT=p", "JOBRUN_JOB=j", "JOBRUN_SERVER="+s.url,
		"JOBRUN_TOKEN_FILE="+filepath.Join(cmd.Dir, "token"))
	id := runID(t, outcomeOf(t, record).stderr)
	token := output(t, "jobrund", "token", "create", "--name", "other", "--team", "t", "--store", store)
	ask(t, s, token, "/v1/teams/t/projects/p/jobs/j/runs/"+id, http.StatusOK)
}

// TestEmptyVariableCountsAsUnset sets all variables that the help names, and none has a value.
func TestEmptyVariableCountsAsUnset(t *testing.T) {
	t.Parallel()
	withEmpty := func(args ...string) outcome {
		cmd := named(t, args...)
		for _, name := range helpVariable.FindAllString(outcomeOf(t, named(t, args[0], "--help")).stdout, -1) {
			cmd.Env = append(cmd.Env, strings.TrimPrefix(name, "$")+"=")
		}
		if len(cmd.Env) < 10 {
			t.Errorf("%q --help names few variables: %q", args, cmd.Env)
		}
		return outcomeOf(t, cmd)
	}
	if taken, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil { // else another program listens there
		defer taken.Close()
	}
	if got := withEmpty("serve"); !strings.Contains(got.stderr, "listen tcp 127.0.0.1:8080: ") || got.status != 1 {
		t.Errorf("jobrund: %+v, want the default address", got)
	}
	got := withEmpty("jobrun", "--project", "p", "--job", "j", "--server", "http://127.0.0.1:1",
		"--spool", t.TempDir(), "--deliver-within", "1ms", "echo", "ran")
	if got.stdout != "ran\n" || got.status != 0 {
		t.Errorf("jobrun: %+v, want the command's output", got)
	}
}

func TestAddressMustNotBeEmpty(t *testing.T) {
	t.Parallel()
	got := jobrund(t, "serve", "--addr=")
	if got.status != 2 || !strings.Contains(got.stderr, "--addr must not be empty") {
		t.Errorf("%+v", got)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	got := jobrund(t, "serve", "--addr", address)
	if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, address) ||
		!strings.Contains(got.stderr, "in use") {
		t.Errorf("%+v", got)
	}
}

var (
	helpFlag     = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)\b.*$`)
	helpVariable = regexp.MustCompile(`\$JOBRUND?_[A-Z_]+`)
	helpCommand  = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}\S`)
)

// TestHelp finds the commands as a person does: each one's help names those below it.
func TestHelp(t *testing.T) {
	t.Parallel()
	examples := map[string]bool{}
	var read func(command string)
	read = func(command string) {
		got := outcomeOf(t, named(t, strings.Fields(command+" --help")...))
		if got.status != 0 || got.stderr != "" {
			t.Errorf("%q --help: %+v", command, got)
		}
		examples[command] = strings.Contains(got.stdout, "Examples:\n  jobrun")
		_, flags, _ := strings.Cut(got.stdout, "\nFlags:\n")
		found := helpFlag.FindAllStringSubmatch(flags, -1)
		for _, flag := range found {
			want := "$JOBRUND_" + strings.ToUpper(strings.ReplaceAll(flag[1], "-", "_")) + "]"
			if command == "jobrun" {
				want = strings.Replace(want, "JOBRUND", "JOBRUN", 1)
			}
			if flag[1] == "run" || flag[1] == "flush" { // has none, because the command may start a jobrun
				want = ""
			}
			if flag[1] != "help" && flag[1] != "version" && !strings.Contains(flag[0], want) {
				t.Errorf("%q --help does not name %s: %s", command, want, flag[0])
			}
		}
		if len(found) < 2 { // --help and --store
			t.Errorf("%q --help names %d flags: %s", command, len(found), got.stdout)
		}
		_, list, _ := strings.Cut(got.stdout, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, sub := range helpCommand.FindAllStringSubmatch(list, -1) {
			if sub[1] != "help" {
				read(strings.TrimSpace(command + " " + sub[1]))
			}
		}
	}
	read("")
	read("jobrun")
	for _, command := range []string{"", "serve", "jobrun", "import", "prune", "token create", "token revoke"} {
		if !examples[command] {
			t.Errorf("%q --help shows no example", command)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		_, helped := examples["completion "+shell]
		if got := jobrund(t, "completion", shell); !helped || got.status != 0 ||
			!strings.Contains(got.stdout, "jobrund") {
			t.Errorf("completion %s: %+v", shell, got)
		}
	}
}
