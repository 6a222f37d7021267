package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketReplacesOnlyTheSocketOfAKilledServer(t *testing.T) {
	l := listenOptions{socket: filepath.Join(t.TempDir(), "s")}
	if err := os.WriteFile(l.socket, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.listenAtSocket(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(l.socket); err != nil || string(text) != "text" {
		t.Errorf("the file: %q, %v", text, err)
	}

	_ = os.Remove(l.socket)
	killed, err := net.Listen("unix", l.socket)
	if err != nil {
		t.Fatal(err)
	}
	killed.(*net.UnixListener).SetUnlinkOnClose(false)
	if _, err := l.listenAtSocket(); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a server that listens: %v", err)
	}
	killed.Close()
	listener, err := l.listenAtSocket()
	if err != nil {
		t.Fatalf("a server that was killed: %v", err)
	}
	listener.Close()
}
