package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/spf13/cobra"
)

const (
	defaultHost = "https://api.northflank.com"
	hostEnv     = "NORTHFLANK_HOST"
	tokenEnv    = "NORTHFLANK_API_TOKEN"
	defaultName = "the default host"

	// timeout is for all that a command asks a server, so that a script is not held up for good.
	timeout = time.Minute
)

// connection is which server to ask, with which token.
type connection struct {
	host, token         string
	hostFrom, tokenFrom string       // where they come from, for messages
	context             savedContext // the current one, if it is for this host; else empty
}

// source is a place that a host and a token may come from.
type source struct {
	hostName, tokenName string
	host, token         string // empty where it has none
}

// connectionFlags are the flags that say which server to ask.
type connectionFlags struct{ host, token string }

func (f *connectionFlags) add(cmd *cobra.Command, tokenUsage string) {
	cmd.Flags().StringVar(&f.host, "host", "", "`URL` of the server; https:// may be left out")
	cmd.Flags().StringVarP(&f.token, "token", "t", "", tokenUsage)
}

// sources are, first to last, the flags, the environment, the current context and the default. The context is nil if
// there is none.
func (f *connectionFlags) sources(saved *savedContext) []source {
	all := []source{
		{"--host", "--token", normalizeHost(f.host), f.token},
		{hostEnv, tokenEnv, normalizeHost(os.Getenv(hostEnv)), os.Getenv(tokenEnv)},
	}
	if saved != nil {
		name := fmt.Sprintf("context %q", saved.Name)
		all = append(all, source{name, name, normalizeHost(cmp.Or(saved.Host, defaultHost)), saved.Token})
	}
	return append(all, source{hostName: defaultName, host: defaultHost})
}

// resolve finds the first host, and the first token that may be sent to it: one that lies beside another host is not,
// or whoever names a server would be handed the token for another.
func (f *connectionFlags) resolve() (connection, error) {
	saved, configErr := currentContext()
	sources := f.sources(saved)
	var conn connection
	for _, s := range sources {
		if s.host != "" {
			conn.host, conn.hostFrom = s.host, s.hostName
			break
		}
	}
	var kept string
	for _, s := range sources {
		if s.token == "" {
			continue
		}
		if s.host == "" || s.host == conn.host {
			conn.token, conn.tokenFrom = s.token, s.tokenName
			break
		}
		kept += fmt.Sprintf("; that of %s is for %s only", s.tokenName, s.host)
	}
	switch {
	case configErr != nil && (conn.token == "" || conn.hostFrom == defaultName):
		return conn, configErr // it may have had what is missing
	case conn.token == "":
		return conn, usagef("no token for %s: give --token, set %s or run northflank login%s", conn.host, tokenEnv, kept)
	case saved != nil && normalizeHost(cmp.Or(saved.Host, defaultHost)) == conn.host:
		conn.context = *saved
	}
	return conn, nil
}

// client makes the client for the connection.
func (c connection) client() (*client.Client, error) {
	made, err := client.New(c.host, client.WithToken(c.token), client.WithUserAgent("northflank (+https://github.com/jobruns/jobruns)"))
	if err != nil {
		return nil, usagef("%s: %v", c.hostFrom, err)
	}
	return made, nil
}

// normalizeHost makes the URL of a host, so that two can be compared: with a scheme, in lower case, without slashes at
// the end. Nothing stays nothing.
func normalizeHost(s string) string {
	s = strings.TrimRight(strings.TrimSpace(s), "/")
	if s == "" {
		return ""
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s) // puts the scheme in lower case
	if err != nil {
		return s // the client refuses it, and says why
	}
	u.Host = strings.ToLower(u.Host)
	return u.String()
}
