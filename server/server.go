// Package server serves the contract, openapi.yaml, over HTTP with Echo.
//
// A request takes one path. It gets a trace and an id, and a line in the log once it is answered.
// Its route leads to an operation, which checks what the document says, in this order: token, rate
// limit, permission, parameters, team and project, body (see operation). Then the handler reads the
// run (see runReader): from memory if the run cannot have changed, or else from the store; if the
// caller prefers to wait, once the run has concluded. Generated types and the database's
// constraints keep responses within the document; the tests validate every response. Every error
// becomes a response in one place, writeError.
//
// # Who may do what
//
// Anyone who reaches the port can read the contract, and learns nothing else without a token: not
// even what exists, because a request is authorized before anything is looked up. A token that reads
// sees the runs of its teams and projects, as far as its permissions go, and changes nothing. A token
// that records reports runs of its teams and projects, and sees a run only as the response to its own
// report. A token is valid until it expires or is revoked, which takes effect within a second.
// Without TLS, a token can be read on its way.
//
// Anyone who can write the store can do everything. Only jobrund opens it. The admin listener asks
// for no token, and shows the process and the jobs of all teams: it belongs on loopback, or behind a
// proxy that authenticates.
//
// # What a lying or flooding recorder can do
//
// A recorder is untrusted. It can record false runs, and false ends of open runs, in its projects: a
// token for each host and project limits the damage. It cannot change a conclusion, claim times in
// the future, take over a run with another name, or change a run that jobrund watch records. It
// creates at most --record-limit runs in an hour (10,000 by default), each with at most 256 KiB of
// report, so it can fill a disk by 2.5 GB in an hour. It sends at most 200 times as many other
// reports. A report that exceeds the limits costs one look-up by key. Two bodies over 16 KiB are
// validated at a time, so that large bodies neither take much memory nor delay other requests.
//
// # What a stolen database gives away
//
// The runs: the names of teams, projects, jobs and runs, when they ran, how and why they ended, and
// on which host; the name of a program that could not be started; the last lines that a command
// printed, if its recorder kept them; but neither the command nor its environment. The names of
// tokens and their permissions, but no token: only the SHA-256 of its 256 random bits, which can
// neither be sent in its place nor guessed. SQLite leaves removed rows in the file until other rows
// overwrite them. A leaked token should be revoked. After the theft of a database, no token has to be
// revoked, unless the thief could write the database too.
//
// # What a hostile caller can cost
//
// Without a token: a connection, for 5 seconds until a request's headers are complete or 2 minutes
// between requests, and 132 KiB of headers. No byte of a body is read. A token that does not exist
// costs a look-up by its hash. An address has few of them a minute, and then its tokens are looked up
// one at a time. A valid token is accepted in any case, so that nobody is locked out.
//
// With a token: as many look-ups of one run by its key, or of a list, as the rate limit allows. A
// list reads a bounded number of rows, and at most half of the store's connections read lists. And as
// many waiting requests, each up to a minute long and a few kilobytes of memory. One watch reads the
// database for all waiting requests. Counting requests and caching runs take fixed amounts of memory.
// The limits apply to each server process.
//
// The number of connections is not limited: if that matters, put a proxy in front that limits it.
package server

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/docs"
	"github.com/jobruns/jobruns/server/page"
)

// Store is what the server needs of a store.
type Store interface {
	Runs
	Outcomes
	Lists
	Jobs
	Recorder
	Revisions
	auth.Tokens
}

// Options configure a server. The zero value is good for a test.
type Options struct {
	// RateLimit limits the requests of each token that read, and RecordLimit its new runs. The zero
	// value is no limit. The wrong tokens of an address are always limited.
	RateLimit, RecordLimit auth.RateLimit
	// Memory is how many bytes of final runs are cached, and with them a limited number of tokens.
	// A cached run or token is used for up to a second after it has been changed or removed. The
	// zero value caches nothing.
	Memory int
	// Metrics is where the server registers its metrics; nil for nowhere.
	Metrics prometheus.Registerer
	// TrustedProxies are the addresses of proxies that say in X-Forwarded-For or Forwarded from
	// whom a request comes. Anybody else could write anything there.
	TrustedProxies []netip.Prefix
	// Traces makes a span of each request and of each of its queries; nil for none.
	Traces trace.TracerProvider
	// Program is the name and the version of the program, which the pages show and the document
	// names. They say nothing of it if it is "".
	Program string
}

