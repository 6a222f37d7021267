package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
)

// details is an encoded answer with a run. The generated one would be encoded anew each time.
type details struct {
	call  *call
	body  []byte
	wait  time.Duration // as in writeDetails
	waits bool
}

var (
	_ gen.GetJobRunResponseObject     = details{}
	_ gen.GetTeamJobRunResponseObject = details{}
)

// VisitGetJobRunResponse writes the answer.
func (d details) VisitGetJobRunResponse(http.ResponseWriter) error {
	return writeDetails(d.call, d.body, d.wait, d.waits)
}

// VisitGetTeamJobRunResponse writes the answer.
func (d details) VisitGetTeamJobRunResponse(w http.ResponseWriter) error {
	return d.VisitGetJobRunResponse(w)
}

// encodeDetails returns the body of an answer with a run.
func encodeDetails(run *model.JobRun) ([]byte, error) {
	body, err := json.Marshal(model.JobRunResult{Data: *run})
	return append(body, '\n'), err
}

var jsonContent = []string{echo.MIMEApplicationJSON}

// writeDetails writes the answer, to a caller who preferred to wait that long, if waits.
func writeDetails(c *call, body []byte, wait time.Duration, waits bool) error {
	c.Response().Header()[echo.HeaderContentType] = jsonContent
	if waits {
		c.setHeader(headerApplied, placeApplied, "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	c.Response().WriteHeader(http.StatusOK)
	_, err := c.Response().Write(body)
	return err
}

// headerApplied says which preference was honoured (RFC 7240, section 3).
const headerApplied = "Preference-Applied"
