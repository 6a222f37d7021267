package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/jobruns/jobruns/cmd/internal/private"
)

// config is the official command line's ~/.northflank/config.json: a list of contexts, one of them
// current. Unknown fields stay as they are.
type config struct {
	Current  string
	Contexts []savedContext

	path   string
	fields map[string]json.RawMessage // of the whole file
	raw    []json.RawMessage          // the contexts with all their fields
}

// savedContext has the fields of a context that this program uses. Without a host, the context is for
// the default host.
type savedContext struct {
	Name    string `json:"name"`
	Host    string `json:"host"`
	Token   string `json:"token"`
	Project string `json:"project,omitempty"` // default for --projectId
	Job     string `json:"job,omitempty"`     // default for --jobId
}

// errNoHome means that there is no place for the file.
var errNoHome = errors.New("there is no home directory with a .northflank/config.json: " +
	"set HOME, or give --host and --token")

// readConfig reads the file, if there is one. An empty file counts as none.
func readConfig() (*config, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, errNoHome
	}
	c := &config{path: filepath.Join(home, ".northflank", "config.json")}
	text, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))) // editors on Windows write a byte order mark
	if len(text) == 0 || string(text) == "null" {
		// The official command line asks for updates when the last time is long ago.
		text = []byte(`{"lastUpdateCheck": "1970-01-01T00:00:00.000Z"}`)
	}
	var list struct{ Contexts []json.RawMessage }
	for _, into := range []any{&c.fields, &list, c} {
		if err := json.Unmarshal(text, into); err != nil {
			return nil, fmt.Errorf("%s: %w: mend or remove the file", c.path, err)
		}
	}
	c.raw = list.Contexts
	return c, nil
}

// currentContext returns the current context of the file, or nil if there is none.
func currentContext() (*savedContext, error) {
	c, err := readConfig()
	if err != nil || c.Current == "" {
		return nil, err
	}
	i := c.index(c.Current)
	if i < 0 {
		return nil, fmt.Errorf("%s: current is %q: there is no such context: run northflank context use, or northflank login",
			c.path, c.Current)
	}
	return &c.Contexts[i], nil
}

// index returns the position of the context of the name, or -1.
func (c *config) index(name string) int {
	return slices.IndexFunc(c.Contexts, func(saved savedContext) bool { return saved.Name == name })
}

// add puts the context at the end, in place of any context of the same name, makes it current and
// writes the file.
func (c *config) add(context savedContext) error {
	raw, err := marshal(context)
	if err != nil {
		return err
	}
	if i := c.index(context.Name); i >= 0 {
		c.raw = slices.Delete(c.raw, i, i+1)
	}
	c.raw = append(c.raw, raw)
	return c.write(context.Name)
}

// use makes the context of the name current, sets a field of it, unless the field is "", and writes
// the file. Returns an error if there is no such context.
func (c *config) use(name, field, value string) error {
	i := c.index(name)
	if i < 0 {
		return fmt.Errorf("there is no context %q: see northflank context ls", name)
	}
	if field != "" {
		var fields map[string]any
		dec := json.NewDecoder(bytes.NewReader(c.raw[i]))
		dec.UseNumber()
		err := dec.Decode(&fields)
		if err != nil {
			return err
		}
		fields[field] = value
		if c.raw[i], err = marshal(fields); err != nil {
			return err
		}
	}
	return c.write(name)
}

// write writes the file, with a current context.
func (c *config) write(current string) error {
	var err error
	for name, value := range map[string]any{"contexts": c.raw, "current": current} {
		if c.fields[name], err = marshal(value); err != nil {
			return err
		}
	}
	text, err := marshal(c.fields)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	return private.WriteFile(c.path, text)
}

// marshal writes JSON like the official command line, with tabs, and without escaping <, > and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "\t")
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
