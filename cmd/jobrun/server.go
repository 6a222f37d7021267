package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/cli"
)

const (
	socketFolder  = "/run/jobruns" // only the service can create it
	localServer   = "http://127.0.0.1:8080"
	systemToken   = "/etc/jobruns/token"
	tokenVariable = "JOBRUN_TOKEN" // without a flag: each user of the host can read those of a process
	userAgent     = "jobrun (+https://github.com/jobruns/jobruns)"
)

var (
	errNoToken    = fmt.Errorf("no token: write one to %s, or set --token-file or $%s", systemToken, tokenVariable)
	errOtherToken = fmt.Errorf("its token was in $%s: set that again, or remove \"tokenHash\" from the record", tokenVariable)
)

// recorder sends a report to a server.
type recorder interface {
	// RecordJobRun returns a *client.Error for a response other than 200.
	RecordJobRun(context.Context, client.RunRef, client.JobRunReport) (*client.JobRun, *client.Response, error)
}

// server is where jobrun records, and the token that it shows there. A file of the spool contains it.
type server struct {
	URL       string `json:"server"`
	TokenFile string `json:"tokenFile"`           // "" if the token comes from the environment
	TokenHash string `json:"tokenHash,omitempty"` // SHA-256 of the token if it comes from the environment
	CACert    string `json:"caCert,omitempty"`
	token     string // the token if TokenFile is ""
}

// newServer returns the server of these flags, with the defaults for those that are "".
// Returns an error of wrong usage for anything but a URL.
func newServer(address, tokenFile, caCert string) (s server, err error) {
	s = server{URL: address, TokenFile: absolute(tokenFile), CACert: absolute(caCert)}
	if s.URL == "" {
		s.URL = localServer
		if _, err := os.Stat(socketFolder); err == nil {
			s.URL = "unix://" + socketFolder + "/jobrund.sock"
		}
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && (u.Scheme != "unix" || u.Host != "") {
		return s, cli.Usagef("--server: not a URL such as https://jobs.example.com or unix:///run/jobruns/jobrund.sock")
	}
	if s.TokenFile != "" {
		return s, nil
	}
	if s.token = os.Getenv(tokenVariable); s.token != "" {
		s.TokenHash = fmt.Sprintf("%x", sha256.Sum256([]byte(s.token)))
		return s, nil
	}
	files := []string{systemToken}
	if folder, err := os.UserConfigDir(); err == nil {
		files = []string{filepath.Join(folder, "jobruns", "token"), systemToken}
	}
	for _, file := range files {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			s.TokenFile = file
			return s, nil
		}
	}
	return s, nil
}

// absolute returns the path for a process in another folder.
func absolute(path string) string {
	if full, err := filepath.Abs(path); path != "" && err == nil {
		return full
	}
	return path
}

// connect returns a recorder for the server, to which it does not connect yet.
// Returns errNoToken or errOtherToken if there is no token, and an error that names the file that
// cannot be read.
func (s server) connect() (recorder, error) {
	if s.TokenFile != "" {
		text, err := os.ReadFile(s.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		if s.token = strings.TrimSpace(string(text)); s.token == "" {
			return nil, fmt.Errorf("the token file %s is empty", s.TokenFile)
		}
	}
	switch {
	case s.token == "" && s.TokenHash != "":
		return nil, errOtherToken
	case s.token == "":
		return nil, errNoToken
	}
	opts := []client.Option{client.WithToken(s.token), client.WithMaxRetries(0), client.WithUserAgent(userAgent)}
	socket, ok := strings.CutPrefix(s.URL, "unix://")
	if s.CACert != "" && !ok {
		text, err := os.ReadFile(s.CACert)
		if err != nil {
			return nil, fmt.Errorf("--ca-cert: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-cert: %s has no certificate", s.CACert)
		}
		opts = append(opts, client.WithRootCAs(pool))
	}
	if !ok {
		return client.New(s.URL, opts...)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	opts = append(opts, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}))
	return client.New("http://localhost", opts...)
}

// send sends a report, and returns the client's error. If the report is too large for the server,
// send sends it again without the log.
func send(ctx context.Context, to recorder, ref client.RunRef, report client.JobRunReport, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Second)
	report.SentAt = &now
	_, _, err := to.RecordJobRun(ctx, ref, report)
	if statusOf(err) == http.StatusRequestEntityTooLarge && report.Log != nil {
		report.Log = nil
		_, _, err = to.RecordJobRun(ctx, ref, report)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the server does not respond")
	}
	return err
}

// statusOf returns the status of a response that the error describes, or 0.
func statusOf(err error) int {
	var response *client.Error
	if errors.As(err, &response) {
		return response.Status
	}
	return 0
}

// rejected reports whether the server will never accept the report. A proxy, or a port for HTTPS that
// gets HTTP, responds with the same statuses, but does not name the request.
func rejected(err error) bool {
	var response *client.Error
	return errors.As(err, &response) && response.ID != "" && slices.Contains(
		[]int{http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge}, response.Status)
}

// temporary reports whether the server cannot accept other reports now either.
func temporary(err error) bool {
	status := statusOf(err)
	return err != nil && (status < 400 || status == http.StatusTooManyRequests || status >= 500)
}
