package server

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/server/auth"
)

// exchange is a request and what the middleware has found out about it so far. The log, the metrics
// and the error object are made from it; a handler reads the team from it.
type exchange struct {
	id        string
	begin     time.Time
	request   *http.Request
	writer    http.ResponseWriter
	operation *operation        // nil until a route has taken the request
	session   *auth.Session     // nil until a token has been accepted
	remote    string            // the address of the caller
	path      pathValues        // once the operation's route is known
	team      string            // "" for an operation that is about no team's data
	valid     bool              // whether the request has passed all checks
	waited    time.Duration     // how long the response waited for a run to conclude
	buffer    *bufferedResponse // of a response that has to be checked before it is sent; nil if there is none
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request from its context.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// startExchange gives the request an exchange, with an id of our own. One that the caller sends
// could be anything, a token included, and it would go into the log.
func startExchange(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := &exchange{id: uuid.NewString(), begin: time.Now(), remote: c.RealIP(), writer: c.Response()}
		x.request = c.Request().WithContext(context.WithValue(c.Request().Context(), exchangeKey{}, x))
		c.SetRequest(x.request)
		c.Response().Header().Set(echo.HeaderXRequestID, x.id)
		// What a token lets its bearer see is not for a cache that others share. Whatever may be
		// cached says so itself.
		c.Response().Header().Set(echo.HeaderCacheControl, "private, no-store")
		closeAfterBody(c)
		return next(c)
	}
}

// closeAfterBody ends the connection after a request that has a body. Where a body ends can be read
// in two ways, by us and by a proxy before us, and what one takes for the rest of it the other
// takes for the next request, of somebody else (RFC 9112, sections 6.3 and 11.2). net/http does not
// say whether it could.
func closeAfterBody(c echo.Context) {
	if r := c.Request(); r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		c.Response().Header().Set(echo.HeaderConnection, "close")
	}
}
