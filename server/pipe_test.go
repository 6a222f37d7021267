package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipes is a listener whose connections are made in memory, so that in a bubble of synctest their
// deadlines follow the bubble's clock, and no test has to wait.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{} // closed with the listener
	close       func()
}

func newPipes() *pipes {
	p := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// pipe is the client's end of a connection.
type pipe struct {
	net.Conn
	reader *bufio.Reader
	ended  chan struct{} // closed when the server has closed its end
}

// errRefused stands for what the dialer of a real connection would return.
var errRefused = errors.New("connection refused")

// dial returns errRefused when the listener is closed.
func (p *pipes) dial() (*pipe, error) {
	client, server := net.Pipe()
	ended := make(chan struct{})
	watched := &watchedConn{Conn: server, close: sync.OnceFunc(func() { close(ended) })}
	select {
	case p.connections <- watched:
		return &pipe{Conn: client, reader: bufio.NewReader(client), ended: ended}, nil
	case <-p.closed:
		return nil, errRefused
	}
}

// watchedConn tells when it is closed, also to a client that does not read.
type watchedConn struct {
	net.Conn
	close func()
}

func (c *watchedConn) Close() error {
	defer c.close()
	return c.Conn.Close()
}

// ask sends what is written as a request, and reads one response to its end. It returns the status
// and the body.
func (c *pipe) ask(request string) (int, string, error) {
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = io.WriteString(c, request) // fails when the server has read enough
	}()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	if response.Close {
		// The server takes no more: what has not been written never will be.
		_ = c.Close()
	}
	<-wrote
	return response.StatusCode, string(body), err
}

// want sends a request and checks the status of its response.
func (c *pipe) want(t *testing.T, request string, status int) {
	t.Helper()
	got, body, err := c.ask(request)
	if err != nil || got != status {
		t.Errorf("the status is %d, want %d: %v: %s", got, status, err, body)
	}
}

// get returns a GET as it goes over the wire.
func get(path, secret string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\n\r\n"
}
