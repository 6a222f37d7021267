package server

import "github.com/labstack/echo/v4"

// closeAfterBody ends the connection after a request that has a body, which no operation takes. Where a body ends can be
// read in two ways, by us and by a proxy before us, and what one takes for the rest of it the other takes for the next
// request, of somebody else (RFC 9112, sections 6.3 and 11.2). net/http does not say whether it could.
func closeAfterBody(c *call) {
	if r := c.Request(); r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		c.Response().Header().Set(echo.HeaderConnection, "close")
	}
}
