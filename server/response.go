package server

import (
	"bytes"
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/jobruns/jobruns/gen/server"
)

// checked marks a response that is known to be within the contract. Any other is buffered and
// checked, so that no operation can send what the document does not allow.
type checked struct{}

func (checked) isChecked() {}

// bufferedResponse is what generated code has written of a response.
type bufferedResponse struct {
	value  any // the generated response object
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the headers of the response.
func (b *bufferedResponse) Header() http.Header { return b.header }

// WriteHeader sets the status.
func (b *bufferedResponse) WriteHeader(status int) { b.status = status }

// Write adds to the body, and never fails.
func (b *bufferedResponse) Write(p []byte) (int, error) { return b.body.Write(p) }

// bufferUnchecked has a response that is not known to be within the contract written into a buffer.
func bufferUnchecked(next gen.StrictHandlerFunc, _ string) gen.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		if _, ok := response.(interface{ isChecked() }); err == nil && !ok {
			buffer := &bufferedResponse{value: response, header: c.Response().Header().Clone(), status: http.StatusOK}
			exchangeOf(c.Request().Context()).buffer = buffer
			c.Response().Writer = buffer
		}
		return response, err
	}
}

// respond calls the handler, and sends its response if that has been buffered and the document
// allows it. Elements of a list that the document does not allow are left out, and logged. Returns
// an error that names the broken rule if anything else is not allowed, and the handler's error.
func (o *operation) respond(c echo.Context, x *exchange, handler echo.HandlerFunc) error {
	buffer, err := buffered(c, x, handler)
	if err != nil || buffer == nil {
		return err
	}
	body, dropped, err := o.CheckResponse(buffer.status, buffer.header, buffer.body.Bytes(), buffer.value)
	if err != nil {
		return err
	}
	for _, violation := range dropped {
		o.log.Error("left out of a list", "id", x.id, "operation", o.ID, "error", violation)
	}
	response := c.Response()
	maps.Copy(response.Header(), buffer.header)
	response.WriteHeader(buffer.status)
	_, err = response.Write(body)
	return err
}

// buffered returns the response that was buffered, or nil if it has been sent. Whatever happens,
// what is written from then on is sent.
func buffered(c echo.Context, x *exchange, handler echo.HandlerFunc) (*bufferedResponse, error) {
	response := c.Response()
	writer := response.Writer
	defer func() {
		if x.buffer != nil {
			response.Writer, response.Committed, response.Size, response.Status = writer, false, 0, http.StatusOK
		}
	}()
	err := handler(c)
	return x.buffer, err
}
