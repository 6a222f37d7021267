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
// or the hash of a token from the environment, which may be of another team, but contains no token. A
// file is written beside its name, synced and renamed, so that it is complete after a crash. The next
// jobrun with the same server and token delivers it, and so does "jobrun --flush". One process
// delivers at a time, with a lock on the folder; delivering twice is harmless, because a repeated
// report changes nothing.
//
// A server that is unreachable, overloaded or broken, or does not know the token, may accept the
// report later: the file stays. The statuses 400, 409 and 413 are final, and a file that is not an
// entry is useless: it becomes NAME.json.rejected, with the reason inside, and is reported. A report
// that is too large (413) is first sent again without the log.
//
// At most maxFiles files wait, so that a server that is away for months does not fill the disk. When
// a file cannot be written, jobrun prints the entry as one line of JSON, which "jobrun --flush -"
// reads.
type spool struct{ folder string }

const maxFiles = 1000

// entry is the content of a file: a final state, and where to send it.
type entry struct {
	server
	key
	Report   client.JobRunReport `json:"report"`
	Rejected string              `json:"rejected,omitempty"` // why the server rejects the report
}

// key is a client.RunRef in JSON.
type key struct {
	Team    string `json:"team,omitempty"` // "" for the team of the token
	Project string `json:"project"`
	Job     string `json:"job"`
	Run     string `json:"run"`
}

// errNotMine means that another process has to deliver an entry.
var errNotMine = errors.New("another server or token")

// line returns the entry as one line of JSON.
func (e entry) line() []byte {
	text, _ := json.Marshal(e) // all fields can be encoded
	return append(text, '\n')
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
	if names := s.names(); len(names) >= maxFiles {
		return "", fmt.Errorf("%s has %d files already", s.folder, len(names))
	}
	path = filepath.Join(s.folder, time.Now().UTC().Format("20060102T150405.000Z")+"-"+randomHex()+".json")
	if err := s.write(path, e); err != nil {
		return "", err
	}
	return path, nil
}

// names returns the names of the files that wait, the oldest first.
func (s spool) names() []string {
	names, _ := fs.Glob(os.DirFS(s.folder), "*.json") // fails only for another pattern
	return names
}

// write writes a file as a whole, also when the machine crashes.
func (s spool) write(path string, e entry) error {
	if err := private.WriteFile(path, e.line()); err != nil {
		return err
	}
	folder, err := os.Open(s.folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// reject moves a file aside.
func (s spool) reject(path string, e entry, reason error, say messages) {
	e.Rejected = reason.Error()
	aside := path + ".rejected"
	err := s.write(aside, e)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		say.printf("jobrun: %v", err)
		return
	}
	say.printf("jobrun: the record is in %s", aside)
}

// deliver sends the entries, the oldest first, and removes those that a server accepts. lock is
// unix.LOCK_EX to wait while another process delivers, or with unix.LOCK_NB to return an error then.
// Returns how many entries are not delivered.
func (s spool) deliver(ctx context.Context, d *deliverer, lock int) (left int, err error) {
	folder, err := os.OpenFile(s.folder, unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer folder.Close()
	if err := unix.Flock(int(folder.Fd()), lock); err != nil {
		return 0, err
	}
	for _, name := range s.names() {
		path := filepath.Join(s.folder, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the jobrun that wrote it has delivered it
		}
		var e entry
		if err == nil {
			if err = json.Unmarshal(text, &e); err != nil {
				err = errors.Join(err, os.Rename(path, path+".rejected"))
			}
		}
		if err != nil {
			left++
			d.say.printf("jobrun: %s is not a record: %v", path, err)
			continue
		}
		if err = d.send(ctx, e); err == nil {
			_ = os.Remove(path) // if it stays, it is delivered again
		} else if !errors.Is(err, errNotMine) {
			left++
		}
		if rejected(err) {
			s.reject(path, e, err, d.say)
		}
	}
	return left, err
}

// deliverer sends entries, each to its own server with its own token.
type deliverer struct {
	server    server              // of this process; an entry without a token file needs its token
	recorders map[server]recorder // not nil
	down      map[server]error    // not nil; servers that are not asked again
	try       time.Duration
	say       messages
	// others says to deliver entries for other servers and tokens, too, and to report each entry.
	others, quiet bool
}

func (d *deliverer) send(ctx context.Context, e entry) (err error) {
	to := e.server
	if to.TokenFile == "" && to.URL == d.server.URL && (to.TokenHash == "" || to.TokenHash == d.server.TokenHash) {
		to.token, to.TokenFile, to.TokenHash = d.server.token, d.server.TokenFile, d.server.TokenHash
	}
	switch {
	case !d.others && to != d.server:
		return errNotMine
	case d.down[to] != nil:
		err = d.down[to]
	case d.recorders[to] == nil:
		if d.recorders[to], err = to.connect(); err == nil {
			return d.send(ctx, e)
		}
	default:
		err = send(ctx, d.recorders[to], client.RunRef(e.key), e.Report, d.try)
	}
	if temporary(err) {
		d.down[to] = err
	}
	switch run := e.Run + " of " + e.Project + "/" + e.Job; {
	case rejected(err):
		d.say.printf("jobrun: run %s was rejected: %v", run, err)
	case d.others && err != nil:
		d.say.printf("jobrun: run %s is not recorded yet: %v", run, err)
	case d.others && !d.quiet:
		d.say.printf("jobrun: run %s is recorded", run)
	}
	return err
}

// sendLines delivers the entries in the lines of r. It ignores lines that are not JSON objects, such
// as the other lines of a mail from cron.
// Returns how many entries are not delivered.
func (d *deliverer) sendLines(ctx context.Context, r io.Reader) (left int, err error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 2*maxBody)
	for scanner.Scan() {
		text := strings.TrimSpace(scanner.Text())
		if !strings.HasPrefix(text, "{") {
			continue
		}
		var e entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			d.say.printf("jobrun: not a record: %v", err)
			left++
		} else if d.send(ctx, e) != nil {
			left++
		}
	}
	return left, scanner.Err()
}
