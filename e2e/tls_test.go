package e2e

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/e2e/certificate"
)

// writeCertificate replaces the files with a new certificate and its key.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	cert, key := certificate.New(t, time.Now().UnixNano())
	for name, text := range map[string][]byte{keyFile: key, certFile: cert} {
		if err := os.WriteFile(name+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
}

// connectProxy passes on to the server whatever CONNECT asks for, and counts.
func connectProxy(t *testing.T, to string) (url string, used *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	used = new(atomic.Int64)
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer caller.Close()
				reader := bufio.NewReader(caller)
				request, err := http.ReadRequest(reader)
				if err != nil || request.Method != http.MethodConnect || request.Host != "jobruns.test:443" {
					return
				}
				server, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer server.Close()
				used.Add(1)
				_, _ = io.WriteString(caller, "HTTP/1.1 200 OK\r\n\r\n")
				go func() { _, _ = io.Copy(server, reader) }()
				_, _ = io.Copy(caller, server)
			}()
		}
	}()
	return "http://" + listener.Addr().String(), used
}

func TestTLS(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	writeCertificate(t, certFile, keyFile)
	s := serve(t, store, "--tls-cert", certFile, "--tls-key", keyFile)
	address, isHTTPS := strings.CutPrefix(s.url, "https://")
	if !isHTTPS {
		t.Fatalf("the server says that it serves %s", s.url)
	}
	ask := func(host string, args ...string) *exec.Cmd {
		return program(
			t,
			"northflank",
			append([]string{"get", "job", "run", "--host", host, "--token", token, "--project", documented.Project,
				"--job", documented.Job, "--run", documented.Run, "-o", "json"}, args...)...)
	}
	wantRun := func(how string, cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), documented.Run) {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
	wantError := func(how string, cmd *exec.Cmd, want string) {
		t.Helper()
		if got := outcomeOf(t, cmd); got.status != 1 || !strings.Contains(got.stderr, want) ||
			strings.Contains(got.stderr, token) {
			t.Errorf("%s: exit status %d, %s, want %q", how, got.status, got.stderr, want)
		}
	}
	wantRun("with the authority", ask(s.url, "--ca-cert", certFile))
	fromEnvironment := ask(s.url)
	fromEnvironment.Env = append(fromEnvironment.Env, "NORTHFLANK_CA_CERT="+certFile)
	wantRun("with the authority from the environment", fromEnvironment)
	wantError("without the authority", ask(s.url), "give --ca-cert")
	wantError("with no authority", ask(s.url, "--ca-cert", keyFile), "has no certificate in PEM")
	wantError("with no file", ask(s.url, "--ca-cert", folder+"/nothing"),
		"--ca-cert: open "+folder+"/nothing: no such file")
	wantError("in the clear", ask("http://"+address), "Client sent an HTTP request to an HTTPS server")

	proxy, used := connectProxy(t, address)
	proxied := ask("https://jobruns.test", "--ca-cert", certFile)
	proxied.Env = append(proxied.Env, "HTTPS_PROXY="+proxy)
	wantRun("through a proxy", proxied)
	if used.Load() == 0 {
		t.Error("the proxy was not used")
	}

	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if state := conn.ConnectionState(); state.NegotiatedProtocol != "h2" || state.Version < tls.VersionTLS12 {
		t.Errorf("connected with %q and version %x", state.NegotiatedProtocol, state.Version)
	}

	old, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	oldFile := filepath.Join(folder, "old.crt")
	if err := os.WriteFile(oldFile, old, 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, certFile, keyFile)
	wantRun("with the new authority", ask(s.url, "--ca-cert", certFile))
	wantError("with the old authority", ask(s.url, "--ca-cert", oldFile), "certificate")
}

func TestUnusableCertificates(t *testing.T) {
	t.Parallel()
	for args, test := range map[string]struct {
		status int
		says   string
	}{
		"--tls-cert x":                   {2, "--tls-cert and --tls-key go together"},
		"--tls-key x":                    {2, "--tls-cert and --tls-key go together"},
		"--tls-cert nothing --tls-key x": {1, "--tls-cert and --tls-key: open nothing: no such file"},
	} {
		got := jobrund(t,
			append(strings.Fields("serve --addr 127.0.0.1:0 --store "+newStore(t)), strings.Fields(args)...)...)
		if got.status != test.status || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: exit status %d, %s", args, got.status, got.stderr)
		}
	}
}

// TestWarnsOfTokensInTheClear reads the log.
func TestWarnsOfTokensInTheClear(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	writeCertificate(t, certFile, keyFile)
	for name, test := range map[string]struct {
		args []string
		want bool
	}{
		"loopback":       {nil, false},
		"everywhere":     {[]string{"--addr", "0.0.0.0:0"}, true},
		"behind a proxy": {[]string{"--addr", "0.0.0.0:0", "--insecure-behind-proxy"}, false},
		"with TLS":       {[]string{"--addr", "0.0.0.0:0", "--tls-cert", certFile, "--tls-key", keyFile}, false},
	} {
		s := serve(t, newStore(t), test.args...)
		s.stop(t, syscall.SIGTERM)
		if got := strings.Contains(s.log.String(), "tokens travel in the clear"); got != test.want {
			t.Errorf("%s: a warning: %t, want %t\n%s", name, got, test.want, s.log)
		}
	}
}

// TestHealthChecksOfATLSPort connects as a load balancer does that only wants to know whether it
// can.
func TestHealthChecksOfATLSPort(t *testing.T) {
	t.Parallel()
	store, _ := documentedStore(t)
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	writeCertificate(t, certFile, keyFile)
	s := serve(t, store, "--tls-cert", certFile, "--tls-key", keyFile)
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	s.stop(t, syscall.SIGTERM)
	if log := s.log.String(); strings.Contains(log, "handshake") {
		t.Errorf("the log is full of health checks:\n%s", log)
	}
}
