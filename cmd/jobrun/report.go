package main

import (
	"errors"
	"sync"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// report tells people of the recording of one run. It is safe for concurrent use.
type report struct {
	messages
	quiet bool // nothing is told unless something is wrong

	mu        sync.Mutex
	id        string
	announced bool
	warned    bool
	recorded  bool  // whether the store has the run
	gaveUp    error // the reason, once told, why nothing is tried before the end
}

// start says which run it is.
func (r *report) start(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id = id
}

// announce tells the run's id, once.
func (r *report) announce() {
	if !r.announced {
		r.announced = true
		r.printf("run %s", r.id)
	}
}

// stored tells the run's id, which can be asked for from now on.
func (r *report) stored() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded = true
	if r.warned {
		r.printf("the run is recorded now")
	} else if !r.quiet {
		r.announce()
	}
}

// failed warns that the run cannot be recorded, now or for good.
func (r *report) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, store.ErrExists) {
		return // this is told before the command starts, or in the end
	}
	r.announce()
	r.warned = true
	yet := " yet"
	if hopeless(err) {
		r.gaveUp, yet = err, ""
	}
	r.printf("the run cannot be recorded%s, it runs all the same: %v", yet, err)
}

// lost tells that the run could not be recorded, and gives a line to record it later. chosen says
// that somebody chose the run's id.
func (r *report) lost(record jobrun.Record, chosen bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announce()
	line, lineErr := record.MarshalLine()
	told := r.gaveUp != nil && r.gaveUp.Error() == err.Error()
	if err = errors.Join(err, lineErr); !told || lineErr != nil {
		r.printf("the run could not be recorded: %v", err)
	}
	warning := ""
	switch {
	case errors.Is(err, store.ErrExists):
		warning = ", with another id, because import replaces the run that has this one"
	case chosen && !r.recorded:
		warning = ", which replaces a run of this id if there is one: the store could not be asked"
	}
	r.printf("keep this line for \"jobrund import\"%s:\n%s", warning, line)
}
