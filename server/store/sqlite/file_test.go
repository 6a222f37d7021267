package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// replace moves the file of another store, in which nobody has it open, to where one is.
func replace(t *testing.T, url string, records ...jobrun.Record) {
	t.Helper()
	other, otherURL := open(t)
	for _, record := range records {
		storetest.Put(t, other, record)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(sqlite.Path(otherURL), sqlite.Path(url)); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedFileIsUnavailable(t *testing.T) {
	s, url := open(t)
	storetest.Put(t, s, storetest.Record())
	if err := os.Remove(sqlite.Path(url)); err != nil {
		t.Fatal(err)
	}
	_, _, runErr := s.Run(t.Context(), storetest.Record().Key())
	_, revisionErr := s.Revision(t.Context())
	for call, err := range map[string]error{
		"Ready": s.Ready(t.Context()), "Run": runErr, "Revision": revisionErr,
		"PutRun": s.PutRun(t.Context(), storetest.Record()),
	} {
		if !errors.Is(err, jobrun.ErrUnavailable) || errors.Is(err, store.ErrUnusable) ||
			!strings.Contains(err.Error(), sqlite.Path(url)) {
			t.Errorf("%s: %v, want ErrUnavailable, which may pass, and the file", call, err)
		}
	}
	if _, err := os.Stat(sqlite.Path(url)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want no file in its place", err)
	}
}

func TestReplacedFileIsUsed(t *testing.T) {
	s, url := open(t)
	storetest.Put(t, s, storetest.Record()) // which stays in SQLite's log, beside the next file
	before, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := storetest.Record(func(r *jobrun.Record) { r.Job = "other" })
	replace(t, url, other)
	if _, _, err := s.Run(t.Context(), storetest.Record().Key()); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("a run of the earlier file: %v, want ErrNotFound", err)
	}
	storetest.WantRun(t, s, other)
	after, err := s.Revision(t.Context())
	if err != nil || after == before {
		t.Errorf("revision %d, %v, want another than %d", after, err, before)
	}
	storetest.Put(t, s, storetest.Record())
	storetest.WantRun(t, storetest.Open(t, sqlite.Engine, url), storetest.Record())
	var verdict string
	if err := s.DB().QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("%s, %v", verdict, err)
	}
}

func TestAwaitTellsOfAConclusionInAReplacedFile(t *testing.T) {
	s, url := open(t)
	storetest.Put(t, s, storetest.Running())
	done := storetest.Await(t.Context(), t, s, storetest.Running(), nil)
	replace(t, url, storetest.Record())
	storetest.WantAwaited(t, done, storetest.Record())
}

// TestReplacedFileOfAnEarlierSchemaIsUpgraded restores a backup, as it were.
func TestReplacedFileOfAnEarlierSchemaIsUpgraded(t *testing.T) {
	s, url := open(t)
	if err := os.Rename(earlier(t, 1), sqlite.Path(url)); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, storetest.Record())
	storetest.WantRun(t, s, storetest.Record())
}

func TestNewFileTakesNothingOfAnEarlierOne(t *testing.T) {
	s, url := open(t)
	storetest.Put(t, s, storetest.Record())
	if err := os.Remove(sqlite.Path(url)); err != nil {
		t.Fatal(err)
	}
	// The earlier store is open still, and so are its files.
	other := storetest.Open(t, sqlite.Engine, url)
	storetest.Put(t, other, storetest.Record(func(r *jobrun.Record) { r.Job = "other" }))
	for _, s := range []*storetest.Store{other, s} {
		if _, _, err := s.Run(t.Context(), storetest.Record().Key()); !errors.Is(err, jobrun.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	storetest.WantRun(t, storetest.Open(t, sqlite.Engine, url),
		storetest.Record(func(r *jobrun.Record) { r.Job = "other" }))
}

// TestOpenWaitsNoLongerThanItsContext has another process stopped while it upgrades.
func TestOpenWaitsNoLongerThanItsContext(t *testing.T) {
	path := earlier(t, 1)
	stopped, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	tx, err := stopped.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err := store.Open(ctx, "sqlite:"+path, sqlite.Engine)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnusable) {
		t.Errorf("%v, want the context's error", err)
	}
}

func TestOpenLeavesTheFileOfAnotherProgramAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "theirs.db")
	theirs, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(t.Context(), "sqlite:"+path, sqlite.Engine); err == nil {
		s.Close()
		t.Error("no error")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file is another, %v", err)
	}
}

func TestOpenExistingMakesNoFile(t *testing.T) {
	directory := t.TempDir()
	s, err := store.OpenExisting(t.Context(), "sqlite:"+filepath.Join(directory, "jobruns.db"), sqlite.Engine)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, store.ErrUnusable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrUnusable and ErrNotExist", err)
	}
	if files, err := os.ReadDir(directory); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestNewFileIsForTheGroupThatMayWriteItsDirectory(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{
		0o755:                 0o600,
		0o770:                 0o660,
		0o770 | os.ModeSetgid: 0o660,
		0o750 | os.ModeSetgid: 0o600,
		0o777 | os.ModeSticky: 0o600, // as /tmp
	} {
		directory := t.TempDir()
		if err := os.Chmod(directory, mode); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(directory, "jobruns.db")
		storetest.Put(t, storetest.Open(t, sqlite.Engine, "sqlite:"+path), storetest.Record())
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) < 2 {
			t.Fatalf("files %v, %v: want the database and its log", files, err)
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("in a directory with mode %s, %s has mode %o, want %o", mode, file, info.Mode().Perm(), want)
			}
		}
	}
}
