package server

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// held is what a handler returns in place of an answer that is to wait for a run to conclude.
type held struct {
	key  jobrun.Key
	wait time.Duration
}

func (*held) Error() string { return "the answer is held" }

// manyWaiting is how many more have to wait before their garbage is collected.
const manyWaiting = 1000

// hold waits on behalf of handlers, and answers as they do. It does so with little on the stack: what thousands of callers
// who wait take of the memory is mostly that.
func (r *requests) hold(c *call, h *held) error {
	begin := time.Now()
	r.metrics.waiters.Inc()
	defer func() {
		r.waiting.Add(-1)
		r.metrics.waiters.Dec()
		c.held = time.Since(begin)
	}()
	if r.waiting.Add(1)%manyWaiting == 0 {
		// What it took to let so many in is garbage by then, and would stay for as long as they wait.
		time.AfterFunc(time.Second, debug.FreeOSMemory)
	}
	// It fails where nothing limits the time anyway.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(h.wait + writeTimeout))
	run, err := h.await(c.Request().Context(), r.store)
	r.metrics.failed(c.Request().Context(), "await", err)
	if c.token != nil {
		c.operation.tellLimit(c)
	}
	if err != nil {
		return err
	}
	return r.answerHeld(c, h, run)
}

func (h *held) await(ctx context.Context, runs Runs) (*model.JobRun, error) {
	enough, cancel := untilShutdown(ctx, h.wait)
	defer cancel()
	return runs.Await(ctx, h.key, enough)
}

// answerHeld is a function of its own so that what it takes of the stack is not taken while an answer is held.
func (r *requests) answerHeld(c *call, h *held, run *model.JobRun) error {
	body, err := r.encoder.encode(run)
	if err != nil {
		return err
	}
	return writeDetails(c, body, h.wait, true)
}
