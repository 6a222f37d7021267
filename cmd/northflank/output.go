package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/itchyny/gojq"
	"golang.org/x/term"
)

// print writes JSON as the server sent it in the format of --output, or text for people. With --quiet
// it writes nothing.
func (r *request) print(
	ctx context.Context,
	sent json.RawMessage,
	forPeople func(now time.Time, color bool) string,
) error {
	if r.quiet {
		return nil
	}
	var text string
	var err error
	switch {
	case r.code != nil:
		text, err = runJQ(ctx, r.code, sent, onTerminal(os.Stdout))
	case r.format == "json":
		text, err = indentJSON(sent)
	case r.format == "yaml":
		text, err = toYAML(sent)
	default:
		text = forPeople(display())
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(text)
	return err
}

// display returns the present time, in the time zone of people, and whether they want colors.
func display() (now time.Time, color bool) {
	now = time.Now().UTC()
	if onTerminal(os.Stdout) {
		now = now.Local() // the time zone of the machine does not change the output for programs
	}
	return now, colored(os.Stdout)
}

func indentJSON(sent json.RawMessage) (string, error) {
	var b bytes.Buffer
	err := json.Indent(&b, bytes.TrimSpace(sent), "", "  ")
	return escapeJSON(b.Bytes()) + "\n", err
}

// toYAML returns JSON, which is YAML too, in the usual form of YAML, with the fields in their order.
// Numbers beyond those of the contract, such as 1e3, become strings.
func toYAML(sent json.RawMessage) (string, error) {
	var compact bytes.Buffer // without tabs, which YAML does not allow
	if err := json.Compact(&compact, sent); err != nil {
		return "", err
	}
	var value any
	if err := yaml.UnmarshalWithOptions([]byte(escapeJSON(compact.Bytes())), &value, yaml.UseOrderedMap()); err != nil {
		return "", err
	}
	// JSON puts every string in double quotes, because readers of YAML 1.1 and 1.2 disagree about the
	// type of others.
	text, err := yaml.MarshalWithOptions(value, yaml.JSON(), yaml.Flow(false))
	return string(text), err
}

// compileJQ returns the program of --jq.
func compileJQ(expression string) (*gojq.Code, error) {
	query, err := gojq.Parse(expression)
	if err != nil {
		return nil, usagef("--jq: %v", err)
	}
	code, err := gojq.Compile(query, gojq.WithEnvironLoader(os.Environ))
	if err != nil {
		return nil, usagef("--jq: %v", err)
	}
	return code, nil
}

// runJQ returns the results of the program, a line for each, like gh: strings have no quotes, and
// null is an empty line. For a terminal, strings are escaped.
func runJQ(ctx context.Context, code *gojq.Code, sent json.RawMessage, terminal bool) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(sent))
	dec.UseNumber()
	var input any
	if err := dec.Decode(&input); err != nil {
		return "", err
	}
	var b strings.Builder
	results := code.RunWithContext(ctx, input)
	for result, ok := results.Next(); ok; result, ok = results.Next() {
		switch result := result.(type) {
		case error:
			if halt := (*gojq.HaltError)(nil); errors.As(result, &halt) && halt.Value() == nil {
				return b.String(), nil
			}
			return "", fmt.Errorf("--jq: %w", result)
		case nil:
		case string:
			if terminal {
				result = escapeLines(result)
			}
			b.WriteString(result)
		default:
			text, err := gojq.Marshal(result)
			if err != nil {
				return "", fmt.Errorf("--jq: %w", err)
			}
			b.WriteString(escapeJSON(text))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// escape escapes the characters that a terminal would act upon: escape sequences, line ends, changes
// of the writing direction.
func escape(s string) string { return escapeExcept(s, "") }

// escapeLines is like escape, but keeps line ends and tabs.
func escapeLines(s string) string { return escapeExcept(s, "\n\t") }

func escapeExcept(s, allowed string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) || strings.ContainsRune(allowed, r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// escapeJSON escapes in JSON the characters that escape escapes, which only strings contain.
func escapeJSON(text []byte) string {
	var b []byte
	for _, r := range string(text) {
		if strconv.IsPrint(r) || r == '\n' {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return string(b)
}

// onTerminal reports whether a file is a terminal.
func onTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// colored reports whether the user wants colors: on a terminal that has them, unless NO_COLOR is set
// (https://no-color.org).
func colored(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(f)
}
