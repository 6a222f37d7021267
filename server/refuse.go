package server

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
)

// Server answers the contract. It is safe for concurrent use.
type Server struct {
	http.Handler
	refused observer
}

// Refuse returns the contract's error for a request that net/http refuses, because it cannot be
// read. It counts and logs it as a request.
func (s *Server) Refuse(remote string, status int, reason string) (http.Header, []byte) {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	message := strings.ToLower(http.StatusText(status))
	if reason != "" && !strings.EqualFold(reason, http.StatusText(status)) {
		message += ": " + reason
	}
	told := model.Error{Status: status, Message: message, ID: uuid.NewString()}
	s.refused.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	s.refused.log.Info("request", slog.String("id", told.ID), slog.Int("status", status),
		slog.String("remote", remote), slog.String("error", message))
	body, _ := encode(model.ErrorResult{Error: told}) // strings and numbers never fail
	return http.Header{
		echo.HeaderContentType:  {"application/json"},
		echo.HeaderCacheControl: {"private, no-store"},
		echo.HeaderXRequestID:   {told.ID},
	}, body
}
