package listen

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"time"
)

// deadlineSlack is how much too early a deadline may be.
const deadlineSlack = time.Second

// lazyListener accepts connections that set their deadlines when they have to. net/http sets eight
// deadlines for each request, and nearly all are moot: the data is there, or a later one takes
// their place. Without it, a request takes 6 to 7 % more processor time (a cached run, everything
// on, 2026-11-25).
type lazyListener struct{ net.Listener }

// Accept accepts a connection. A TLS connection stays as it is, because net/http looks for its
// type.
func (l lazyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if _, encrypted := conn.(*tls.Conn); err != nil || encrypted {
		return conn, err
	}
	c := &lazyConn{Conn: conn}
	c.read.set, c.write.set = conn.SetReadDeadline, conn.SetWriteDeadline
	return c, nil
}

// lazyConn is a connection whose deadlines may be early by deadlineSlack.
type lazyConn struct {
	net.Conn
	read, write lazyDeadline
}

// Read reads as the connection does, once its deadline is set.
// Returns os.ErrDeadlineExceeded if that has passed.
func (c *lazyConn) Read(p []byte) (int, error) {
	if err := c.read.begin(); err != nil {
		return 0, err
	}
	defer c.read.end()
	return c.Conn.Read(p)
}

// Write writes as the connection does, once its deadline is set.
// Returns os.ErrDeadlineExceeded if that has passed.
func (c *lazyConn) Write(p []byte) (int, error) {
	if err := c.write.begin(); err != nil {
		return 0, err
	}
	defer c.write.end()
	return c.Conn.Write(p)
}

// SetReadDeadline limits reads from now on, and the one that goes on.
func (c *lazyConn) SetReadDeadline(t time.Time) error { return c.read.want(t) }

// SetWriteDeadline limits writes from now on, and the one that goes on.
func (c *lazyConn) SetWriteDeadline(t time.Time) error { return c.write.want(t) }

// SetDeadline limits both.
func (c *lazyConn) SetDeadline(t time.Time) error {
	if err := c.read.want(t); err != nil {
		return err
	}
	return c.write.want(t)
}

// CloseWrite tells the other end that nothing more comes, if the connection can: net/http does so
// before it closes one with data that it has not read.
func (c *lazyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// lazyDeadline is that of reads, or of writes.
type lazyDeadline struct {
	set           func(time.Time) error // that of the connection
	mu            sync.Mutex
	wanted, isSet time.Time
	active        int // how many are reading, or writing
}

// want has the deadline be that from now on; zero is none.
func (d *lazyDeadline) want(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if d.active == 0 {
		return nil
	}
	return d.apply()
}

func (d *lazyDeadline) apply() error {
	d.isSet = d.wanted
	return d.set(d.wanted)
}

// begin is called before each read or write.
// Returns os.ErrDeadlineExceeded if the deadline has passed.
func (d *lazyDeadline) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if early := d.wanted.Sub(
		d.isSet,
	); d.wanted != d.isSet &&
		(d.wanted.IsZero() || early < 0 || early > deadlineSlack) {
		if !d.wanted.IsZero() && !d.wanted.After(time.Now()) {
			return os.ErrDeadlineExceeded
		}
		if err := d.apply(); err != nil {
			return err
		}
	}
	d.active++
	return nil
}

func (d *lazyDeadline) end() {
	d.mu.Lock()
	d.active--
	d.mu.Unlock()
}
