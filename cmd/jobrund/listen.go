package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/jobruns/jobruns/server/listen"
)

// listenOptions say where and how to listen.
type listenOptions struct {
	address          string
	certificate, key string // files, or "" for plain HTTP
	behindProxy      bool
}

// listen returns a listener and the URL at which it is reached.
func (l listenOptions) listen(log *slog.Logger) (net.Listener, string, error) {
	var config *tls.Config
	scheme := "http"
	if l.certificate != "" {
		var err error
		if config, err = listen.TLSConfig(l.certificate, l.key, log); err != nil {
			return nil, "", fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		scheme = "https"
	}
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		return nil, "", err
	}
	url := scheme + "://" + listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	return listener, url, nil
}

// private reports whether nobody on the way can read what is sent.
func (l listenOptions) private(listener net.Listener) bool {
	address, ok := listener.Addr().(*net.TCPAddr)
	return l.certificate != "" || l.behindProxy || ok && address.IP.IsLoopback()
}
