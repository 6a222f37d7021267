package command

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTailKeepsTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		limit int
		added []string
		want  string
		cut   bool
	}{
		"nothing":                   {4, nil, "", false},
		"less":                      {4, []string{"a", "bc"}, "abc", false},
		"as much":                   {4, []string{"ab", "cd"}, "abcd", false},
		"more":                      {4, []string{"ab", "cde"}, "bcde", true},
		"much more at once":         {4, []string{"x", strings.Repeat("y", 100) + "abcd"}, "abcd", true},
		"much more in many":         {4, strings.Split(strings.Repeat("y", 100)+"abcd", ""), "abcd", true},
		"cut in a character":        {4, []string{"aé€"}, "€", true},
		"cut before a character":    {5, []string{"aé€"}, "é€", true},
		"cut in a long character":   {3, []string{"a😀"}, "", true},
		"no room for a character":   {1, []string{"é"}, "", true},
		"invalid":                   {16, []string{"a\xff\xfeb\x00"}, "a\ufffdb\x00", false},
		"invalid and then too long": {4, []string{"\xffa\xff"}, "a\ufffd", true},
		"nothing but continuations": {4, []string{strings.Repeat("\x80", 9)}, "\ufffd", true},
	} {
		kept := &tail{limit: test.limit}
		for _, text := range test.added {
			kept.add([]byte(text))
		}
		if got := kept.output(); *got.Output != test.want || got.Truncated != test.cut {
			t.Errorf("%s: %q, cut %t; want %q, %t", name, *got.Output, got.Truncated, test.want, test.cut)
		}
	}
}

// TestTailOfAnything compares with all that was added.
func TestTailOfAnything(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		kept, all := &tail{limit: 1 + random.IntN(40)}, ""
		for range random.IntN(20) {
			text := []byte(strings.Repeat("aé€😀\n", 20)[random.IntN(50):][:random.IntN(60)])
			if random.IntN(4) == 0 && len(text) > 0 {
				text[random.IntN(len(text))] = byte(random.Uint32())
			}
			kept.add(text)
			all += string(text)
		}
		got := kept.output()
		whole := strings.ToValidUTF8(all, "\ufffd")
		text := *got.Output
		switch {
		case len(text) > kept.limit, !utf8.ValidString(text), len(all) > kept.limit && !got.Truncated,
			!got.Truncated && text != whole:
			t.Fatalf("seed %d: of %q, %d bytes: %q, %t", seed, all, kept.limit, text, got.Truncated)
		case utf8.ValidString(all) && !strings.HasSuffix(all, text),
			utf8.ValidString(all) && len(text) < min(len(all), kept.limit-utf8.UTFMax+1):
			t.Fatalf("seed %d: %q is not the end of %q, %d bytes", seed, text, all, kept.limit)
		}
	}
}

// Two streams that are read in pieces do not break each other's characters.
func TestCharactersOfTwoStreams(t *testing.T) {
	kept := &tail{limit: 100}
	out, errors := &characters{tail: kept}, &characters{tail: kept}
	for _, piece := range []string{"a\xe2", "\x82", "\xac\xf0\x9f"} {
		out.add([]byte(piece))
		errors.add([]byte("-"))
	}
	out.add([]byte("\x98\x80\xc3"))
	out.end()
	errors.end()
	if got, want := *kept.output().Output, "a--€-😀\ufffd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
