package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

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
