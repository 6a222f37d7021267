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
// current. What is not known here is kept as it is.
type config struct {
	path     string
	fields   map[string]json.RawMessage // all of the file
	contexts []json.RawMessage          // of the file's contexts, in order
	broken   []byte                     // all of a file that could not be read, or nil
}

// savedContext is what is used of a context. A host that is missing is the default one.
type savedContext struct {
	Name    string `json:"name"`
	Host    string `json:"host"`
	Token   string `json:"token"`
	Project string `json:"project,omitempty"` // default for --projectId
	Job     string `json:"job,omitempty"`     // default for --jobId
}

// errBroken is that the file is not as the official command line or this one writes it.
var errBroken = errors.New("mend the file, or run northflank login, which makes a new one and keeps a copy")

// readConfig reads the file, if there is one. An empty one is as good as none. Returns errBroken, and
// what login can write instead of it, if the file is no such thing.
func readConfig() (*config, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
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

// errNoContext is that the current context is one that the file does not have.
var errNoContext = errors.New("there is no such context")

// current returns the current context, or nil if there is none. Returns errNoContext if the file
// names one that it does not have.
func (c *config) current() (*savedContext, error) {
	var name string
	if err := c.field("current", &name); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.path, err, errBroken)
	}
	for _, raw := range c.contexts {
		if !hasName(raw, name) {
			continue
		}
		var saved savedContext
		if err := json.Unmarshal(raw, &saved); err != nil {
			return nil, fmt.Errorf("%s: context %q: %w: %w", c.path, name, err, errBroken)
		}
		return &saved, nil
	}
	if name == "" {
		return nil, nil
	}
	return nil, fmt.Errorf(
		"%s: current is %q: %w: run northflank context use, or northflank login",
		c.path, name, errNoContext)
}

// hasName reports whether a context has the name.
func hasName(raw json.RawMessage, name string) bool {
	var context struct{ Name *string }
	return json.Unmarshal(raw, &context) == nil && context.Name != nil && *context.Name == name
}

// names are those of the contexts that have one, in order.
func (c *config) names() []string {
	var names []string
	for _, raw := range c.contexts {
		var context struct{ Name string }
		if json.Unmarshal(raw, &context) == nil && context.Name != "" {
			names = append(names, context.Name)
		}
	}
	return names
}

// add puts the context, in place of any of the same name, at the end, makes it current and writes
// the file.
func (c *config) add(context savedContext) error {
	raw, err := encode(context)
	if err != nil {
		return err
	}
	c.contexts = slices.DeleteFunc(c.contexts, func(raw json.RawMessage) bool { return hasName(raw, context.Name) })
	c.contexts = append(c.contexts, raw)
	return c.write(context.Name)
}

// use makes the context of the name the current one, and writes the file. It fails if there is none.
func (c *config) use(name string) error {
	if !slices.Contains(c.names(), name) {
		return fmt.Errorf("there is no context %q: see northflank context ls", name)
	}
	return c.write(name)
}

// set sets a field of the context of the name, leaves its other fields as they are, and writes the
// file. It fails if there is no such context.
func (c *config) set(name, field, value string) error {
	i := slices.IndexFunc(c.contexts, func(raw json.RawMessage) bool { return hasName(raw, name) })
	if i < 0 {
		return fmt.Errorf("there is no context %q: see northflank context ls", name)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(c.contexts[i], &fields); err != nil {
		return fmt.Errorf("%s: context %q: %w", c.path, name, err)
	}
	var err error
	if fields[field], err = encode(value); err != nil {
		return err
	}
	if c.contexts[i], err = encode(fields); err != nil {
		return err
	}
	return c.write(name)
}

// write writes the file, with a current context.
func (c *config) write(current string) error {
	var err error
	for name, value := range map[string]any{"contexts": c.contexts, "current": current} {
		if c.fields[name], err = encode(value); err != nil {
			return err
		}
	}
	text, err := encode(c.fields)
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

// encode writes JSON as the official command line does, with tabs and without escaping what HTML
// would need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "\t")
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
