package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/server/store"
)

// Permissions to write, of a directory.
const groupWrites, othersWrite = 0o020, 0o002

// createFile creates an empty file, unless there is one. Its owner can read and write it, and so
// can the group if the directory says so: its group can write there, and not everybody. root makes
// it the file of the directory's owner, who could not use it otherwise. SQLite gives its own files
// the same owner and permissions.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: create the directory, or give another path", err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return share(file, filepath.Dir(path))
}

// share gives the owner and the group of the directory their access to a new file.
func share(file *os.File, directory string) error {
	info, err := os.Stat(directory)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 {
		// A root without that right goes on; other users are told who owns the file.
		_ = file.Chown(int(owner.Uid), int(owner.Gid))
	}
	if info.Mode()&groupWrites == 0 || info.Mode()&othersWrite != 0 {
		return nil
	}
	if err := file.Chown(-1, int(owner.Gid)); err != nil {
		return nil // not one of that group, so that the file is the user's alone
	}
	return file.Chmod(0o660) // whatever the umask: the directory says who may write
}

// statFile returns what identifies the file. Returns an error that wraps fs.ErrNotExist if there is
// none.
func statFile(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%w: %s is a directory: give the path of a file", store.ErrUnusable, path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file: give another path", store.ErrUnusable, path)
	}
	return info, nil
}

// openBeside opens the file beside the database whose name ends so, and makes it where there is none,
// with the owner and the permissions of the database.
func openBeside(database, suffix string) (*os.File, error) {
	path := database + suffix
	file, err := os.Open(path)
	if !os.IsNotExist(err) {
		return file, err
	}
	of, err := os.Stat(database)
	if err != nil {
		return nil, err
	}
	file, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, of.Mode().Perm())
	if err != nil {
		return nil, err
	}
	// A user who may not do this is the owner of the database, or shares it by its group.
	owner := of.Sys().(*syscall.Stat_t)
	_ = file.Chown(-1, int(owner.Gid))
	_ = file.Chown(int(owner.Uid), -1)
	_ = file.Chmod(of.Mode().Perm()) // whatever the umask
	return file, nil
}

// accessError returns an error that says who may use the file, if this process may not. SQLite's
// own error does not. It returns nil otherwise.
func accessError(path string) error {
	directory := filepath.Dir(path)
	for _, name := range []string{directory, path} {
		err := unix.Faccessat(unix.AT_FDCWD, name, unix.R_OK|unix.W_OK, unix.AT_EACCESS)
		if errors.Is(err, unix.EROFS) {
			return fmt.Errorf("%w: %s is on a file system that cannot be written: give another path",
				store.ErrUnusable, name)
		}
		if !errors.Is(err, fs.ErrPermission) {
			continue
		}
		owner := "another user"
		if info, err := os.Stat(name); err == nil {
			owner = fmt.Sprintf("uid %d", info.Sys().(*syscall.Stat_t).Uid)
		}
		return fmt.Errorf("%w: %w: %s belongs to %s, and this is uid %d: give both the file and its directory %s"+
			" to one user, or to a group that may write them", store.ErrUnusable, fs.ErrPermission, name, owner,
			os.Geteuid(), directory)
	}
	return nil
}
