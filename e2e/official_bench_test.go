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

// BenchmarkOfficial measures our programs beside the official command line as it asks for the same run: what is demanded of
// them on one machine carries over to another.
func BenchmarkOfficial(b *testing.B) {
	store, token := documentedStore(b)
	s := serve(b, store)
	const ours, official = 0, 1
	programs := [...]string{filepath.Join(programs, "northflank"), filepath.Join(npmInstall(b, officialCLI), "node_modules", ".bin", "northflank")}
	home := b.TempDir()
	command := func(name string, args ...string) *exec.Cmd {
		cmd := program(b, "", args...)
		cmd.Path, cmd.Env = name, append(cmd.Env, "HOME="+home)
		return cmd
	}
	timed(b, command(programs[official], "login", "-n", "local", "-t", token, "--host", s.url))
	get := []string{"get", "job", "run", "--projectId", documented.Project, "--jobId", documented.Job, "--runId", documented.Run, "-o", "json"}
	took := func(name string) float64 {
		var all []time.Duration
		for range pairs / 4 {
			all = append(all, timed(b, command(name, get...)))
		}
		return milliseconds(median(all))
	}
	// resident is the most of its memory that was resident, by GNU time: what the system tells of a child begins with what
	// its parent had.
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
	time := comparison{what: "northflank get job run", unit: "ms", digits: 1, besideWhat: "the official northflank"}
	memory := comparison{what: "memory of northflank get job run", unit: "MiB", digits: 1, besideWhat: "the official northflank"}
	exec := comparison{what: "what jobrund exec adds to true", unit: "ms", digits: 1, besideWhat: "the official northflank"}
	for b.Loop() {
		beside := took(programs[official])
		time.add(took(programs[ours]), beside)
		memory.add(resident(programs[ours]), resident(programs[official]))
		recorded, alone := inTurn(b, recordTrue(b, store), justTrue)
		exec.add(recorded-alone, beside)
	}
	for _, c := range []comparison{time, memory, exec} {
		c.digitsOfRatio = 3
		c.report(b)
	}
}
