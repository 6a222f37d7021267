package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// login is the command "northflank login".
type login struct {
	server connectionFlags
	name   string
}

func newLogin() *cobra.Command {
	var l login
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Check a token and keep it for later",
		Long: `Check a token and keep it in ~/.northflank/config.json, as the current context. The file is the official command
line's; its other contexts stay as they are, and one of the same name is replaced.

The token is asked for if there is no --token. "-t -" reads it from standard input, so that neither the list of
processes nor the shell's history shows it.`,
		Example: `  northflank login
  northflank login -n local -t - --host http://127.0.0.1:8080 < token.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	cmd.Flags().StringVarP(&l.name, "name", "n", "default", "`name` of the context")
	l.server.add(cmd, "API `token`, or - to read it from standard input")
	cmd.Flags().Lookup("host").Usage += " (NORTHFLANK_HOST, or else " + defaultHost + ")"
	return cmd
}

func (l *login) run(ctx context.Context) error {
	if l.name == "" {
		return usagef("the name of a context cannot be empty")
	}
	host := cmp.Or(normalizeHost(l.server.host), normalizeHost(os.Getenv(hostEnv)), defaultHost)
	conn := connection{host: host, hostFrom: "the host", caCert: l.server.authorities()}
	var err error
	if conn.token, conn.tokenFrom, err = l.readToken(host); err != nil {
		return err
	}
	c, err := conn.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if resp, err := c.Login(ctx); err != nil {
		return conn.userError(err, resp)
	}
	saved, err := readConfig()
	if err != nil {
		return err
	}
	if err := saved.add(savedContext{Name: l.name, Host: host, Token: conn.token}); err != nil {
		return err
	}
	_, err = fmt.Printf("Logged in to %s: the context %q is in %s.\n", host, l.name, saved.path)
	return err
}

// readToken returns the token and where it comes from.
func (l *login) readToken(host string) (token, from string, err error) {
	stdin := int(os.Stdin.Fd())
	var text []byte
	switch {
	case l.server.token == "-":
		from = "standard input"
		text, err = io.ReadAll(os.Stdin)
	case l.server.token != "":
		from, text = "--token", []byte(l.server.token)
	case term.IsTerminal(stdin):
		from = "the prompt"
		fmt.Fprintf(os.Stderr, "Token for %s: ", host)
		text, err = term.ReadPassword(stdin)
		fmt.Fprintln(os.Stderr)
	default:
		return "", "", usagef("no token: give -t TOKEN, or -t - to read it from standard input")
	}
	if err != nil {
		return "", from, err
	}
	token = trimToken(string(text))
	if token == "" {
		return "", from, usagef("the token of %s is empty", from)
	}
	return token, from, checkToken(token, from)
}
