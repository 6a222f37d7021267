package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBatchWriterWritesLinesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written bytes.Buffer
		w := &batchWriter{to: &written}
		want := func(want string) {
			t.Helper()
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if got := written.String(); got != want {
				t.Errorf("written %q, want %q", got, want)
			}
		}
		write := func(line string) {
			if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		write("a\n")
		want("a\n")
		write("b\n")
		write("c\n")
		want("a\n")
		time.Sleep(flushInterval)
		want("a\nb\nc\n")
		write("d\n")
		w.flush()
		want("a\nb\nc\nd\n")
		time.Sleep(2 * flushInterval)
		write(strings.Repeat("e", flushBytes) + "\n")
		write(strings.Repeat("f", flushBytes) + "\n")
		want("a\nb\nc\nd\n" + strings.Repeat("e", flushBytes) + "\n" + strings.Repeat("f", flushBytes) + "\n")
		time.Sleep(2 * flushInterval) // until no timer is left
	})
}
