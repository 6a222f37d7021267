package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

func TestFileThatIsNoLongerThereIsReported(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"removed":                         os.Remove,
		"moved":                           func(path string) error { return os.Rename(path, path+".old") },
		"replaced":                        func(path string) error { return os.Rename(earlier(t, 1), path) },
		"removed with SQLite's own files": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		s, url := open(t)
		storetest.Put(t, s, storetest.Record())
		if err := errors.Join(s.Check(), change(sqlite.Path(url))); err != nil {
			t.Fatal(err)
		}
		calls := storetest.CallAll(t.Context(), s)
		for _, call := range []string{"PutRun", "RecordRun", "ImportRuns", "CreateToken", "RevokeToken", "Prune"} {
			if err := calls[call]; !errors.Is(err, store.ErrUnusable) || !strings.Contains(err.Error(), sqlite.Path(url)) {
				t.Errorf("%s, %s: %v, want ErrUnusable, and the file", name, call, err)
			}
		}
	}
}

// TestLogOfAMovedFileDoesNotDamageTheNextOne puts a backup in place of a file that is open.
func TestLogOfAMovedFileDoesNotDamageTheNextOne(t *testing.T) {
	s, url := open(t)
	backup, backupURL := open(t)
	other := storetest.Record(func(r *jobrun.Record) { r.Job = "other" })
	storetest.Put(t, backup, other)
	if err := backup.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, storetest.Record()) // which stays in SQLite's log
	path := sqlite.Path(url)
	if err := errors.Join(os.Rename(path, path+".old"), os.Rename(sqlite.Path(backupURL), path)); err != nil {
		t.Fatal(err)
	}
	if s.Check() == nil {
		t.Error("the file is another one, and Check returns no error")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = storetest.Open(t, sqlite.Engine, url)
	storetest.WantRun(t, s, other)
	var verdict string
	if err := s.DB().QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("%s, %v", verdict, err)
	}
	storetest.WantRun(t, storetest.Open(t, sqlite.Engine, url+".old"), storetest.Record())
}

func TestNewFileTakesNothingOfAnEarlierOne(t *testing.T) {
	s, url := open(t)
	storetest.Put(t, s, storetest.Record())
	if err := os.Remove(sqlite.Path(url)); err != nil {
		t.Fatal(err)
	}
	// The earlier store is open still, and so are its files.
	other := storetest.Record(func(r *jobrun.Record) { r.Job = "other" })
	storetest.Put(t, storetest.Open(t, sqlite.Engine, url), other)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = storetest.Open(t, sqlite.Engine, url)
	storetest.WantRun(t, s, other)
	if _, err := s.Run(t.Context(), storetest.Record().Key()); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

// TestOpenWaitsNoLongerThanItsContext has another process stopped while it migrates.
func TestOpenWaitsNoLongerThanItsContext(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, path string){
		"with the migration lock": func(t *testing.T, path string) {
			file, err := os.Create(path + "-migrate")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		},
		"in a transaction": func(t *testing.T, path string) {
			stopped, err := sql.Open("sqlite", path+"?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stopped.Close() })
			tx, err := stopped.BeginTx(context.WithoutCancel(t.Context()), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tx.Rollback() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := earlier(t, 1)
			stop(t, path)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			s, err := store.Open(ctx, "sqlite:"+path, sqlite.Engine)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnusable) {
				t.Errorf("%v, want the context's error", err)
			}
		})
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
