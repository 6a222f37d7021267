package private

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFileReplacesAnotherWhole(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "token"), filepath.Join(folder, "link")
	if err := os.WriteFile(path, []byte("old, and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("token", link); err != nil {
		t.Fatal(err)
	}
	f, err := New(link, []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	want := func(when, text string, mode os.FileMode, files int) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%s: %q, want %q: %v", when, got, text, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, want %v: %v", when, info.Mode(), mode, err)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != files {
			t.Errorf("%s: %v, want %d: %v", when, entries, files, err)
		}
	}
	want("before", "old, and longer", 0o644, 3)
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	want("after", "new", 0o600, 2)
	if f, err = New(path, []byte("never")); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	want("discarded", "new", 0o600, 2)
}

func TestFileIsRefusedWhereItCannotBe(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{folder, os.DevNull, filepath.Join(folder, "none", "file")} {
		if _, err := New(path, nil); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}
