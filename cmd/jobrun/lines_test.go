package main

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// shown returns the lines that are kept of the pieces, which are printed one after another.
func shown(limit int, pieces ...string) string {
	kept := &lines{limit: limit}
	s := stream{lines: kept}
	for _, piece := range pieces {
		s.add([]byte(piece), time.Now())
	}
	s.end()
	var all []string
	for _, line := range kept.all() {
		all = append(all, line.Log)
	}
	return strings.Join(all, "|")
}

func TestLinesAreThoseThatTerminalShows(t *testing.T) {
	for printed, want := range map[string]string{
		"":                                "",
		"a\nb":                            "a|b",
		"a\r\nb\r\n":                      "a|b",
		"\n\n":                            "|",
		"hello\rab":                       "abllo",
		"10%\r 50%\r100%\r":               "100%",
		"long line\r\x1b[Kshort\n":        "short",
		"long line\x1b[2K\rx\n":           "x",
		"abc\b\bX\n":                      "aXc",
		"\x1b[1;31mred\x1b[0m \x1b(Btext": "red text",
		"\x1b]0;title\aa\x1b]8;;u\x1b\\b": "ab",
		"\x1b]unterminated\nnext":         "|next",
		"a\tb\x00\x07\x7f\u0085c":         "a\tbc",
		"a\xffb\xe2\x82":                  "a\ufffdb\ufffd",
		"é€😀":                             "é€😀",
		strings.Repeat("x", maxLine+1):    strings.Repeat("x", maxLine),
		strings.Repeat("y\n", maxLines+1): strings.TrimSuffix(strings.Repeat("y|", maxLines), "|"),
	} {
		if got := shown(maxBody, printed); got != want {
			t.Errorf("%.40q: %.80q, want %.80q", printed, got, want)
		}
		if got := shown(maxBody, strings.SplitAfter(printed, "")...); got != want && utf8.ValidString(printed) {
			t.Errorf("%.40q in pieces: %.80q, want %.80q", printed, got, want)
		}
	}
}

func TestLinesDropOldestAndCutLongest(t *testing.T) {
	for _, test := range []struct {
		limit         int
		printed, want string
	}{
		{4, "aa\nbb\ncc\n", "cc"}, {6, "aa\nbb\ncc\n", "bb|cc"}, {4, "abcdefg", "abc"}, {4, "a€\n", "a"}, {1, "a\nb", ""},
	} {
		if got := shown(test.limit, test.printed); got != test.want {
			t.Errorf("%d bytes of %q: %q, want %q", test.limit, test.printed, got, test.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\x1b[2K\xff€\x1b]0;t\a"), 4, 20)
	f.Fuzz(func(t *testing.T, printed []byte, cut, limit int) {
		cut, limit = max(0, min(cut, len(printed))), max(1, limit)
		whole := shown(limit, string(printed))
		if pieces := shown(limit, string(printed[:cut]), string(printed[cut:])); pieces != whole {
			t.Errorf("%q in two pieces is %q, whole %q", printed, pieces, whole)
		}
		if len(whole) > limit || !utf8.ValidString(whole) || strings.ContainsFunc(whole, func(r rune) bool {
			return r != '\t' && unicode.IsControl(r)
		}) {
			t.Errorf("%d bytes of %q: %q", limit, printed, whole)
		}
	})
}