// New returns a server that answers the contract from the store. It logs each request, never a
// token.
//
// It returns an error if the contract and the routes generated from it do not belong together: an
// operation without a route, a route without an operation, or an operation whose requests nothing
// would check. And if contract.Prepare refuses the document, or auth.RateLimit.Check the rate
// limit.
func New(store Store, log *slog.Logger, options Options) (http.Handler, error) {
	document, err := contract.Load()
	if err != nil {
		return nil, err
	}
	metrics := newMetrics(options.Metrics)
	e, err := newEcho(document, store, log, options, metrics)
	if err != nil {
		return nil, err
	}
	if options.Traces != nil {
		return traceRequests(e, options.Traces), nil
	}
	return e, nil
}

func newEcho(
	document *contract.Document, store Store, log *slog.Logger, options Options, metrics *metrics,
) (*echo.Echo, error) {
	if err := errors.Join(options.RateLimit.Check(), options.RecordLimit.Check()); err != nil {
		return nil, err
	}
	observed := &observedStore{store: store, metrics: metrics}
	if options.Traces != nil {
		observed.tracer = options.Traces.Tracer("github.com/jobruns/jobruns/server")
	}
	revision := newRevision(nil)
	if options.Memory > 0 {
		revision = newRevision(observed)
	}
	authenticator := auth.New(observed, revision, auth.Limits{Requests: options.RateLimit, NewRuns: options.RecordLimit})

	e := echo.New()
	e.IPExtractor = callerAddress(options.TrustedProxies)
	e.HTTPErrorHandler = writeError(log)
	e.Pre(trimSlashes)
	e.Use(
		startExchange,
		observe(metrics.observer(log, noOperation)),
		recoverPanics(log),
		limitHeaders,
	)
	r := newRoutes(document)
	checks := map[string][]echo.MiddlewareFunc{}
	for _, op := range document.Operations() {
		o := &operation{op, metrics.observer(log, op.ID, op.Method, http.MethodHead), authenticator}
		checks[op.ID] = []echo.MiddlewareFunc{o.middleware}
	}
	handler := &handler{
		runs:     newRunReader(observed, revision, options.Memory, metrics.waiters),
		outcomes: observed,
		lists:    observed,
		jobs:     observed,
		recorder: observed,
		document: docs.Document(options.Program),
		docsPage: docs.Page(options.Program),
	}
	e.OnAddRouteHandler = r.add
	gen.RegisterHandlersWithOptions(e, gen.NewStrictHandler(handler, nil),
		gen.RegisterHandlersOptions{OperationMiddlewares: checks})
	e.OnAddRouteHandler = nil
	return e, errors.Join(r.complete(e), serveAssets(e, options.Program))
}

// recoverPanics makes an error of a panic, and logs where it came from.
func recoverPanics(log *slog.Logger) echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableErrorHandler: true, // the error goes on to observe
		DisableStackAll:     true,
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			log.Error("panic", "id", exchangeOf(c.Request().Context()).id, "error", err, "stack", string(stack))
			// Whatever it was, it is no response of the contract's: only its text goes on.
			return errors.New("panic: " + err.Error())
		},
	})
}

// serveAssets adds a route for the page for people, and for each asset of it and of the
// documentation page. Returns an error if one is not built in.
func serveAssets(e *echo.Echo, program string) error {
	assets, err := docs.Assets()
	if err != nil {
		return err
	}
	handlers, err := page.Handlers(program)
	maps.Copy(handlers, assets)
	for _, path := range slices.Sorted(maps.Keys(handlers)) {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, echo.WrapHandler(handlers[path]))
	}
	return err
}
