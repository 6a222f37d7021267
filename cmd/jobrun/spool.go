package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/private"
)

// The spool is a folder with the final states of runs that no server has accepted.
//
// Each state is a file NAME.json with mode 0600: an entry, which names its server and its token file,
// but contains no token. A file is written beside its name, synced and renamed, so that it is complete
// after a crash. The next jobrun with the same server and token delivers it, and so does
// "jobrun --flush". One process delivers at a time, with a lock on the folder; delivering twice is
// harmless, because a repeated report changes nothing.
//
// A server that is unreachable, overloaded or broken, or does not know the token, may accept the report
// later: the file stays. The statuses 400, 409 and 413 are final, and a file that is not an entry is
// useless: it becomes NAME.json.rejected, with the reason inside, and is reported. A report that is too
// large (413) is first sent again without the log.
//
// There are at most maxFiles files of each kind, so that a server that is away for months does not
// fill the disk. When a file cannot be written, jobrun prints the entry as one line of JSON, which
// "jobrun --flush -" reads.
type spool struct{ folder string }

const (
	maxFiles       = 1000
	fileSuffix     = ".json"
	rejectedSuffix = ".json.rejected"
)

// entry is the content of a file: a final state, and where to send it.
type entry struct {
	server
	Team     string              `json:"team,omitempty"` // "" for the team of the token
	Project  string              `json:"project"`
	Job      string              `json:"job"`
	Run      string              `json:"run"`
	Report   client.JobRunReport `json:"report"`
	Rejected string              `json:"rejected,omitempty"` // why the server rejects the report
}

// errNotMine means that another process has to deliver an entry.
var errNotMine = errors.New("another server or token")

func newEntry(s server, ref client.RunRef, report client.JobRunReport) entry {
	return entry{server: s, Team: ref.Team, Project: ref.Project, Job: ref.Job, Run: ref.Run, Report: report}
}

func (e entry) ref() client.RunRef {
	return client.RunRef{Team: e.Team, Project: e.Project, Job: e.Job, Run: e.Run}
}

// line returns the entry as one line of JSON, without its end.
func (e entry) line() string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error() // all its fields can be encoded
	}
	return string(text)
}

// defaultSpool returns the folder for the user of this process, or "" if the user has no home.
func defaultSpool() string {
	state := os.Getenv("XDG_STATE_HOME")
	switch home, err := os.UserHomeDir(); {
	case os.Geteuid() == 0:
		return "/var/spool/jobrun"
	case filepath.IsAbs(state):
		return filepath.Join(state, "jobrun")
	case err != nil:
		return ""
	default:
		return filepath.Join(home, ".local", "state", "jobrun")
	}
}

// add writes an entry to a new file, and returns its path.
func (s spool) add(e entry) (path string, err error) {
	if s.folder == "" {
		return "", errors.New("there is no home directory for it: name one with --spool")
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return "", err
	}
	name := time.Now().UTC().Format("20060102T150405.000Z") + "-" + randomHex()
	path = filepath.Join(s.folder, name+fileSuffix)
	return path, s.write(path, fileSuffix, e)
}

// write writes a file with that suffix, unless there are too many of them.
func (s spool) write(path, suffix string, e entry) error {
	if names, err := s.names(suffix); err != nil {
		return err
	} else if len(names) >= maxFiles {
		return fmt.Errorf("%s has %d files already", s.folder, len(names))
	}
	if err := private.WriteFile(path, []byte(e.line()+"\n")); err != nil {
		return err
	}
	folder, err := os.Open(s.folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// names returns the names of the files with that suffix, the oldest first.
func (s spool) names(suffix string) (names []string, err error) {
	files, err := os.ReadDir(s.folder)
	for _, file := range files {
		if name := file.Name(); strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, err
}

// reject moves a file aside, and returns its new path.
func (s spool) reject(path string, e entry, reason error) (string, error) {
	e.Rejected = reason.Error()
	aside := strings.TrimSuffix(path, fileSuffix) + rejectedSuffix
	if err := s.write(aside, rejectedSuffix, e); err != nil {
		return path, err
	}
	return aside, os.Remove(path)
}

// deliver calls send for each entry, the oldest first, and removes the entries that a server accepts.
// send returns errNotMine for an entry to skip. If another process delivers, deliver waits for it, or
// returns at once.
// Returns how many entries of send are not delivered.
func (s spool) deliver(
	ctx context.Context, say messages, wait bool, send func(context.Context, entry) error,
) (left int, err error) {
	folder, err := os.Open(s.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer folder.Close()
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	if err := unix.Flock(int(folder.Fd()), how); err != nil {
		return 0, err
	}
	names, err := s.names(fileSuffix)
	for _, name := range names {
		path := filepath.Join(s.folder, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the jobrun that wrote it has delivered it
		}
		var e entry
		if err == nil {
			if err = json.Unmarshal(text, &e); err != nil {
				left++
				say.printf("%s is not a record: %v", path, errors.Join(err, os.Rename(path, path+".rejected")))
				continue
			}
			err = send(ctx, e)
		}
		switch {
		case err == nil:
			_ = os.Remove(path) // if it stays, it is delivered again
		case errors.Is(err, errNotMine):
		case rejected(err):
			left++
			aside, asideErr := s.reject(path, e, err)
			say.printf("%s was rejected: %v", aside, errors.Join(err, asideErr))
		default:
			left++
		}
	}
	return left, err
}

// flusher delivers entries for "jobrun --flush", each to its own server with its own token.
type flusher struct {
	server    server // of the flags; entries without a token file need its token
	try       time.Duration
	say       messages
	quiet     bool
	recorders map[server]recorder
	down      map[server]error // servers that are not asked again
}

func (f *flusher) send(ctx context.Context, e entry) (err error) {
	defer func() { // deliver and flush report a rejection
		if err != nil && !rejected(err) {
			f.say.printf("run %s of %s/%s is not recorded yet: %v", e.Run, e.Project, e.Job, err)
		} else if err == nil && !f.quiet {
			f.say.printf("run %s of %s/%s is recorded", e.Run, e.Project, e.Job)
		}
	}()
	to := e.server
	if to.TokenFile == "" && to.URL == f.server.URL {
		to.token, to.TokenFile = f.server.token, f.server.TokenFile
	}
	if f.down[to] != nil {
		return f.down[to]
	}
	if f.recorders[to] == nil {
		if f.recorders[to], err = to.connect(); err != nil {
			f.down[to] = err
			return err
		}
	}
	if err = send(ctx, f.recorders[to], e.ref(), e.Report, f.try); isDown(err) {
		f.down[to] = err
	}
	return err
}

// flush delivers all entries of the spool, or those in the lines of r unless that is nil. It ignores
// lines that are not JSON objects, such as the other lines of a mail from cron.
// Returns how many entries are not delivered.
func (f *flusher) flush(ctx context.Context, s spool, r io.Reader) (left int, err error) {
	if r == nil {
		return s.deliver(ctx, f.say, true, f.send)
	}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 2*maxBody)
	for scanner.Scan() {
		text := strings.TrimSpace(scanner.Text())
		if !strings.HasPrefix(text, "{") {
			continue
		}
		var e entry
		err := json.Unmarshal([]byte(text), &e)
		if err == nil {
			err = f.send(ctx, e)
		}
		if rejected(err) {
			f.say.printf("run %s of %s/%s was rejected: %v", e.Run, e.Project, e.Job, err)
		}
		if err != nil {
			left++
		}
	}
	return left, scanner.Err()
}
