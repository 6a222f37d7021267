package listen

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// lazyPipe is a lazyConn whose other end never reads or writes. It counts how often a deadline was
// set.
func lazyPipe(t *testing.T) (c *lazyConn, set *int) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	set = new(int)
	count := func(set func(time.Time) error, n *int) func(time.Time) error {
		return func(deadline time.Time) error { *n++; return set(deadline) }
	}
	c = &lazyConn{Conn: near}
	c.read.set, c.write.set = count(near.SetReadDeadline, set), count(near.SetWriteDeadline, set)
	return c, set
}

func TestLazyDeadlines(t *testing.T) {
	type side struct {
		want func(time.Time) error
		use  func([]byte) (int, error)
	}
	for name, of := range map[string]func(*lazyConn) side{
		"read":  func(c *lazyConn) side { return side{c.SetReadDeadline, c.Read} },
		"write": func(c *lazyConn) side { return side{c.SetWriteDeadline, c.Write} },
		"both":  func(c *lazyConn) side { return side{c.SetDeadline, c.Read} },
	} {
		for step, test := range map[string]struct {
			before func(side)    // in the order in which it happens
			during func(side)    // a second after the use began
			ends   time.Duration // after it began
			sets   int           // how often the deadline is set at the most
		}{
			"later": {
				before: func(s side) { _ = s.want(time.Now().Add(5 * time.Second)) }, ends: 5 * time.Second, sets: 1,
			},
			"the last one counts": {
				before: func(s side) {
					_ = s.want(time.Now().Add(5 * time.Second))
					_ = s.want(time.Now().Add(time.Hour))
					_ = s.want(time.Now().Add(2 * time.Second))
				}, ends: 2 * time.Second, sets: 1,
			},
			"passed": {before: func(s side) { _ = s.want(time.Unix(1, 0)) }, ends: 0, sets: 0},
			"passed, and then none": {
				before: func(s side) {
					_ = s.want(time.Unix(1, 0))
					_, _ = s.use(make([]byte, 1))
					_ = s.want(time.Time{})
				},
				during: func(s side) { _ = s.want(time.Unix(1, 0)) }, ends: time.Second, sets: 1,
			},
			"one, and then none": {
				before: func(s side) {
					_ = s.want(time.Now().Add(time.Second))
					_, _ = s.use(make([]byte, 1))
					_ = s.want(time.Time{})
				},
				during: func(s side) { _ = s.want(time.Now().Add(time.Second)) }, ends: 2 * time.Second, sets: 3,
			},
			"none, and then one": {
				before: func(s side) { _ = s.want(time.Time{}) },
				during: func(s side) { _ = s.want(time.Now().Add(time.Second)) }, ends: 2 * time.Second, sets: 1,
			},
			"another meanwhile": {
				before: func(s side) { _ = s.want(time.Now().Add(time.Hour)) },
				during: func(s side) { _ = s.want(time.Now().Add(time.Second)) }, ends: 2 * time.Second, sets: 2,
			},
		} {
			t.Run(name+"/"+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, set := lazyPipe(t)
					s := of(c)
					test.before(s)
					begin := time.Now()
					if test.during != nil {
						time.AfterFunc(time.Second, func() { test.during(s) })
					}
					_, err := s.use(make([]byte, 1))
					if took := time.Since(begin); took != test.ends || !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("ended after %s with %v, want %s", took, err, test.ends)
					}
					if *set > test.sets {
						t.Errorf("the deadline was set %d times, want %d", *set, test.sets)
					}
				})
			})
		}
	}
}

// TestLazyDeadlinesOfRequests counts what many requests after each other cost, as net/http sets
// their deadlines.
func TestLazyDeadlinesOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go func() {
			buffer := make([]byte, 1)
			for {
				if _, err := far.Write(buffer); err != nil {
					return
				}
			}
		}()
		set := 0
		c := &lazyConn{Conn: near}
		c.read.set = func(deadline time.Time) error { set++; return near.SetReadDeadline(deadline) }
		for range 1000 {
			_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(readTimeout))
			_ = c.SetReadDeadline(time.Time{})
			_ = c.SetReadDeadline(time.Unix(1, 0))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Time{})
			time.Sleep(time.Millisecond)
		}
		if set > 2 {
			t.Errorf("the deadline was set %d times in a second", set)
		}
	})
}
