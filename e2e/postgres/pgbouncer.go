package postgres

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// StartBouncer starts a PgBouncer in front of the server, with its default configuration but for
// pool_mode, which is "session" or "transaction". The test stops it in the end. It returns the
// address to put in the place of the server's in URLs. The test fails if PgBouncer is not installed.
func (s *Server) StartBouncer(t testing.TB, mode string) (address string) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, which is not in everyone's PATH
	}
	folder, err := os.MkdirTemp(s.folder, "pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := url.PathUnescape(password)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(freePort(t))
	users, log := filepath.Join(folder, "userlist.txt"), filepath.Join(folder, "log")
	for path, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", superuser, plain),
		filepath.Join(folder, "pgbouncer.ini"): fmt.Sprintf(`[databases]
* = host=%[5]s port=%[1]d
[pgbouncer]
listen_addr = %[5]s
listen_port = %[2]s
unix_socket_dir =
auth_type = md5
auth_file = %[3]s
pool_mode = %[4]s
`, s.port, port, users, mode, host),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := s.command("pgbouncer", "pgbouncer.ini")
	cmd.Path, cmd.Dir = program, folder
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs PgBouncer, install Debian's package pgbouncer: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("PgBouncer's log:\n%s", text)
		}
	})
	address = net.JoinHostPort(host, port)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log)
			t.Fatalf("PgBouncer does not start: %v\n%s", err, text)
		}
	}
}
