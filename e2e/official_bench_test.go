//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkOfficial measures our programs beside the official command line as it asks for the same
// run: what is demanded of them on one machine carries over to another.
func BenchmarkOfficial(b *testing.B) {
	store, token := documentedStore(b)
	s := serve(b, store)
	ours := filepath.Join(programs, "northflank")
	official := filepath.Join(npmInstall(b, officialCLI), "node_modules", ".bin", "northflank")
	home := b.TempDir()
	command := func(name string, args ...string) *exec.Cmd {
		cmd := program(b, "", args...)
		cmd.Path, cmd.Env = name, append(cmd.Env, "HOME="+home)
		return cmd
	}
	timed(b, command(official, "login", "-n", "local", "-t", token, "--host", s.url))
	get := []string{
		"get", "job", "run", "--projectId", documented.Project, "--jobId", documented.Job, "--runId", documented.Run,
		"-o", "json",
	}
	took := func(name string) float64 {
		var all []time.Duration
		for range pairs / 4 {
			all = append(all, timed(b, command(name, get...)))
		}
		return milliseconds(median(all))
	}
	// resident is the most of its memory that was resident, by GNU time: what the system tells of a
	// child begins with what its parent had.
	resident := func(name string) float64 {
		out, err := command("/usr/bin/time", append([]string{"-f", "%M", name}, get...)...).CombinedOutput()
		lines := strings.Fields(string(out))
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		kibibytes, err := strconv.ParseFloat(lines[len(lines)-1], 64)
		if err != nil {
			b.Fatal(err)
		}
		return kibibytes / 1024
	}
	beside := func(what, unit string) *comparison {
		return &comparison{what: what, unit: unit, digits: 1, besideWhat: "the official northflank"}
	}
	asking, memory, recording := beside("northflank get job run", "ms"), beside("memory of northflank get job run",
		"MiB"),
		beside("what jobrun adds to true", "ms")
	for b.Loop() {
		theirs := took(official)
		asking.add(took(ours), theirs)
		memory.add(resident(ours), resident(official))
		recorded, alone := inTurn(b, recordTrue(b, &api{server: s, recorder: recordingToken(b, store)}), justTrue)
		recording.add(recorded-alone, theirs)
	}
	asking.report(b)
	memory.report(b)
	recording.report(b)
}
