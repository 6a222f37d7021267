// Package postgres starts throwaway PostgreSQL servers for tests.
package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Debian keeps the server's programs out of PATH.
const debianPrograms = "/usr/lib/postgresql/*/bin"

const superuser, password = "postgres", "p%40ss" // as they stand in URLs

// host is where the servers listen. Programs that listen on any port of 127.0.0.1 don't take the
// port of a server that a test has stopped.
const host = "127.0.0.2"

// Server is a running PostgreSQL server on host, with a folder and a password of its own.
type Server struct {
	programs, folder string
	port             int
	// MaxConnections is how many connections Restart allows; 0 for 500.
	MaxConnections int
	databases      atomic.Int64
}

// Start starts a server, which the test stops and removes in the end. The test fails if PostgreSQL
// is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	programs, err := findPrograms()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "jobruns-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{programs: programs, folder: folder}
	s.cleanup(t)
	passwordFile := filepath.Join(folder, "password")
	plain, err := url.PathUnescape(password)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(passwordFile, []byte(plain+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", superuser, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if err := s.giveFolder(initdb.SysProcAttr); err != nil {
		t.Fatal(err)
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Restart(t)
	return s
}

// cleanup stops and removes the server when the test ends.
func (s *Server) cleanup(t testing.TB) {
	t.Cleanup(func() {
		if s.port != 0 {
			_, _ = s.control("stop", "--mode", "immediate") // the test may have stopped it
		}
		if err := os.RemoveAll(s.folder); err != nil {
			t.Error(err)
		}
	})
}

func findPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil { // the others are beside the original
			return "", err
		}
		return filepath.Dir(path), nil
	}
	folders, err := filepath.Glob(debianPrograms)
	if err != nil || len(folders) == 0 {
		return "", fmt.Errorf("this test needs PostgreSQL, install Debian's package postgresql: there is no initdb in PATH or %s",
			debianPrograms)
	}
	return folders[len(folders)-1], nil
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// command returns one of PostgreSQL's programs. None of them is willing to run as root: then it
// runs as the user that Debian's package makes for it, or else as nobody.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, name), args...)
	cmd.Dir = s.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() != 0 {
		return cmd
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return cmd // which then says what it thinks of root
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd
}

// giveFolder gives the folder to who runs the server.
func (s *Server) giveFolder(as *syscall.SysProcAttr) error {
	if as.Credential == nil {
		return nil
	}
	return os.Chown(s.folder, int(as.Credential.Uid), int(as.Credential.Gid))
}

// Restart starts the server after Stop, on the same port, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	port, tries := s.port, 1
	if port == 0 {
		port, tries = freePort(t), 5 // somebody else may be faster to take it
	}
	for {
		options := fmt.Sprintf(
			"-p %d -c listen_addresses=%s -c unix_socket_directories= -c fsync=off -c max_connections=%d",
			port, host, cmp.Or(s.MaxConnections, 500))
		out, err := s.control("start", "--log", filepath.Join(s.folder, "log"), "--options", options)
		if err == nil {
			s.port = port
			return
		}
		log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
		if tries--; tries == 0 {
			t.Fatalf("PostgreSQL does not start: %v\n%s%s", err, out, log)
		}
		port = freePort(t)
	}
}

// Stop cuts all connections off and stops the server.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if out, err := s.control("stop", "--mode", "fast"); err != nil {
		t.Fatalf("PostgreSQL does not stop: %v\n%s", err, out)
	}
}

// Kill stops the server as a crash does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if out, err := s.control("stop", "--mode", "immediate"); err != nil {
		t.Fatalf("PostgreSQL does not stop: %v\n%s", err, out)
	}
}

// control does not wait for what the server prints: the server inherits the files, and outlives
// pg_ctl.
func (s *Server) control(do string, args ...string) (string, error) {
	cmd := s.command("pg_ctl", append([]string{do, "--pgdata", s.data(), "--wait", "--timeout", "120"}, args...)...)
	out, err := os.Create(filepath.Join(s.folder, "pg_ctl.log"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// Address is where the server listens.
func (s *Server) Address() string {
	return net.JoinHostPort(host, strconv.Itoa(s.port))
}

// NewDatabase creates a database, and returns its URL.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("jobruns_", s.databases.Add(1))
	s.Exec(t, s.Superuser(), "CREATE DATABASE "+name)
	return s.url(name)
}

// Superuser is the URL with which the server can be administered.
func (s *Server) Superuser() string { return s.url("postgres") }

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", superuser, password, s.Address(), database)
}

// Exec executes SQL in the database of that URL.
func (s *Server) Exec(t testing.TB, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
