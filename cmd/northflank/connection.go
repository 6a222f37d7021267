package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

const (
	defaultHost = "https://api.northflank.com"
	hostEnv     = "NORTHFLANK_HOST"
	tokenEnv    = "NORTHFLANK_API_TOKEN"
	caCertEnv   = "NORTHFLANK_CA_CERT"
	defaultName = "the default host"

	// timeout is for all that a command asks a server, so that a script is not held up for good.
	timeout = time.Minute
)

// connection is which server to ask, with which token.
type connection struct {
	host, token         string
	hostFrom, tokenFrom string       // where they come from, for messages
	context             savedContext // the current one, if it is for this host; else empty
	caCert              string       // a file, or "" for the system's authorities
}

// source is a place that a host and a token may come from.
type source struct {
	hostName, tokenName string
	host, token         string // empty where it has none
}

// connectionFlags are the flags that say which server to ask.
type connectionFlags struct {
	host, token, caCert string
	// currentOnly means that only the current context counts, not the flags and the environment.
	currentOnly bool
}

func (f *connectionFlags) add(cmd *cobra.Command, tokenUsage string) {
	cmd.Flags().StringVar(&f.host, "host", "", "`URL` of the server; https:// may be left out")
	cmd.Flags().StringVarP(&f.token, "token", "t", "", tokenUsage)
	cmd.Flags().StringVar(&f.caCert, "ca-cert", "",
		"`file` with the certificates of the authorities to trust, in PEM, instead of the system's ("+caCertEnv+")")
}

// sources are, first to last, the flags, the environment, the current context and the default. The
// context is nil if there is none.
func (f *connectionFlags) sources(saved *savedContext) []source {
	var all []source
	if !f.currentOnly {
		all = []source{
			{"--host", "--token", normalizeHost(f.host), trimToken(f.token)},
			{hostEnv, tokenEnv, normalizeHost(os.Getenv(hostEnv)), trimToken(os.Getenv(tokenEnv))},
		}
	}
	if saved != nil {
		name := fmt.Sprintf("context %q", saved.Name)
		all = append(all, source{name, name, saved.url(), trimToken(saved.Token)})
	}
	return append(all, source{hostName: defaultName, host: defaultHost})
}

// url is the URL of the context's server.
func (s *savedContext) url() string { return normalizeHost(cmp.Or(s.Host, defaultHost)) }

// resolve finds the first host, and the first token that may be sent to it. A token that is stored
// with another host is skipped: a server that is named by mistake must not get it.
func (f *connectionFlags) resolve() (connection, error) {
	saved, configErr := currentContext()
	sources := f.sources(saved)
	first := sources[slices.IndexFunc(sources, func(s source) bool { return s.host != "" })]
	conn := connection{host: first.host, hostFrom: first.hostName, caCert: f.authorities()}
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
	case configErr != nil && (conn.token == "" || conn.hostFrom == defaultName && !errors.Is(configErr, errNoHome)):
		return conn, configErr // it may have had what is missing
	case conn.token == "":
		return conn, usagef("no token for %s: give --token, set %s or run northflank login%s", conn.host, tokenEnv, kept)
	}
	if err := checkToken(conn.token, conn.tokenFrom); err != nil {
		return conn, err
	}
	if saved != nil && saved.url() == conn.host {
		conn.context = *saved
	}
	return conn, nil
}

// trimToken removes what a file or a clipboard puts around a token: spaces, line ends, a byte order
// mark, characters that have no width.
func trimToken(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) })
}

// checkToken returns an error that names the place the token comes from, and what is in it that no
// token has (RFC 6750, section 2.1), or that no header can have.
func checkToken(token, from string) error {
	n := 0
	for _, r := range token {
		n++
		if r <= ' ' || r > '~' {
			return usagef("the token of %s has the character %U in place %d, which no token has: copy it again", from, r, n)
		}
	}
	return nil
}

// authorities is the file that says whom to trust, or "".
func (f *connectionFlags) authorities() string {
	return cmp.Or(f.caCert, os.Getenv(caCertEnv))
}

// client makes the client for the connection.
func (c connection) client(options ...client.Option) (*client.Client, error) {
	options = append(options, client.WithToken(c.token),
		client.WithUserAgent("northflank (+https://github.com/jobruns/jobruns)"))
	if c.caCert != "" {
		text, err := os.ReadFile(c.caCert)
		if err != nil {
			return nil, fmt.Errorf("--ca-cert: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-cert: %s has no certificate in PEM", c.caCert)
		}
		options = append(options, client.WithRootCAs(pool))
	}
	made, err := client.New(c.host, options...)
	if err != nil {
		return nil, usagef("%s: %v", c.hostFrom, err)
	}
	return made, nil
}

// normalizeHost makes the URL of a host, so that two can be compared: with a scheme, in lower case,
// without slashes at the end. Nothing stays nothing.
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
