package listen_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/e2e/certificate"
	"github.com/jobruns/jobruns/server/listen"
)

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceFile is what tools do that renew certificates: nobody sees half a file.
func replaceFile(t *testing.T, name string, content []byte) {
	t.Helper()
	writeFile(t, name+".new", content)
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	firstCert, firstKey := certificate.New(t, 1)
	secondCert, secondKey := certificate.New(t, 2)
	writeFile(t, certFile, firstCert)
	writeFile(t, keyFile, firstKey)
	var log bytes.Buffer
	config, err := listen.TLSConfig(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	wantSerial := func(when string, want int64) {
		t.Helper()
		pair, err := config.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if got := pair.Leaf.SerialNumber.Int64(); got != want {
			t.Errorf("%s: certificate %d, want %d", when, got, want)
		}
	}
	wantSerial("at first", 1)
	replaceFile(t, certFile, secondCert)
	wantSerial("without the key", 1)
	wantSerial("still without the key", 1)
	if got := strings.Count(log.String(), "cannot be used"); got != 1 || !strings.Contains(log.String(), certFile) {
		t.Errorf("the log tells %d times, want once: %s", got, &log)
	}
	replaceFile(t, keyFile, secondKey)
	wantSerial("with the key", 2)
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	wantSerial("without a file", 2)
	replaceFile(t, certFile, []byte("nonsense"))
	wantSerial("with nonsense", 2)
	replaceFile(t, keyFile, firstKey)
	replaceFile(t, certFile, firstCert)
	wantSerial("again", 1)
}

func TestTLSConfigSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	cert, key := certificate.New(t, 1)
	_, otherKey := certificate.New(t, 2)
	for name, content := range map[string][]byte{"cert": cert, "key": key, "other": otherKey, "nonsense": []byte("x")} {
		writeFile(t, filepath.Join(folder, name), content)
	}
	for _, test := range []struct{ cert, key, want string }{
		{"nothing", "key", "nothing: no such file"},
		{"cert", "nothing", "nothing: no such file"},
		{"nonsense", "key", "failed to find any PEM data in certificate"},
		{"cert", "nonsense", "failed to find any PEM data in key"},
		{"cert", "other", "private key does not match public key"},
	} {
		_, err := listen.TLSConfig(filepath.Join(folder, test.cert), filepath.Join(folder, test.key),
			slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s, %s: %v, want %q", test.cert, test.key, err, test.want)
		}
	}
}
