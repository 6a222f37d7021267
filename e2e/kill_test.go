package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// writeRuns writes the lines of some of them.
func writeRuns(t testing.TB, to io.Writer, from, until int) {
	t.Helper()
	var text strings.Builder
	for i := from; i < until; i++ {
		text.WriteString(runLine(strconv.Itoa(i)))
	}
	if _, err := io.WriteString(to, text.String()); err != nil {
		t.Fatal(err)
	}
}

// countRuns returns how many runs there are.
func countRuns(t testing.TB, store string) int {
	t.Helper()
	db := openDatabase(t, store)
	defer db.Close()
	var count int
	if err := db.QueryRow("SELECT count(*) FROM runs").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// intact checks that the database is one, by its own account.
func intact(t testing.TB, store string) {
	t.Helper()
	var verdict string
	db := openDatabase(t, store)
	defer db.Close()
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("the database: %s, %v", verdict, err)
	}
}

// hasRuns checks how many runs there are.
func hasRuns(t testing.TB, store string, want int) {
	t.Helper()
	if count := countRuns(t, store); count != want {
		t.Errorf("%d runs, want %d", count, want)
	}
}

// importAgain imports all, and checks that the API has the first and the last.
func importAgain(t testing.TB, store string, runs int) {
	t.Helper()
	var all strings.Builder
	writeRuns(t, &all, 0, runs)
	if got := importText(t, store, all.String()); got != imported(runs) {
		t.Errorf("the import again: %+v", got)
	}
	hasRuns(t, store, runs)
	a := newAPI(t, store)
	a.run(t, "0")
	a.run(t, strconv.Itoa(runs-1))
}

// startImport returns an import that waits for lines, and what kills it.
func startImport(t testing.TB, store string) (cmd *exec.Cmd, lines io.WriteCloser, kill func()) {
	t.Helper()
	cmd = program(t, "jobrund", "import", "--store", store)
	lines, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, lines, func() {
		_ = cmd.Process.Kill() // or it has ended by itself
		_ = cmd.Wait()
	}
}

// TestKilledImport kills an import that has not read all yet.
func TestKilledImport(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	const runs = 5_000
	store := newStore(t)
	output(t, "jobrund", "import", os.DevNull, "--store", store) // makes the store
	for _, written := range []int{1, runs / 5, runs} {
		_, lines, kill := startImport(t, store)
		writeRuns(t, lines, 0, written)
		kill()
		intact(t, store)
		hasRuns(t, store, 0)
	}
	importAgain(t, store, runs)
}

// size is that of a file, or -1.
func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return -1
	}
	return info.Size()
}

// TestKilledImportAtItsEnd kills an import that has read all, at points that the database's files
// show. It may have stored a part, and can be run again.
func TestKilledImportAtItsEnd(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	const runs = 5_000
	for name, reached := range map[string]func(file string) bool{
		"some is written":     func(file string) bool { return size(file+"-wal") > 100_000 },
		"some is copied back": func(file string) bool { return size(file) > 200_000 },
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			token := output(t, "jobrund", "token", "create", "--name", "before", "--store", store)
			cmd, lines, kill := startImport(t, store)
			writeRuns(t, lines, 0, runs)
			lines.Close()
			// A process that has ended and has not been waited for has closed its database, and
			// never gets further.
			for !reached(strings.TrimPrefix(store, "sqlite:")) && !ended(cmd) {
			}
			kill()
			intact(t, store)
			t.Logf("killed with %d runs", countRuns(t, store))
			ask(t, serve(t, store), token, "/v1/login", http.StatusOK)
			importAgain(t, store, runs)
		})
	}
}

// ended reports whether the process has ended, without waiting for it.
func ended(cmd *exec.Cmd) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// TestKilledWhileTheStoreIsMade kills the first program that opens a store, at sizes of its files.
func TestKilledWhileTheStoreIsMade(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	for written := int64(0); written < 100_000; written += 20_000 {
		store := newStore(t)
		file := strings.TrimPrefix(store, "sqlite:")
		cmd := program(t, "jobrund", "import", os.DevNull, "--store", store)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for size(file)+max(0, size(file+"-wal")) < written && !ended(cmd) {
		}
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		token := output(t, "jobrund", "token", "create", "--name", "n", "--store", store)
		intact(t, store)
		ask(t, serve(t, store), token, "/v1/login", http.StatusOK)
	}
}
