package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"github.com/jobruns/jobruns/server/listen"
)

// listenOptions say where and how to listen.
type listenOptions struct {
	address          string
	certificate, key string // files, or "" for plain HTTP
	behindProxy      bool
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

// listenAt listens on the address that the flag says. An error tells what to do where another program
// listens there.
func listenAt(address, flag string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: stop the program that listens there, or choose another address with %s", err, flag)
	}
	return listener, err
}

// private reports whether nobody on the way can read what is sent.
func (l listenOptions) private(listener net.Listener) bool {
	address, ok := listener.Addr().(*net.TCPAddr)
	return l.certificate != "" || l.behindProxy || ok && address.IP.IsLoopback()
}
