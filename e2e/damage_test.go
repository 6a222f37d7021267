package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/e2e/contracttest"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// raw sends text as it is on a connection of its own, and checks the status of the response and that
// nothing follows it.
func raw(t testing.TB, s *apiServer, text string, status int) {
	t.Helper()
	connection := dial(t, s)
	defer connection.Close()
	_, _ = io.WriteString(connection, text) // fails when the server has read enough
	connection.want(t, status)
}

type connection struct{ net.Conn }

func dial(t testing.TB, s *apiServer) connection {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return connection{c}
}

// want checks the response, which is the contract's error object if it comes from the handler, or
// the plain text of net/http, and that the connection then ends.
func (c connection) want(t testing.TB, status int) {
	t.Helper()
	reader := bufio.NewReader(c)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Errorf("%s, want %d: %s %v", response.Status, status, body, err)
	}
	if response.Header.Get("X-Request-Id") != "" {
		err = contracttest.Check(&http.Request{Method: "GET", URL: &url.URL{Path: "/v1/login"}}, status, response.Header, body)
	} else if bytes.Contains(body, []byte("{")) || len(body) == 0 {
		err = errors.New("not net/http's plain text")
	}
	if err != nil {
		t.Errorf("%v: %s", err, body)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("more after the response: %q, %v", rest, err)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	s := serve(t, store)
	const host = "Host: x\r\n"
	for name, test := range map[string]struct {
		text   string
		status int
	}{
		"no request":      {"\x00\xff\r\n\r\n", 400},
		"no host":         {"GET /v1/login HTTP/1.1\r\n\r\n", 400},
		"a bad escape":    {"GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400},
		"another version": {"GET /v1/login HTTP/9.9\r\n" + host + "\r\n", 505},
		"a large header":  {"GET /v1/login HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 200_000) + "\r\n\r\n", 431},
	} {
		t.Run(name, func(t *testing.T) {
			raw(t, s, test.text, test.status)
			ask(t, s, token, runPath, http.StatusOK)
		})
	}
}

// TestDamagedStore damages the database under a running server.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	overwrite := func(file string, from int64) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(bytes.Repeat([]byte("garbage "), int(info.Size()-from)/8), from)
		return err
	}
	for name, damage := range map[string]func(file string) error{
		"overwritten": func(file string) error { return overwrite(file, 4096) },
		"cut off":     func(file string) error { return os.Truncate(file, 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			store, token := documentedStore(t)
			s := serve(t, store)
			if err := damage(strings.TrimPrefix(store, "sqlite:")); err != nil {
				t.Fatal(err)
			}
			for range 20 { // more than it has connections to the database
				refused(t, s, token)
			}
			if state := s.stop(t, syscall.SIGTERM); state.ExitCode() != 0 || strings.Contains(s.log.String(), "panic") {
				t.Errorf("%s: %s", state, s.log)
			}
		})
	}
}

// refused checks that a request is answered as the contract says while the store cannot be read,
// and with nothing of the inside.
func refused(t testing.TB, s *apiServer, token string) {
	t.Helper()
	response, err := http.DefaultClient.Do(newRequest(t, s, token, runPath))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer model.ErrorResult
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Errorf("%s: %v", response.Status, err)
	}
	want := model.Error{Status: response.StatusCode, ID: response.Header.Get("X-Request-Id")}
	switch response.StatusCode {
	case http.StatusInternalServerError:
		want.Message = "internal server error"
	case http.StatusServiceUnavailable:
		want.Message = jobrun.ErrUnavailable.Error()
		if answer.Error.Message == jobrun.ErrTimeout.Error() { // a connection that is opened anew finds a lock
			want.Message = answer.Error.Message
		}
	}
	if answer.Error != want || want.Message == "" {
		t.Errorf("%s, %+v", response.Status, answer.Error)
	}
}
