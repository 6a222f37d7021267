package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
)

// held is what a handler returns in place of an answer that is to wait for a run to conclude.
type held struct {
	key  RunKey
	wait time.Duration
}

func (*held) Error() string { return "the answer is held" }

// manyWaiting is how many more have to wait before their garbage is collected.
const manyWaiting = 1000

// holdAnswers waits on behalf of handlers. It does so with little on the stack: what thousands of callers who wait take
// of the memory is mostly that.
func holdAnswers(runs Runs, m *metrics) echo.MiddlewareFunc {
	var waiting atomic.Int64
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			var h *held
			if !errors.As(err, &h) {
				return err
			}
			begin := time.Now()
			m.waiters.Inc()
			defer func() {
				waiting.Add(-1)
				m.waiters.Dec()
				c.Set(heldKey, time.Since(begin))
			}()
			if waiting.Add(1)%manyWaiting == 0 {
				// What it took to let so many in is garbage by then, and would stay for as long as they wait.
				time.AfterFunc(time.Second, debug.FreeOSMemory)
			}
			// It fails where nothing limits the time anyway.
			_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(h.wait + writeTimeout))
			run, err := h.await(c.Request().Context(), runs)
			m.failed(c.Request().Context(), "await", err)
			if err != nil {
				return err
			}
			return answerHeld(c, h, run)
		}
	}
}

func (h *held) await(ctx context.Context, runs Runs) (*model.JobRun, error) {
	enough, cancel := untilShutdown(ctx, h.wait)
	defer cancel()
	return runs.Await(ctx, h.key, enough)
}

// answerHeld answers as the handlers of both operations do, whose answer is the same in the document.
func answerHeld(c echo.Context, h *held, run *model.JobRun) error {
	return gen.GetJobRun200JSONResponse{JobRunDetailsJSONResponse: details(run, &h.wait)}.VisitGetJobRunResponse(c.Response())
}

// details is the answer with a run, to a caller who preferred to wait that long; nil for one who did not.
func details(run *model.JobRun, wait *time.Duration) gen.JobRunDetailsJSONResponse {
	answer := gen.JobRunDetailsJSONResponse{Body: model.JobRunResult{Data: *run}}
	if wait != nil {
		applied := fmt.Sprintf("wait=%d", int(wait.Seconds()))
		answer.Headers.PreferenceApplied = &applied
	}
	return answer
}
