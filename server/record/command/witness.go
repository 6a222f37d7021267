package command

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// witnessName names the witness in lists of processes. It differs from jobrun's, so that a signal
// for all processes called jobrun does not reach it.
const witnessName = "signal-witness"

// witnessDelay is how long a command runs before its witness is started: most short ones need none.
const witnessDelay = 10 * time.Millisecond

// replyLimit bounds how long the witness may take to tell what it got.
const replyLimit = time.Second

// firstReply is the lowest byte that the witness repeats when it is asked; lower ones are signals.
const firstReply = 128

// witness is a process that does nothing but tell which signals it gets. It is in the same process
// group, session and control group as this process and the command. So a signal that it gets was
// sent to all of them, and nothing else tells that from a signal that was sent to this process.
type witness struct {
	process *os.Process
	started time.Time // what was caught before may have been sent before
	stdin   io.Writer
	asked   byte
	replies chan byte
	ended   chan struct{}

	mu  sync.Mutex
	got map[os.Signal]time.Time // when each signal last came
}

// startWitness starts this program again as the witness, which ends with this process. It returns
// nil where that cannot be done.
func startWitness() *witness {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env = []string{witnessName}, []string{}
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil || cmd.Start() != nil {
		return nil
	}
	w := &witness{
		process: cmd.Process, started: time.Now().Add(settle), stdin: stdin,
		replies: make(chan byte, firstReply),
		ended:   make(chan struct{}),
		got:     map[os.Signal]time.Time{},
	}
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := stdout.Read(b); err != nil {
				_ = cmd.Wait() // the state says more
				if state := cmd.ProcessState.Sys().(syscall.WaitStatus); state.Signaled() {
					w.take(byte(state.Signal())) // it came before the witness could catch it
				}
				close(w.ended)
				return
			}
			w.take(b[0])
		}
	}()
	return w
}

// take takes what the witness wrote.
func (w *witness) take(b byte) {
	if b >= firstReply {
		w.replies <- b
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got[syscall.Signal(b)] = time.Now()
}

// listen waits until the witness has told of all signals that it has got. It returns false if the
// witness has ended.
func (w *witness) listen() bool {
	w.asked = (w.asked + 1) | firstReply
	_, _ = w.stdin.Write([]byte{w.asked}) // fails if the witness has ended
	for limit := time.After(replyLimit); ; {
		select {
		case b := <-w.replies:
			if b == w.asked {
				return true
			}
		case <-w.ended:
			return false
		case <-limit:
			return true
		}
	}
}

// stop ends the witness, and waits for that so that nobody else has to.
func (w *witness) stop() {
	_ = w.process.Kill() // it may have ended
	select {
	case <-w.ended:
	case <-time.After(replyLimit):
	}
}

// gotSince reports whether the witness got the signal at that time or later.
func (w *witness) gotSince(sig os.Signal, begin time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.got[sig].Before(begin)
}

// init makes this process the witness if it was started as that, before it does anything else.
func init() {
	if os.Args[0] == witnessName {
		beWitness(os.Stdin, os.Stdout)
		os.Exit(0)
	}
}

// beWitness writes the number of each signal that this process gets, and each byte that it reads,
// until there is nothing more to read.
func beWitness(r io.Reader, w io.Writer) {
	caught := make(chan os.Signal, maxSignal)
	signal.Notify(caught)
	signal.Reset(syscall.SIGURG)                                // Go's scheduler uses it
	_ = os.WriteFile("/proc/self/comm", []byte(witnessName), 0) // it is "exe" before
	asked := make(chan byte)
	go func() {
		defer close(asked)
		for b := make([]byte, 1); ; asked <- b[0] {
			if _, err := r.Read(b); err != nil {
				return
			}
		}
	}()
	for more := true; more; {
		var next byte
		select {
		case sig := <-caught:
			next = byte(sig.(syscall.Signal))
		case next, more = <-asked:
		}
		if _, err := w.Write([]byte{next}); err != nil {
			return
		}
	}
}
