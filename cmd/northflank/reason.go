package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/jobruns/jobruns/client"
)

// reasonTimeout bounds how long a run waits for its reason. Tests shorten it.
var reasonTimeout = 5 * time.Second

// reason is why a run ended as it did.
type reason struct {
	*client.JobRunOutcome
	sent json.RawMessage // the same as the server sent it
}

// askReason returns why a run ended as it did. The run exists. The response is nil if there was none.
func askReason(ctx context.Context, c *client.Client, ref client.RunRef) (*reason, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	found, resp, err := c.GetJobRunOutcome(ctx, ref)
	if err != nil {
		return nil, resp, err
	}
	sent, err := sentData(resp)
	return &reason{found, sent}, resp, err
}

// sentData returns the data of a response as the server sent them.
func sentData(resp *client.Response) (json.RawMessage, error) {
	var body struct{ Data json.RawMessage }
	err := json.NewDecoder(resp.Body).Decode(&body)
	return body.Data, err
}

// withoutOutcomes reports whether an error means that the server does not know outcomes, as far as
// one can tell, or does not let the token see them. The program does not mention such an error.
func withoutOutcomes(err error) bool {
	var apiErr *client.Error
	return errors.As(err, &apiErr) && (apiErr.Status < 500 && apiErr.Status != http.StatusTooManyRequests)
}

// raw returns the reason as the server sent it, or nil for none.
func (r *reason) raw() json.RawMessage {
	if r == nil {
		return nil
	}
	return r.sent
}

// withMember returns a JSON object with another member, unless it already has a member of that name.
func withMember(object json.RawMessage, name string, value any) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	if _, ok := fields[name]; ok {
		return object, nil
	}
	member, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(object, '}')
	return slices.Concat(object[:end], []byte(","), member[1:]), nil // the object has an ID at least
}

// cause returns why the run ended as it did, in the words of its recorder.
func (r *reason) cause() string { return causeOf(r.Reason, r.Message) }

// causeOf returns the message, or the reason if there is no message, or "".
func causeOf(reason, message *string) string {
	switch {
	case message != nil && *message != "":
		return strings.TrimSuffix(*message, ".")
	case reason != nil:
		return *reason
	}
	return ""
}

// lastAttempt returns the last attempt that ended, or nil. Its cause is "" if the run has the same.
func (r *reason) lastAttempt() (last *client.JobRunAttempt, cause string) {
	if len(r.Attempts) == 0 {
		return nil, ""
	}
	last = &r.Attempts[len(r.Attempts)-1]
	if cause = attemptCause(last); strings.Contains(r.cause(), cause) {
		cause = ""
	}
	return last, cause
}

func attemptCause(attempt *client.JobRunAttempt) string {
	if attempt.Message == "" {
		return attempt.Reason
	}
	return strings.TrimSuffix(attempt.Message, ".")
}

// sentence returns the cause, the host and the attempt, such as "exit status 23 on web-1, 3rd attempt
// of 3". It is not escaped yet.
func (r *reason) sentence(run *client.JobRun) string {
	text := r.cause()
	if r.Host != nil && *r.Host != "" {
		text += " on " + *r.Host
	}
	last, cause := r.lastAttempt()
	allowed := run.BackoffLimit + 1
	if last == nil || cause == "" && last.Number == 1 && allowed == 1 {
		return text
	}
	attempt := humanize.Ordinal(last.Number) + " attempt"
	if last.Number <= allowed && allowed > 1 {
		attempt += fmt.Sprintf(" of %d", allowed)
	}
	if cause != "" {
		return text + "; " + attempt + ": " + cause
	}
	return text + ", " + attempt
}

// detail writes rows about the reason, the host and each attempt.
func (r *reason) detail(w io.Writer) {
	if r.Reason != nil {
		text := *r.Reason
		if cause := r.cause(); cause != text {
			text += ": " + cause
		}
		fmt.Fprintf(w, "Reason\t%s\n", escape(text))
	}
	if r.Host != nil {
		fmt.Fprintf(w, "Host\t%s\n", escape(*r.Host))
	}
	for _, attempt := range r.Attempts {
		took := length(max(0, attempt.ConcludedAt.Sub(attempt.StartedAt)))
		fmt.Fprintf(w, "Attempt %d\t%s, after %s\n", attempt.Number, escape(attemptCause(&attempt)), took)
	}
}
