package jsonlines

import (
	"strings"
	"testing"
)

func BenchmarkRead(b *testing.B) {
	r := newReader(b)
	text := strings.Repeat(valid+"\n", 10000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if records, err := readAll(r, strings.NewReader(text)); err != nil || len(records) != 10000 {
			b.Fatal(err)
		}
	}
}
