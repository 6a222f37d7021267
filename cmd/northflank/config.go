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
	path     string
	fields   map[string]json.RawMessage // of the whole file
	contexts []json.RawMessage          // of the file, in order
	broken   []byte                     // the whole of an unreadable file, or nil
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

// errBroken means that neither the official command line nor this one writes such a file.
var errBroken = errors.New("mend the file, or run northflank login, which makes a new one and keeps a copy")

// errNoHome means that there is no place for the file.
var errNoHome = errors.New("there is no home directory with a .northflank/config.json: " +
	"set HOME, or give --host and --token")

// readConfig reads the file, if there is one. An empty file counts as none. If the file is unreadable,
// readConfig returns errBroken, and what login can write instead.
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
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))) // editors on Windows write a byte order mark
	if len(trimmed) > 0 {
		err = json.Unmarshal(trimmed, &c.fields)
		if err == nil && c.fields == nil {
			err = errors.New("null where an object should be")
		}
		if err == nil {
			err = c.field("contexts", &c.contexts)
		}
		if err == nil {
			return c, nil
		}
		err, c.broken = fmt.Errorf("%s: %w: %w", c.path, err, errBroken), text
	} else {
		err = nil
	}
	// The official command line asks for updates when the last time is long ago.
	c.fields = map[string]json.RawMessage{"lastUpdateCheck": json.RawMessage(`"1970-01-01T00:00:00.000Z"`)}
	return c, err
}

// field decodes a field of the file; one that is absent changes nothing.
func (c *config) field(name string, into any) error {
	raw, ok := c.fields[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// currentContext returns the current context of the file, or nil if there is none.
func currentContext() (*savedContext, error) {
	c, err := readConfig()
	if err != nil {
		return nil, err
	}
	return c.current()
}

// errNoContext means that the file does not have the context that it calls current.
var errNoContext = errors.New("there is no such context")

// current returns the current context, or nil if there is none. Returns errNoContext if the file
// names a context that it does not have.
func (c *config) current() (*savedContext, error) {
	var name string
	if err := c.field("current", &name); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.path, err, errBroken)
	}
	if name == "" {
		return nil, nil
	}
	i := slices.Index(c.names(), name)
	if i < 0 {
		return nil, fmt.Errorf("%s: current is %q: %w: run northflank context use, or northflank login",
			c.path, name, errNoContext)
	}
	var saved savedContext
	if err := json.Unmarshal(c.contexts[i], &saved); err != nil {
		return nil, fmt.Errorf("%s: context %q: %w: %w", c.path, name, err, errBroken)
	}
	return &saved, nil
}

// names are the names of the contexts, in order. A context without a name has the name "".
func (c *config) names() []string {
	names := make([]string, len(c.contexts))
	for i, raw := range c.contexts {
		var context struct{ Name string }
		if json.Unmarshal(raw, &context) == nil {
			names[i] = context.Name
		}
	}
	return names
}

// add puts the context at the end, in place of any context of the same name, makes it current and
// writes the file.
func (c *config) add(context savedContext) error {
	raw, err := marshal(context)
	if err != nil {
		return err
	}
	if i := slices.Index(c.names(), context.Name); i >= 0 {
		c.contexts = slices.Delete(c.contexts, i, i+1)
	}
	c.contexts = append(c.contexts, raw)
	return c.write(context.Name)
}

// use makes the context of the name current, sets some of its fields, and writes the file. Returns an
// error if there is no such context.
func (c *config) use(name string, set map[string]string) error {
	i := slices.Index(c.names(), name)
	if i < 0 || name == "" {
		return fmt.Errorf("there is no context %q: see northflank context ls", name)
	}
	if len(set) > 0 {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(c.contexts[i], &fields); err != nil {
			return fmt.Errorf("%s: context %q: %w", c.path, name, err)
		}
		var err error
		for field, value := range set {
			if fields[field], err = marshal(value); err != nil {
				return err
			}
		}
		if c.contexts[i], err = marshal(fields); err != nil {
			return err
		}
	}
	return c.write(name)
}

// write writes the file, with a current context.
func (c *config) write(current string) error {
	var err error
	for name, value := range map[string]any{"contexts": c.contexts, "current": current} {
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
	if c.broken != nil {
		if err := private.WriteFile(c.path+".broken", c.broken); err != nil {
			return err
		}
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
