package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// listenFor lets a server listen for that long, without the time to do so. It takes effect at the next
// tick of the server.
func listenFor(t testing.TB, store string, d time.Duration) {
	t.Helper()
	change(t, store, "UPDATE listening SET ms = ms + $1", d.Milliseconds())
}

// spooled returns the files in the spool of a jobrun.
func spooled(cmd *exec.Cmd) []string {
	files, _ := filepath.Glob(filepath.Join(cmd.Dir, "spool", "*.json"))
	return files
}

// awaitSpooled waits until the spool of a jobrun has a file.
func awaitSpooled(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	soon(t, func() error {
		if len(spooled(cmd)) == 0 {
			return errors.New("the spool is empty")
		}
		return nil
	})
}
