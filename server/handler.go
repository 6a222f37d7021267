package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
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
	response.body, x.waited, err = h.runs.read(ctx, x.subject, x.wait)
	if err == nil && x.waited > 0 {
		err = x.session.Recheck(ctx) // the token may have been revoked during the wait
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

// VisitGetSwaggerJSONResponse writes the response. It never fails.
func (r assetResponse) VisitGetSwaggerJSONResponse(w http.ResponseWriter) error {
	r.handler.ServeHTTP(w, r.request)
	return nil
}

// VisitGetSwaggerHTMLResponse writes the response. It never fails.
func (r assetResponse) VisitGetSwaggerHTMLResponse(w http.ResponseWriter) error {
	return r.VisitGetSwaggerJSONResponse(w)
}
