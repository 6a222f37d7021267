package contract

import (
	"regexp"
	"strings"
	"testing"
)

var expressions = []string{
	`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`,
	`^[^\x00-\x1F\x7F]+$`,
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`,
	``, `a`, `^a`, `a$`, `^$`, `$`, `^`, `a|b`, `^a|b$`, `(^a)|(b$)`, `^(a|b)*abb$`, `a?b+c*`, `.`, `.*`, `^.$`, `(?s)^.$`,
	`(?i)^straße$`, `(?i)k`, `[^a]`, `x*`, `^x*$`, `$^`, `a^b`, `^^a`, `(a|ab)(c|bcd)`, `\d{2,3}`, `\W`, `^(?:a$|b)`, `a$b`,
	`(?m)^a$`, `\bword\b`, `\z`, `\Aa\z`, `é`, `^[é-ü]+$`, `(a*)*`, `(a|b|)+$`, `a{0}`, `[^\x00-\x{10FFFF}]`,
}

func TestPatternsUseTables(t *testing.T) {
	for expression, want := range map[string]bool{
		`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`: true,
		`^[^\x00-\x1F\x7F]+$`:                        true,
		`\bword`:                                     false,
		`(?m)^a`:                                     false,
		`^[0-9]{100}$`:                               false,
	} {
		p, err := CompilePattern(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.next != nil; got != want {
			t.Errorf("%s: %t, want %t", expression, got, want)
		}
	}
}

func TestPatternIsAsRegexp(t *testing.T) {
	texts := []string{"", "a", "b", "ab", "ba", "abb", "aabb", "abcd", "-", "a-", "a-b", "a.b_c-d", "\n", "a\n", "\na", "\x00", "\x7f",
		"é", "aé", "\xff", "K", "\u212a", "STRASSE", "straße", "word", "a word.", "12", "1234", "2020-12-08T11:47:08Z", "2020-12-08T11:47:08ZZ",
		"d34582a4-35bd-4c71-8e7c-e36999b88723", strings.Repeat("x", 300), "a$b", "a^b"}
	for _, expression := range expressions {
		for _, text := range texts {
			checkPattern(t, expression, text)
		}
	}
}

func checkPattern(t *testing.T, expression, text string) {
	t.Helper()
	re, err := regexp.Compile(expression)
	p, perr := CompilePattern(expression)
	if (err == nil) != (perr == nil) {
		t.Fatalf("%q: %v, want %v", expression, perr, err)
	}
	if err == nil && p.MatchString(text) != re.MatchString(text) {
		t.Errorf("%q and %q: %t, want %t", expression, text, !re.MatchString(text), re.MatchString(text))
	}
}

func FuzzPattern(f *testing.F) {
	for _, expression := range expressions {
		f.Add(expression, "a word")
	}
	f.Fuzz(checkPattern)
}

func BenchmarkPattern(b *testing.B) {
	const expression, text = `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`, "d34582a4-35bd-4c71-8e7c-e36999b88723"
	p, err := CompilePattern(expression)
	if err != nil {
		b.Fatal(err)
	}
	for name, m := range map[string]interface{ MatchString(string) bool }{"tables": p, "regexp": regexp.MustCompile(expression)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.MatchString(text)
			}
		})
	}
}
