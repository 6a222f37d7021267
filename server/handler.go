package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/auth"
)

// handler has a method for each operation of the contract. The operation's middleware has checked a
// request before it reaches its method, and has written the subject into the request's exchange.
type handler struct {
	runs     *runReader
	outcomes Outcomes
	lists    Lists
	jobs     Jobs
	recorder Recorder
	document func() (http.Handler, error) // see docs.Document
	docsPage http.Handler
}

var _ gen.StrictServerInterface = (*handler)(nil)

// GetJobRun returns a run of the token's own team, at once or when the run concludes.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetJobRun(ctx context.Context, _ gen.GetJobRunRequestObject) (gen.GetJobRunResponseObject, error) {
	return h.jobRun(ctx)
}

// GetTeamJobRun returns a run of the named team, at once or when the run concludes.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetTeamJobRun(
	ctx context.Context,
	_ gen.GetTeamJobRunRequestObject,
) (gen.GetTeamJobRunResponseObject, error) {
	return h.jobRun(ctx)
}

func (h *handler) jobRun(ctx context.Context) (response jobRunResponse, err error) {
	x := exchangeOf(ctx)
	if x.prefers {
		response.preferenceApplied = "wait=" + strconv.Itoa(int(x.wait/time.Second)) // RFC 7240, section 3
	}
	if x.wait > 0 { // the token may be revoked during the wait
		var release context.CancelFunc
		ctx, release = x.session.WhileValid(ctx)
		defer release()
	}
	response.body, x.waited, err = h.runs.read(ctx, x.subject, x.wait)
	if err == nil && x.waited > 0 {
		err = x.session.Recheck(ctx)
	}
	if cause := context.Cause(ctx); errors.Is(cause, auth.ErrInvalidToken) {
		err = cause
	}
	return response, err
}

// jobRunResponse is a run that is encoded already, because it may come from the cache.
type jobRunResponse struct {
	body              []byte
	preferenceApplied string // "" for no header
}

// VisitGetJobRunResponse writes the response. Returns an error if the caller has left.
func (r jobRunResponse) VisitGetJobRunResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	if r.preferenceApplied != "" {
		w.Header().Set("Preference-Applied", r.preferenceApplied)
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(r.body)
	return err
}

// VisitGetTeamJobRunResponse writes the response. Returns an error if the caller has left.
func (r jobRunResponse) VisitGetTeamJobRunResponse(w http.ResponseWriter) error {
	return r.VisitGetJobRunResponse(w)
}

// Login returns an empty result, because the middleware has accepted the token.
func (h *handler) Login(context.Context, gen.LoginRequestObject) (gen.LoginResponseObject, error) {
	return gen.Login200JSONResponse{
		LoginJSONResponse: gen.LoginJSONResponse{Body: model.LoginResult{Data: map[string]any{}}},
	}, nil
}

// GetSwaggerJSON returns the contract. Returns an error if the built-in contract cannot be read.
func (h *handler) GetSwaggerJSON(
	ctx context.Context,
	_ gen.GetSwaggerJSONRequestObject,
) (gen.GetSwaggerJSONResponseObject, error) {
	document, err := h.document()
	return assetResponse{handler: document, request: exchangeOf(ctx).request}, err
}

// GetSwaggerHTML returns the documentation page. It never fails.
func (h *handler) GetSwaggerHTML(
	ctx context.Context,
	_ gen.GetSwaggerHTMLRequestObject,
) (gen.GetSwaggerHTMLResponseObject, error) {
	return assetResponse{handler: h.docsPage, request: exchangeOf(ctx).request}, nil
}

// assetResponse is a built-in file, which its HTTP handler serves compressed, or as 304.
type assetResponse struct {
	handler http.Handler
	request *http.Request
}

// VisitGetSwaggerJSONResponse writes the response. Returns errors as serveAsset does.
func (r assetResponse) VisitGetSwaggerJSONResponse(w http.ResponseWriter) error {
	return serveAsset(r.handler, w, r.request)
}

// VisitGetSwaggerHTMLResponse writes the response. Returns errors as serveAsset does.
func (r assetResponse) VisitGetSwaggerHTMLResponse(w http.ResponseWriter) error {
	return serveAsset(r.handler, w, r.request)
}

// serveAsset writes a built-in file. Returns an error with the status 412, and writes nothing, if a
// precondition of the request fails, such as If-Match.
func serveAsset(handler http.Handler, w http.ResponseWriter, r *http.Request) error {
	writer := &assetWriter{ResponseWriter: w}
	handler.ServeHTTP(writer, r)
	if !writer.failed {
		return nil
	}
	for _, name := range []string{echo.HeaderContentType, echo.HeaderContentEncoding, echo.HeaderContentLength} {
		w.Header().Del(name) // of the file
	}
	return echo.NewHTTPError(http.StatusPreconditionFailed)
}

// assetWriter does not write the response to a request whose precondition fails: net/http would
// leave the body out.
type assetWriter struct {
	http.ResponseWriter
	failed bool
}

// WriteHeader writes any status except 412.
func (w *assetWriter) WriteHeader(status int) {
	if w.failed = status == http.StatusPreconditionFailed; !w.failed {
		w.ResponseWriter.WriteHeader(status)
	}
}
