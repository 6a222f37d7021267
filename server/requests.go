package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/labstack/echo/v4"
)

// requests is what becomes of every request, whatever it asks for.
type requests struct {
	store   Runs
	encoder *detailsEncoder
	log     *slog.Logger
	metrics *metrics
	others  observer // of requests that no operation takes
	waiting atomic.Int64
	traced  bool
}

// call is a request while it is answered: the Echo context that all handlers and middleware get, with what has been found
// out so far.
type call struct {
	echo.Context
	begin     time.Time
	id        string
	remote    string        // the address of the caller
	operation *operation    // nil until one has taken the request
	token     *jobrun.Token // nil until it has been accepted
	bearer    *bearer       // of the token
	team      string        // "" for an operation that is about no team's data
	revision  *seenRevision // of the store; nil if nobody knows
	held      time.Duration // for how long the answer was
	headers   [4][1]string  // the values of those that are different for each answer
	pending   *pendingAnswer
}

type callKey struct{}

// callOf returns the call from the context that a handler of the contract is given.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// The headers that have a place in a call.
const (
	placeRequestID = iota
	placeRemaining
	placeReset
	placeApplied
)

// setHeader sets a header of the answer whose name is in canonical form.
func (c *call) setHeader(name string, place int, value string) {
	c.headers[place][0] = value
	c.Response().Header()[name] = c.headers[place][:]
}

// newRequestID returns a UUID (RFC 9562, section 5.4) of our own making, which is no secret. One that the caller sends
// could be anything, a token included, and it would go into the log.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // the version
	id[8] = id[8]&0x3f | 0x80 // the variant
	return id.String()
}

// middleware is the outermost, but for that which traces.
func (r *requests) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		call := &call{Context: c, begin: time.Now(), id: newRequestID(), remote: c.RealIP()}
		call.setHeader(echo.HeaderXRequestID, placeRequestID, call.id)
		closeAfterBody(call)
		err := r.answer(call, next)
		if err != nil {
			r.writeError(call, err)
		}
		r.observe(call, err)
		return nil
	}
}

// answer has the request answered. What is in the way, a panic included, is returned.
func (r *requests) answer(c *call, next echo.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.panicked(c, p)
		}
		err = c.release(err)
	}()
	err = next(c)
	if err == nil {
		return nil
	}
	if h := (*held)(nil); errors.As(err, &h) {
		return r.hold(c, h)
	}
	return err
}

// panicked tells the log where a panic came from.
func (r *requests) panicked(c *call, p any) error {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http ends the connection
	}
	r.log.Error("panic", "id", c.id, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
	// Whatever it was, it is no answer of the contract's: only its text goes on.
	return fmt.Errorf("panic: %v", p)
}

// observe measures and logs a request that has been answered. It is a function of its own so that what it takes of the
// stack is not taken while an answer is held.
func (r *requests) observe(c *call, err error) {
	end := time.Now()
	observer := &r.others
	if c.operation != nil {
		observer = &c.operation.observer
	}
	observer.measure(c.Response().Status, end.Sub(c.begin)-c.held)
	r.logRequest(observer.logFor(c.Request().Method), c, end, err)
}
