package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/listen"
)

// listenOptions say where and how to listen.
type listenOptions struct {
	address          string
	certificate, key string // files, or "" for plain HTTP
	behindProxy      bool
	socket           string // path of a Unix socket, or "" for none
}

// listen returns a listener, how to serve TLS, nil for plain HTTP, and the URL at which it is reached.
func (l listenOptions) listen(log *slog.Logger) (listener net.Listener, config *tls.Config, url string, err error) {
	scheme := "http"
	if l.certificate != "" {
		if config, err = listen.TLSConfig(l.certificate, l.key, log); err != nil {
			return nil, nil, "", fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		scheme = "https"
	}
	if listener, err = listenAt(l.address, "--addr"); err != nil {
		return nil, nil, "", err
	}
	return listener, config, scheme + "://" + listener.Addr().String(), nil
}

// listenAt listens on the address that the flag says. An error tells what to do where another
// program listens there. An empty address, such as a script makes of a variable that is not set, is
// an error: package net would listen on every interface, at a random port.
func listenAt(address, flag string) (net.Listener, error) {
	if address == "" {
		return nil, cli.Usagef("%s must not be empty", flag)
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: stop the program that listens there, or choose another address with %s", err, flag)
	}
	return listener, err
}

// socketMode lets every user of the host connect: requests need a token in any case.
const socketMode = 0o666

// listenAtSocket returns a listener at the Unix socket, or nil if there is no path. It replaces the
// file of a server that was killed.
func (l listenOptions) listenAtSocket() (net.Listener, error) {
	if l.socket == "" {
		return nil, nil
	}
	listener, err := net.Listen("unix", l.socket)
	if errors.Is(err, syscall.EADDRINUSE) {
		if info, err := os.Lstat(l.socket); err == nil && info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("--socket: %s is not a socket: choose another path", l.socket)
		}
		if conn, dialErr := net.Dial("unix", l.socket); dialErr == nil {
			conn.Close()
			return nil, fmt.Errorf("--socket: another server listens on %s", l.socket)
		} else if errors.Is(dialErr, syscall.ECONNREFUSED) && os.Remove(l.socket) == nil {
			listener, err = net.Listen("unix", l.socket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	if err := os.Chmod(l.socket, socketMode); err != nil {
		return nil, fmt.Errorf("--socket: %w", errors.Join(err, listener.Close()))
	}
	return listener, nil
}

// private reports whether nobody on the way can read what is sent.
func (l listenOptions) private(listener net.Listener) bool {
	address, ok := listener.Addr().(*net.TCPAddr)
	return l.certificate != "" || l.behindProxy || ok && address.IP.IsLoopback()
}
