//go:build e2e

package e2e

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/e2e/postgres"
)

// makeRun runs make run as in another terminal, for the time of the test, and returns the lines that
// it prints for a shell and the address where it serves.
func (d *desk) makeRun(t *testing.T) (lines, address string) {
	t.Helper()
	cmd := d.shell(t, "exec make run\n")
	printed, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // as Ctrl-C does
		_ = cmd.Wait()
	})
	var text strings.Builder
	for scanner := bufio.NewScanner(printed); scanner.Scan() && !strings.Contains(scanner.Text(), "swagger-html"); {
		text.WriteString(scanner.Text() + "\n")
	}
	for scanner := bufio.NewScanner(said); ; {
		if !scanner.Scan() {
			t.Fatalf("make run does not serve: %s", text.String())
		}
		if strings.Contains(scanner.Text(), `"serving"`) {
			break
		}
	}
	_, lines, _ = strings.Cut(text.String(), "In another terminal:\n")
	lines, _, _ = strings.Cut(lines, "The API,")
	_, address, _ = strings.Cut(lines, "NORTHFLANK_HOST=http://")
	address, _, _ = strings.Cut(address, " ")
	return lines, address
}

// TestReadmeRunsTwice pastes every block of the README twice into one shell; the block that needs a
// cluster into a shell of its own. In another terminal make run is open.
//
// Imitated are make build and make install, because the programs are built already; su, because the
// test's PostgreSQL server has another superuser, with a password; and systemctl, which starts what
// the unit says, with other folders and without its sandbox, as TestPackage does for real. Addresses
// are others, and a run that takes ten seconds takes one.
func TestReadmeRunsTwice(t *testing.T) {
	t.Parallel()
	database := postgres.Start(t)
	other := newDesk(t)
	other.makeRun(t)
	newDesk := func(t *testing.T) *desk {
		d := newDesk(t)
		d.addresses["127.0.0.1:8080"] = other.addresses["127.0.0.1:8080"]
		d.imitate(t, "su", `exec psql -q -v ON_ERROR_STOP=1 "$SUPERUSER"`)
		d.imitate(t, "systemctl", `mkdir -p "$STATE" && cd "$STATE" && [[ -s pid ]] || {
  export JOBRUND_STORE=sqlite:$STATE/jobruns.db JOBRUND_SOCKET=$STATE/socket
  setsid "$HOME/bin/jobrund" serve --addr 127.0.0.1:0 &> log < /dev/null & echo $! > pid
  until grep -q serving log; do sleep 0.1; done
}`)
		d.imitate(t, "systemd-sysusers", "")
		d.imitate(t, "jobrun", `export JOBRUN_SERVER=unix://$STATE/socket JOBRUN_TOKEN_FILE=$STATE/etc/token
exec "$HOME/bin/jobrun" "$@"`)
		host, port, err := net.SplitHostPort(database.Address())
		if err != nil {
			t.Fatal(err)
		}
		d.addresses["@127.0.0.1/"] = "@" + host + "/"
		state := filepath.Join(d.folder, "state")
		d.env = append(d.env, "SUPERUSER="+database.Superuser(), "PGHOST="+host, "PGPORT="+port, "STATE="+state)
		if err := os.Symlink(filepath.Join(programs, "jobrund"), filepath.Join(d.folder, "path", "jobrund")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stop := exec.Command("bash", "-c", `[[ ! -s "$STATE/pid" ]] || kill "$(cat "$STATE/pid")"`)
			stop.Env = d.env
			if out, err := stop.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		for _, block := range readmeBlocks(t, "js") {
			if err := os.WriteFile(filepath.Join(d.folder, "runs.mjs"), []byte(block.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	var all strings.Builder
	for _, block := range readmeBlocks(t, "sh") {
		text := strings.NewReplacer("/var/lib/jobruns", `"$STATE"`, "/etc/jobruns", `"$STATE/etc"`,
			"0640 -g jobruns", "0600").Replace(block.text)
		switch {
		case text == "make run\n", strings.Contains(text, "npm "): // TestReadmeTriesOut and TestReadmeExamples have these
		case strings.Contains(text, "kubectl "):
			t.Run(block.section, func(t *testing.T) {
				c, d := newCluster(t), newDesk(t)
				d.env = append(d.env, "KUBECONFIG="+c.file(t))
				t.Cleanup(func() { c.delete(t, "/apis/batch/v1/namespaces/default/jobs/hello") })
				d.paste(t, text+text)
				d.wantPrivate(t, "token")
			})
		default:
			all.WriteString(text)
		}
	}
	d := newDesk(t)
	d.makeRun(t)
	if err := os.WriteFile(filepath.Join(d.folder, "bin/token"), []byte("an old one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := d.paste(t, all.String()+all.String())
	if strings.Contains(out, "address already in use") || strings.Count(out, "\njobrun: run ") != 4 {
		t.Errorf("another server has the port, or runs are not recorded: %s", out)
	}
	if files, _ := filepath.Glob(filepath.Join(d.folder, "spool", "*.json")); len(files) > 0 {
		t.Errorf("no server has accepted %v", files)
	}
	d.wantPrivate(t, "token", "record-token", "local.env", "local.record")
}

// TestReadmeTriesOut runs make run twice at once, pastes the lines that it prints, and runs it again
// in a folder with another jobruns.db.
func TestReadmeTriesOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	lines, address := d.makeRun(t)
	if want := d.addresses["127.0.0.1:8080"]; address != want {
		t.Errorf("make run serves at %s, want %s", address, want)
	}
	for wrong, want := range map[string]string{
		address: "run: another program listens on " + address + ": stop it, or choose another port\n",
		"8081":  "run: ADDR=8081 is not an address and a port, such as 127.0.0.1:8081\n",
	} {
		cmd := d.shell(t, "exec make run\n")
		cmd.Env = append(cmd.Env, "ADDR="+wrong)
		if got := outcomeOf(t, cmd); got.status == 0 || got.stderr != want {
			t.Errorf("make run ADDR=%s: %+v, want %s", wrong, got, want)
		}
	}
	again, other := d.makeRun(t)
	if other == address || other == "" {
		t.Errorf("the second make run serves at %s, and the first one too", other)
	}
	for _, lines := range []string{lines, again, lines} {
		if out := d.paste(t, lines); !strings.Contains(out, "Status     SUCCESS") {
			t.Errorf("pasting %s prints %s", lines, out)
		}
	}
	files, err := filepath.Glob(filepath.Join(d.folder, "jobruns.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no store: %v", err)
	}
	moved := newDesk(t)
	d.paste(t, "mkdir old; mv jobruns.db* old; bin/jobrund import <<< ''")
	moved.folder, moved.env = d.folder, d.env
	lines, _ = moved.makeRun(t)
	if out := d.paste(t, lines); !strings.Contains(out, "Status     SUCCESS") {
		t.Errorf("with another store, pasting %s prints %s", lines, out)
	}
	d.wantPrivate(t, "local.env", "local.record")
}

// TestReadmeExamples runs the programs of the README in Go and JavaScript as printed.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	s := serve(t, store)
	d := newDesk(t)
	d.env = append(d.env, "NORTHFLANK_HOST="+s.url, "NORTHFLANK_API_TOKEN="+token)
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(d.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	blocks := readmeBlocks(t, "go")
	t.Run("Go", func(t *testing.T) {
		// A module of one's own, which finds this one here.
		sums, err := os.ReadFile("../go.sum")
		if err != nil {
			t.Fatal(err)
		}
		module, err := os.ReadFile("../go.mod")
		if err != nil {
			t.Fatal(err)
		}
		_, requirements, _ := strings.Cut(string(module), "\nrequire (")
		write("go/go.mod", "module mine\n\ngo 1.26\n\nrequire github.com/jobruns/jobruns v0.0.0\n\n"+
			"replace github.com/jobruns/jobruns => "+root(t)+"\n\nrequire ("+requirements)
		write("go/go.sum", string(sums))
		write("go/main.go", blocks[0].text)
		cmd := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", ".")
		cmd.Dir = filepath.Join(d.folder, "go")
		cmd.Env = append(os.Environ(), d.env[3:]...)
		out, err := cmd.CombinedOutput()
		want := "2020-12-08 11:47:08 +0000 UTC SUCCESS " + documented.Run + "\nThere is such a run: false\n"
		if err != nil || string(out) != want {
			t.Errorf("%v: %s, want %s", err, out, want)
		}
	})
	t.Run("JavaScript", func(t *testing.T) {
		write("js/runs.mjs", readmeBlocks(t, "js")[0].text)
		for _, block := range readmeBlocks(t, "sh") {
			if !strings.Contains(block.text, "npm ") {
				continue
			}
			out := d.paste(t, "cd js\n"+block.text+block.text)
			if strings.Count(out, documented.Run) != 2 {
				t.Errorf("it prints %s", out)
			}
		}
	})
}
