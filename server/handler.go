package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// handler has a method for each operation of the contract. A request reaches it only after it has
// passed the operation's middleware.
type handler struct {
	runs     *runReader
	outcomes Outcomes
	lists    Lists
	document func() (http.Handler, error) // see docs.Document
	docsPage http.Handler
}

var _ gen.StrictServerInterface = (*handler)(nil)

// GetJobRun returns a run of the token's own team, at once or when it has concluded.
// Returns jobrun.ErrNotFound if there is none.
func (h *handler) GetJobRun(ctx context.Context, r gen.GetJobRunRequestObject) (gen.GetJobRunResponseObject, error) {
	return h.jobRun(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
}

// GetTeamJobRun returns a run of the named team, at once or when it has concluded.
// Returns jobrun.ErrNotFound if there is none.
func (h *handler) GetTeamJobRun(
	ctx context.Context,
	r gen.GetTeamJobRunRequestObject,
) (gen.GetTeamJobRunResponseObject, error) {
	return h.jobRun(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
}

func (h *handler) jobRun(ctx context.Context, project, job, run string, prefer *string) (jobRunResponse, error) {
	x := exchangeOf(ctx)
	key := jobrun.Key{Team: x.team, Project: project, Job: job, Run: run}
	wait, applied := preferredWait(prefer)
	body, err := h.runs.read(ctx, key, wait)
	if err == nil && x.waited > 0 {
		err = x.session.Recheck(ctx) // the token may have been revoked meanwhile
	}
	return jobRunResponse{body: body, wait: wait, applied: applied}, err
}

// jobRunResponse is a run that has been encoded and checked already: it may come from the cache.
type jobRunResponse struct {
	checked
	body    []byte
	wait    time.Duration // that the caller preferred
	applied bool          // whether the caller preferred to wait
}

// VisitGetJobRunResponse writes the response. Returns an error if the caller has left.
func (r jobRunResponse) VisitGetJobRunResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	if r.applied {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(r.wait/time.Second))) // RFC 7240, section 3
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(r.body)
	return err
}

// VisitGetTeamJobRunResponse writes the response. Returns an error if the caller has left.
func (r jobRunResponse) VisitGetTeamJobRunResponse(w http.ResponseWriter) error {
	return r.VisitGetJobRunResponse(w)
}

// Login returns an empty result: a request that comes this far has a valid token.
func (h *handler) Login(context.Context, gen.LoginRequestObject) (gen.LoginResponseObject, error) {
	return gen.Login200JSONResponse{
		LoginJSONResponse: gen.LoginJSONResponse{Body: model.LoginResult{Data: map[string]any{}}},
	}, nil
}

// GetSwaggerJSON returns the contract. Returns an error if the one that is built in cannot be read.
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

// assetResponse is something that is built in, as an HTTP handler serves it: compressed, or 304.
type assetResponse struct {
	checked
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
