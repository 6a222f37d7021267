package server

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	gen "github.com/jobruns/jobruns/gen/server"
)

// kin-openapi checks what it can decode, and has nothing for pages.
func init() { openapi3filter.RegisterBodyDecoder(echo.MIMETextHTML, openapi3filter.PlainBodyDecoder) }

// checkedAnswer is an answer that is known to be within the contract before it is written.
type checkedAnswer interface{ checked() }

// pendingAnswer is written by generated code, and sent only if the document allows it: what an operation needs nothing of
// its own for, and what makes an answer that breaks the contract impossible for one that is added.
type pendingAnswer struct {
	sent   http.ResponseWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *pendingAnswer) Header() http.Header         { return p.header }
func (p *pendingAnswer) WriteHeader(status int)      { p.status = status }
func (p *pendingAnswer) Write(b []byte) (int, error) { return p.body.Write(b) }

// holdBack holds back the answers that are not known to be within the contract.
func holdBack(next gen.StrictHandlerFunc, _ string) gen.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		if _, checked := response.(checkedAnswer); err == nil && !checked {
			call := c.(*call)
			call.pending = &pendingAnswer{sent: c.Response().Writer, header: c.Response().Header().Clone(), status: http.StatusOK}
			c.Response().Writer = call.pending
		}
		return response, err
	}
}

// release sends the answer that was held back, if there is one, unless something went wrong with it.
// Returns an error that names the broken rule if the document does not allow it.
func (c *call) release(err error) error {
	if c.pending == nil {
		return err
	}
	p, response := c.pending, c.Response()
	c.pending = nil
	response.Writer, response.Committed, response.Size, response.Status = p.sent, false, 0, http.StatusOK
	if err != nil {
		return err
	}
	route := c.operation.route
	if err := openapi3filter.ValidateResponse(c.Request().Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: &http.Request{Method: route.Method, URL: new(url.URL)}, // HEAD is answered as GET is
			Route:   route,
		},
		Status:  p.status,
		Header:  p.header,
		Body:    io.NopCloser(bytes.NewReader(p.body.Bytes())),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}); err != nil {
		return brokenContract(err)
	}
	maps.Copy(response.Header(), p.header)
	response.WriteHeader(p.status)
	_, err = response.Write(p.body.Bytes())
	return err
}
