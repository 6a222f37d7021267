package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// inside is what only the log may tell.
const inside = "inside: table runs is corrupt"

// fails makes the test's store fail in each of its look-ups in turn, and returns the responses.
func fails(t *testing.T, hook func() error) []answer {
	t.Helper()
	a, secret := newFilledAPI(t)
	a.store.onRun = hook
	answers := []answer{a.get(runPath(t, exampleKey), secret), a.get(teamRunPath(t, exampleKey), secret)}
	a.store.onRun, a.store.onToken = nil, hook
	forEachSecured(t, func(t *testing.T, o operation) {
		a.TB = t
		answers = append(answers, a.ask(o, nil, secret))
		a.noLookup()
	})
	a.TB = t
	return answers
}

func TestInternalError(t *testing.T) {
	tests := []struct {
		name string
		hook func() error
	}{
		{"an unknown error", func() error { return errors.New(inside) }},
		{"a panic", func() error { panic(inside) }},
		{"a panic with an error", func() error { panic(errors.New(inside)) }},
		{"a panic with a known error", func() error { panic(fmt.Errorf("%s: %w", inside, jobrun.ErrNotFound)) }},
		{"a panic with an HTTP error", func() error { panic(echo.NewHTTPError(http.StatusTeapot, inside)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, got := range fails(t, test.hook) {
				want := model.Error{Status: 500, Message: "internal server error", ID: got.err.ID}
				if diff := cmp.Diff(want, got.err); diff != "" {
					t.Errorf("the error (-want +got):\n%s", diff)
				}
				for _, line := range got.log {
					if line.Level != "ERROR" || !strings.Contains(line.Error, inside) {
						t.Errorf("the log does not tell what went wrong: %+v", line)
					}
				}
			}
		})
	}
}

func TestStackOfPanicIsLogged(t *testing.T) {
	for _, got := range fails(t, panicDeepInside) {
		var stacks int
		for _, line := range got.log {
			if line.Msg == "panic" && strings.Contains(line.Stack, "panicDeepInside") {
				stacks++
			}
		}
		if stacks != 1 {
			t.Errorf("the log tells %d times where the panic came from, want once: %+v", stacks, got.log)
		}
		if strings.Contains(fmt.Sprint(got.header, string(got.body)), "panicDeepInside") {
			t.Errorf("the response tells of the inside: %v %s", got.header, got.body)
		}
	}
}

// panicDeepInside has a name that a stack can be searched for.
func panicDeepInside() error {
	var none []error
	return none[len(inside)]
}

func TestUnavailable(t *testing.T) {
	for err, message := range map[error]string{
		jobrun.ErrUnavailable:                               "the store cannot be reached",
		fmt.Errorf("%s: %w", inside, jobrun.ErrUnavailable): "the store cannot be reached",
		fmt.Errorf("%s: %w", inside, jobrun.ErrTimeout):     "the store did not answer in time",
	} {
		for _, got := range fails(t, func() error { return err }) {
			want := model.Error{Status: 503, Message: message, ID: got.err.ID}
			if diff := cmp.Diff(want, got.err); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
			after := got.header.Values("Retry-After")
			if len(after) != 1 {
				t.Fatalf("Retry-After is %q, want one", after)
			}
			if seconds, err := strconv.Atoi(after[0]); err != nil || seconds < 1 {
				t.Errorf("Retry-After is %q, want a positive integer", after[0])
			}
			if last := got.log[len(got.log)-1]; last.Level != "ERROR" || !strings.HasSuffix(last.Error, err.Error()) {
				t.Errorf("the log does not tell what went wrong: %+v", last)
			}
		}
	}
}

// The next request after a panic is answered as if there had been none.
func TestServerLivesOnAfterPanic(t *testing.T) {
	a, secret := newFilledAPI(t)
	a.store.onRun = func() error { panic(inside) }
	a.want(a.get(runPath(t, exampleKey), secret), 500)
	a.store.onRun = nil
	a.want(a.get(runPath(t, exampleKey), secret), 200)
}
