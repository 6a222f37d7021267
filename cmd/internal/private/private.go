// Package private writes files that only their owner can read.
package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file that has been written beside the one that it is to replace.
type File struct{ path, temp string }

// New writes the text to a new file, with mode 0600, in the folder of path. Commit or Discard has to
// follow. Where path is a symbolic link, the file is the one that it points to. Returns an error if
// there is something at path that is no regular file.
func New(path string, text []byte) (_ *File, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return nil, err
	}
	f := &File{path, temp.Name()}
	defer func() {
		if err != nil {
			temp.Close()
			f.Discard()
		}
	}()
	if _, err := temp.Write(text); err != nil {
		return nil, err
	}
	if err := temp.Sync(); err != nil {
		return nil, err
	}
	return f, temp.Close()
}

// Commit puts the file in its place: whole or not at all, even when the machine goes down.
func (f *File) Commit() error { return os.Rename(f.temp, f.path) }

// Discard removes the file, unless Commit has put it in its place.
func (f *File) Discard() { _ = os.Remove(f.temp) } // it is in its place, or else stays for its owner only

// WriteFile writes a file as New and Commit do.
func WriteFile(path string, text []byte) error {
	f, err := New(path, text)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.Commit()
}
