package listen

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// TLSConfig returns how to serve HTTPS with the certificate and the key in two files, in PEM. They
// are read again when they change, as a renewal does. While the two do not fit together, the log
// says so, and the ones that were read before are used. Returns an error that names the file if one
// cannot be read or holds something else, or if they do not fit together.
func TLSConfig(certificate, key string, log *slog.Logger) (*tls.Config, error) {
	f := &certificateFiles{names: [2]string{certificate, key}, log: log}
	if err := f.read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current(), nil },
		NextProtos:     []string{"h2", "http/1.1"},
		MinVersion:     tls.VersionTLS12,
	}, nil
}

// certificateFiles are a certificate and its key.
type certificateFiles struct {
	names  [2]string
	log    *slog.Logger
	mu     sync.Mutex
	text   [2]string // as it was last read, good or not
	latest *tls.Certificate
}

// current returns the latest certificate that was good. Reading the two small files takes little of
// the time that a handshake takes.
func (f *certificateFiles) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.text
	err := f.read()
	switch {
	case f.text == before: // unchanged, or a file is missing, and about to be replaced
	case err != nil:
		f.log.Error("the new certificate cannot be used, the one before is served", "error", err)
	default:
		f.log.Info("a new certificate is served", "file", f.names[0])
	}
	return f.latest
}

func (f *certificateFiles) read() error {
	var text [2]string
	for i, name := range f.names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text[i] = string(content)
	}
	if text == f.text {
		return nil
	}
	f.text = text
	pair, err := tls.X509KeyPair([]byte(text[0]), []byte(text[1]))
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.names[0], f.names[1], err)
	}
	f.latest = &pair
	return nil
}
