package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/itchyny/gojq"
	"golang.org/x/term"
)

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

// runJQ returns what the program makes of what the server sent, a line for each result, as gh does:
// strings are without quotes, and null is an empty line. For a terminal it is escaped.
func runJQ(ctx context.Context, code *gojq.Code, sent json.RawMessage, terminal bool) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(sent))
	dec.UseNumber()
	var input any
	if err := dec.Decode(&input); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	results := code.RunWithContext(ctx, input)
	for {
		result, ok := results.Next()
		if !ok {
			return b.Bytes(), nil
		}
		switch result := result.(type) {
		case error:
			if halt := (*gojq.HaltError)(nil); errors.As(result, &halt) && halt.Value() == nil {
				return b.Bytes(), nil
			}
			return nil, fmt.Errorf("--jq: %w", result)
		case nil:
		case string:
			if terminal {
				result = printableLines(result)
			}
			b.WriteString(result)
		default:
			text, err := gojq.Marshal(result)
			if err != nil {
				return nil, fmt.Errorf("--jq: %w", err)
			}
			made, err := parse(text)
			if err != nil {
				return nil, fmt.Errorf("--jq: %w", err)
			}
			writeJSON(&b, made)
		}
		b.WriteByte('\n')
	}
}

// printableLines is printable for a text whose lines and columns are meant.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		columns := strings.Split(line, "\t")
		for j := range columns {
			columns[j] = printable(columns[j])
		}
		lines[i] = strings.Join(columns, "\t")
	}
	return strings.Join(lines, "\n")
}

// onTerminal reports whether a person sees what is written there.
func onTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
