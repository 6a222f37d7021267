package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

// storeFlag is the flag that names the store.
const storeFlag = "store"

// storeUsage is the help of storeFlag.
const storeUsage = "where runs and tokens are stored: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"

// defaultStore is the store if nobody names one.
const defaultStore = "sqlite:jobruns.db"

// withStore opens the store for a function, and closes it afterwards. It is like openStore.
func withStore(cmd *cobra.Command, create bool, use func(*store.Store) error) error {
	s, err := openStore(cmd.Context(), cmd, create)
	if err != nil {
		return err
	}
	defer s.Close()
	return use(s)
}

// openStore opens the store that the command's storeFlag names. If it is a file that does not exist,
// openStore creates it, and prints its path if nobody named the store; without create, it returns an
// error that says what creates one.
// Returns other errors as store.Open does.
func openStore(ctx context.Context, cmd *cobra.Command, create bool) (*store.Store, error) {
	url := cmd.Flag(storeFlag).Value.String()
	s, err := store.OpenExisting(ctx, url, sqlite.Engine, postgres.Engine)
	if !sqlite.Engine.Takes(url) || !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if !create {
		return nil, fmt.Errorf(
			"%w: name the store with --store; jobrund import and jobrund token create create one", err)
	}
	if s, err = store.Open(ctx, url, sqlite.Engine, postgres.Engine); err != nil {
		return nil, err
	}
	if !cmd.Flag(storeFlag).Changed {
		path := sqlite.Path(url)
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		fmt.Fprintf(os.Stderr, "jobrund: new store %s\n", path)
	}
	return s, nil
}
