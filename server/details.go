package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
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

// checked: encode has done it.
func (details) checked() {}

// VisitGetTeamJobRunResponse writes the answer.
func (d details) VisitGetTeamJobRunResponse(w http.ResponseWriter) error {
	return d.VisitGetJobRunResponse(w)
}

// detailsEncoder encodes answers with runs, and lets none through that breaks the contract, whoever wrote the store.
type detailsEncoder struct {
	schema  *openapi3.Schema
	accepts accepts // nil where the schema says more than is prepared
}

func newDetailsEncoder(doc *openapi3.T) *detailsEncoder {
	schema := doc.Components.Schemas["JobRunResult"]
	e := &detailsEncoder{schema: schema.Value}
	if prepared, ok := prepareValue(schema, reflect.TypeFor[model.JobRunResult]()); ok {
		e.accepts = prepared
	}
	return e
}

// encode returns the body of an answer with a run.
// Returns an error that names the field and the rule if the contract does not allow such a run.
func (e *detailsEncoder) encode(run *model.JobRun) ([]byte, error) {
	result := model.JobRunResult{Data: *run}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, brokenContract(err)
	}
	if e.accepts == nil || !e.accepts(reflect.ValueOf(&result).Elem()) {
		if err := e.check(body); err != nil {
			return nil, brokenContract(err)
		}
	}
	return append(body, '\n'), nil
}

// check holds a body against the schema, and says what is wrong.
func (e *detailsEncoder) check(body []byte) error {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return e.schema.VisitJSON(value, openapi3.VisitAsResponse())
}

// brokenContract says which part of an answer breaks which rule. What kin-openapi says of it has the schema in it, and no
// more than "allOf" where the rule is in a part of that.
func brokenContract(err error) error {
	var words error
	for broken := (*openapi3.SchemaError)(nil); errors.As(err, &broken); err = broken.Origin {
		words = fmt.Errorf("%s: %s", strings.Join(broken.JSONPointer(), "."), broken.Reason)
	}
	return fmt.Errorf("the answer breaks the contract: %w", cmp.Or(words, err))
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
