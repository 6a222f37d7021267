package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/cmd/internal/private"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Create, list and revoke the tokens of the API",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newTokenCreate(), newTokenList(), newTokenRevoke())
	return cmd
}

func newTokenCreate() *cobra.Command {
	var t jobrun.Token
	var validity time.Duration
	var replace, record bool
	var out string
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Create a token and print it",
		Long: `Create a token and print it, alone, on standard output, or write it to a file that
only its owner can read. The store keeps only a hash of it, so it is never shown again.

Without --permission, the token can read projects, jobs, runs and their outcomes, but not
what commands print: for that, add "Project > Jobs > Deployment > View Instance Logs".

With --record, the token can record runs, and nothing else. A token that reads cannot
record: a host that records needs no access to the runs of other hosts.`,
		Example: `  jobrund token create --name ci
  jobrund token create --name web-1 --record --project nightly --out token
  jobrund token create --name ci --team default --project default-project --expires-in 30d
  jobrund token create --name ci --replace --out token
  jobrund token create --name logs --permission 'Project > Jobs > General > Read' \
    --permission 'Project > Jobs > Deployment > View Instance Logs'`,
		Args: cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkToken(cmd.Flags(), &t, record); err != nil {
				return err
			}
			t.CreatedAt = time.Now().UTC()
			if cmd.Flags().Changed("expires-in") {
				if validity == 0 {
					return cli.Usagef("--expires-in 0: must be positive")
				}
				at := t.CreatedAt.Add(validity)
				t.ExpiresAt = &at
			}
			return withStore(cmd, true, func(s *store.Store) error {
				create := s.CreateToken
				if replace {
					create = s.ReplaceToken
				}
				return hand(out, cmd.OutOrStdout(), func(hash jobrun.TokenHash) error {
					err := create(cmd.Context(), hash, t)
					if errors.Is(err, store.ErrExists) {
						return fmt.Errorf(
							"a token named %q exists already: choose another name, or give --replace to revoke it", t.Name)
					}
					return err
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.Name, "name", "", "name by which to list and revoke the token (required)")
	flags.StringSliceVar(
		&t.Teams,
		"team",
		[]string{jobrun.DefaultTeam},
		"team that the token belongs to; can be repeated",
	)
	flags.StringSliceVar(
		&t.Projects,
		"project",
		nil,
		"project that it is limited to; can be repeated (default every project of its teams)",
	)
	flags.StringSliceVar(
		&t.Permissions,
		"permission",
		nil,
		"permission that it has; can be repeated (default all that only read, except of logs)",
	)
	flags.BoolVar(&record, "record", false, "let it record runs, and nothing else")
	flags.Var(
		(*duration.Value)(&validity),
		"expires-in",
		"how long it is valid, such as 30d or 12h (default for ever)",
	)
	flags.BoolVar(&replace, "replace", false, "revoke the token of that name, if there is one")
	flags.StringVar(&out, "out", "-", "`file` to write the token to, which only its owner can read; - prints it")
	cli.Require(cmd, "name")
	return cmd
}

// hand makes a secret, and hands it out once create has stored its hash: in a file, or on standard
// output if out is "-" or "".
func hand(out string, stdout io.Writer, create func(jobrun.TokenHash) error) error {
	secret, hash := jobrun.NewSecret()
	if out == "" || out == "-" {
		if err := create(hash); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, secret)
		return err
	}
	// A link such as /dev/stdout may lead to the file that a shell has opened, which would be replaced.
	if info, err := os.Lstat(out); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--out: %s is not a regular file: name a file, or - for standard output", out)
	}
	file, err := private.New(out, []byte(secret+"\n"))
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer file.Discard()
	if err := create(hash); err != nil {
		return err
	}
	return file.Commit()
}

// checkToken checks the flags against the contract, and fills in the permissions: those that record,
// or if no permission is given those that read.
func checkToken(flags *pflag.FlagSet, t *jobrun.Token, record bool) error {
	document, err := contract.Load()
	if err != nil {
		return err
	}
	if err := cli.CheckID("name", t.Name); err != nil {
		return err
	}
	// An empty list, such as a shell makes of a variable that is not set, must not come to mean
	// everything.
	for flag, values := range map[string][]string{"team": t.Teams, "project": t.Projects, "permission": t.Permissions} {
		if flags.Changed(flag) && len(values) == 0 {
			return cli.Usagef("--%s: must not be empty", flag)
		}
		for _, value := range values {
			if err := cli.CheckID(flag, value); err != nil && flag != "permission" {
				return err
			}
		}
	}
	known := document.Permissions()
	for _, permission := range t.Permissions {
		if !slices.Contains(known, permission) {
			return cli.Usagef("--permission %q: must be one of: %s", permission, strings.Join(known, ", "))
		}
	}
	switch writing := document.WritePermissions(); {
	case record && len(t.Permissions) > 0:
		return cli.Usagef("--record and --permission exclude each other")
	case record:
		t.Permissions = writing
	case len(t.Permissions) == 0:
		t.Permissions = document.ReadPermissions()
	case slices.ContainsFunc(t.Permissions, func(p string) bool { return slices.Contains(writing, p) }):
		return cli.Usagef("--permission: a token that records can do nothing else: create it with --record")
	}
	return nil
}

func newTokenList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without their secrets",
		Args:  cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := contract.Load()
			if err != nil {
				return err
			}
			return withStore(cmd, false, func(s *store.Store) error {
				tokens, err := s.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "NAME\tCAN\tTEAMS\tPROJECTS\tPERMISSIONS\tCREATED\tEXPIRES")
				for _, t := range tokens {
					expires, can := "never", "read"
					if t.ExpiresAt != nil {
						expires = t.ExpiresAt.Format(time.RFC3339)
					}
					if slices.ContainsFunc(document.WritePermissions(), t.Has) {
						can = "record"
					}
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, can, strings.Join(t.Teams, ","),
						cmp.Or(strings.Join(t.Projects, ","), "all"), strings.Join(t.Permissions, ","),
						t.CreatedAt.Format(time.RFC3339), expires)
				}
				return table.Flush()
			})
		},
	}
}

func newTokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Make a token invalid, within a second",
		Example: "  jobrund token revoke ci",
		Args:    cli.Arguments(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, false, func(s *store.Store) error {
				err := s.RevokeToken(cmd.Context(), args[0])
				if errors.Is(err, jobrun.ErrNotFound) {
					return fmt.Errorf("there is no token named %q: see jobrund token list", args[0])
				}
				return err
			})
		},
	}
}
