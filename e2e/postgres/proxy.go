package postgres

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between the programs and the server. While it is locked, nothing gets through, and
// nobody is told.
type Proxy struct {
	sync.RWMutex
	Address   string       // to put in the place of the server's in URLs
	forgotten atomic.Int64 // connections up to this one get nothing through any more
	accepted  atomic.Int64
	to        atomic.Pointer[Server]
	silent    atomic.Bool // after each login
}

// SilentAfterLogin drops what the server says on each connection after it has let the client in.
func (p *Proxy) SilentAfterLogin() { p.silent.Store(true) }

// Lead has new connections lead to another server.
func (p *Proxy) Lead(to *Server) { p.to.Store(to) }

// Forget drops, from now on, what comes on the connections that there are, and tells nobody.
func (p *Proxy) Forget() { p.forgotten.Store(p.accepted.Load()) }

// NewProxy starts a proxy in front of the server, which ends with the test.
func (s *Server) NewProxy(t testing.TB) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &Proxy{Address: listener.Addr().String()}
	p.Lead(s)
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", p.to.Load().Address())
			if err != nil {
				from.Close()
				continue
			}
			number := p.accepted.Add(1)
			go p.pass(number, from, upstream)
			go p.pass(number, upstream, from)
		}
	}()
	return p
}

func (p *Proxy) pass(number int64, from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	loggedIn := false
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		if err == nil && (number <= p.forgotten.Load() || loggedIn && p.silent.Load()) {
			continue
		}
		// The server ends a login with ReadyForQuery, idle
		// (https://www.postgresql.org/docs/current/protocol-message-formats.html).
		loggedIn = loggedIn || bytes.HasSuffix(buffer[:n], []byte("Z\x00\x00\x00\x05I"))
		p.RLock()
		_, writeErr := to.Write(buffer[:n])
		p.RUnlock()
		if err != nil || writeErr != nil {
			return
		}
	}
}
