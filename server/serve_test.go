package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/server/listen"
)

// serving is a server that runs, over pipes or another listener.
type serving struct {
	*pipes
	stop context.CancelFunc
	done chan error // what Serve returns
}

// serve runs the api's handler until the test ends. To be called in a bubble.
func (a *api) serve() serving {
	ctx, stop := context.WithCancel(a.Context())
	s := serving{pipes: newPipes(), stop: stop, done: make(chan error, 1)}
	go func() { s.done <- listen.Serve(ctx, s.pipes, nil, a.handler, a.logger) }()
	return s
}

// connect fails the test where the server takes no connection.
func (s serving) connect(t *testing.T) *pipe {
	t.Helper()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shutDown stops the server and checks that nothing was left to finish.
func (s serving) shutDown(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("Serve returns %v, want nil", err)
	}
}

// blocked makes each look-up of a run wait. It returns a channel that tells when one has begun, and
// what releases them.
func (a *api) blocked() (begun <-chan struct{}, release func()) {
	entered, released := make(chan struct{}, 1), make(chan struct{})
	a.store.onRun = func() error {
		entered <- struct{}{}
		<-released
		return nil
	}
	return entered, func() { close(released) }
}

func TestShutdownFinishesRunningRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newFilledAPI(t)
		begun, release := a.blocked()
		s := a.serve()
		c := s.connect(t)
		idle := s.connect(t)
		idle.want(t, get("/v1/login", secret), 200)
		request := get(runPath(t, exampleKey), secret)
		answered := make(chan string)
		go func() {
			status, body, err := c.ask(request)
			answered <- fmt.Sprint(status, err, body)
		}()
		<-begun

		s.stop()
		<-s.closed
		if _, err := s.dial(); !errors.Is(err, errRefused) {
			t.Errorf("after the shutdown has begun, a new connection gets %v, want %v", err, errRefused)
		}
		<-idle.ended
		synctest.Wait()
		select {
		case err := <-s.done:
			t.Fatalf("Serve did not wait for the running request: %v", err)
		default:
		}
		// A second before time is up.
		time.Sleep(9 * time.Second)
		release()
		if got := <-answered; !strings.HasPrefix(got, "200 <nil>") || !strings.Contains(got, exampleKey.Run) {
			t.Errorf("the running request is answered with %q", got)
		}
		if err := <-s.done; err != nil {
			t.Errorf("Serve returns %v, want nil", err)
		}
	})
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newFilledAPI(t)
		begun, release := a.blocked()
		s := a.serve()
		c := s.connect(t)
		write(t, c, get(runPath(t, exampleKey), secret))
		<-begun
		s.stop()
		start := time.Now()
		if err := <-s.done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Serve returns %v, want %v", err, context.DeadlineExceeded)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("Serve waited %v, want 10s", waited)
		}
		release()
		// The server writes its response still, to the end of which its goroutine lives.
		_, _ = io.Copy(io.Discard, c.reader)
		<-c.ended
	})
}

func TestServeAfterContextHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		listener := newPipes()
		if err := listen.Serve(ctx, listener, nil, a.handler, a.logger); err != nil {
			t.Errorf("Serve returns %v, want nil", err)
		}
		if _, err := listener.dial(); !errors.Is(err, errRefused) {
			t.Errorf("a connection gets %v, want %v", err, errRefused)
		}
	})
}

// failingListener cannot accept.
type failingListener struct {
	net.Listener
	err error
}

func (l failingListener) Accept() (net.Conn, error) { return nil, l.err }

func TestServeReturnsErrorOfListener(t *testing.T) {
	a := newAPI(t)
	want := errors.New("no more files")
	err := listen.Serve(t.Context(), failingListener{newPipes(), want}, nil, a.handler, a.logger)
	if !errors.Is(err, want) {
		t.Errorf("Serve returns %v, want %v", err, want)
	}
}
