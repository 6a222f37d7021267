package server

import (
	"testing"
	"time"
)

func TestPreferredWait(t *testing.T) {
	const none = -1
	for prefer, want := range map[string]int{
		"":                                   none,
		"wait=10":                            10,
		"wait=55":                            55,
		"wait=0":                             0,
		"wait=60":                            55,
		"wait=61":                            55,
		"wait=99999999999999999999999999999": 55,
		"WAIT = 7":                           7,
		`wait="7"`:                           7,
		"wait=7; a=b":                        7,
		"respond-async, wait=7":              7,
		`a="x, wait=1", wait=7`:              7,
		`a="\", wait=1", wait=7`:             7,
		"wait=7, wait=8":                     7,
		",, wait=7 ,":                        7,
		"wait":                               none,
		"wait=":                              none,
		"wait=x":                             none,
		"wait=-1":                            none,
		"wait=+1":                            none,
		"wait=1.5":                           none,
		"wait=1s":                            none,
		`wait="7`:                            none,
		`wait=""`:                            none,
		"wait=x, wait=7":                     7,
		"waits=7":                            none,
		"respond-async":                      none,
		`a="wait=7`:                          none,
	} {
		got, ok := preferredWait(prefer)
		if ok != (want != none) || ok && got != time.Duration(want)*time.Second {
			t.Errorf("%q: %s, %t; want %d", prefer, got, ok, want)
		}
	}
}

func FuzzPreferredWait(f *testing.F) {
	f.Add(`respond-async; a="b\"", wait = "10"; x`)
	f.Fuzz(func(t *testing.T, prefer string) {
		if wait, ok := preferredWait(prefer); wait < 0 || wait > maxWait || !ok && wait != 0 {
			t.Errorf("%q: %s, %t", prefer, wait, ok)
		}
	})
}
