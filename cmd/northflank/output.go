package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

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

// toYAML returns JSON as YAML, with the fields in their order.
func toYAML(sent json.RawMessage) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(sent))
	dec.UseNumber()
	value, err := decodeOrdered(dec)
	if err != nil {
		return "", err
	}
	// JSON puts every string in double quotes, because readers of YAML 1.1 and 1.2 disagree about the
	// type of others.
	text, err := yaml.MarshalWithOptions(value, yaml.JSON(), yaml.Flow(false))
	return string(text), err
}

// decodeOrdered reads a JSON value like encoding/json, and keeps the order of the fields.
func decodeOrdered(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if number, ok := token.(json.Number); ok {
		return yamlNumber(number), nil
	}
	start, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	values := []any{} // for an object: name, value, name, value
	for dec.More() {
		value, err := decodeOrdered(dec)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	if _, err := dec.Token(); err != nil || start == '[' {
		return values, err
	}
	object := yaml.MapSlice{}
	for i := 0; i < len(values); i += 2 {
		object = append(object, yaml.MapItem{Key: values[i], Value: values[i+1]})
	}
	return object, nil
}

// yamlNumber is a JSON number. It is never rounded.
type yamlNumber string

// MarshalYAML writes 1e3 as 1.0e+3, because YAML 1.1 takes the short form for a string
// (https://yaml.org/type/float.html).
func (n yamlNumber) MarshalYAML() ([]byte, error) {
	mantissa, exponent, ok := strings.Cut(strings.ToLower(string(n)), "e")
	if !ok {
		return []byte(n), nil
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if exponent[0] != '-' {
		exponent = "+" + strings.TrimPrefix(exponent, "+")
	}
	return []byte(mantissa + "e" + exponent), nil
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

var jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// escapeJSON escapes in the strings of JSON the characters that escape escapes, and no others:
// encoding/json escapes <, > and & too.
func escapeJSON(text []byte) string {
	return string(jsonString.ReplaceAllFunc(text, func(quoted []byte) []byte {
		var s string
		if json.Unmarshal(quoted, &s) != nil {
			return quoted
		}
		if text, err := marshal(s); err == nil {
			quoted = bytes.TrimSpace(text)
		}
		var b []byte
		for _, r := range string(quoted) {
			if strconv.IsPrint(r) {
				b = append(b, string(r)...)
				continue
			}
			for _, unit := range utf16.Encode([]rune{r}) {
				b = fmt.Appendf(b, `\u%04x`, unit)
			}
		}
		return b
	}))
}

// onTerminal reports whether a file is a terminal.
func onTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// colored reports whether the user wants colors: on a terminal that has them, unless NO_COLOR is set
// (https://no-color.org).
func colored(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(f)
}
