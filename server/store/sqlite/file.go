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

// leastSpace is the number of free bytes below which a file system is taken for full. SQLite needs
// 32 KiB for the index of its log, and more for the log.
const leastSpace = 1 << 20

// spaceError returns an error that says what is used up if that is why the file could not be
// written. SQLite's own error does not. It returns nil otherwise.
func spaceError(path string, err error) error {
	var free unix.Statfs_t
	switch statErr := unix.Statfs(filepath.Dir(path), &free); {
	case statErr != nil:
		return nil
	case free.Bavail*uint64(free.Bsize) < leastSpace:
		return fmt.Errorf("%s: the file system is full: free some space (%w)", path, err)
	case free.Files > 0 && free.Ffree == 0:
		return fmt.Errorf("%s: the file system has no inodes left: remove some files (%w)", path, err)
	}
	return nil
}

// accessError returns an error that says who may use the file, if this process may not. SQLite's
// own error does not. It returns nil otherwise.
func accessError(path string) error {
	directory := filepath.Dir(path)
	for _, name := range []string{directory, path} {
		err := unix.Faccessat(unix.AT_FDCWD, name, unix.R_OK|unix.W_OK, unix.AT_EACCESS)
		if errors.Is(err, unix.EROFS) {
			return fmt.Errorf("%w: %s is on a read-only file system: mount it anew, give another path,"+
				" or in a systemd unit, add ReadWritePaths=%s", store.ErrUnusable, name, directory)
		}
		if !errors.Is(err, fs.ErrPermission) {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return enterError(name)
		}
		return fmt.Errorf("%w: %w: %s belongs to uid %d, and this is uid %d: give both the file and its directory %s"+
			" to one user, or to a group that may write them", store.ErrUnusable, fs.ErrPermission, name,
			info.Sys().(*syscall.Stat_t).Uid, os.Geteuid(), directory)
	}
	return nil
}

// enterError returns an error that names the directory above the path that this process may not
// enter.
func enterError(path string) error {
	for {
		path = filepath.Dir(path)
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%w: %w: uid %d cannot enter %s: change its permissions, or give another path."+
				" A systemd unit with ProtectHome= hides the home directories: there, use /var/lib/jobruns",
				store.ErrUnusable, fs.ErrPermission, os.Geteuid(), path)
		}
	}
}
