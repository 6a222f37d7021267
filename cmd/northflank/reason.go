package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/jobruns/jobruns/client"
)

// reasonTimeout bounds how long a run is held up that could be shown without the reason.
const reasonTimeout = 5 * time.Second

// reason is why a run ended as it did, and the same as the server sent it.
type reason struct {
	*client.JobRunOutcome
	sent json.RawMessage
}

// askReason returns why a run ended as it did, which has just been seen. The response is nil if there was none.
func askReason(ctx context.Context, c *client.Client, ref client.RunRef) (*reason, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	found, resp, err := c.GetJobRunOutcome(ctx, ref, client.RunExists())
	if err != nil {
		return nil, resp, err
	}
	sent, err := sentData(resp)
	return &reason{found, sent}, resp, err
}

// sentData returns the data of a response as the server sent them.
func sentData(resp *client.Response) (json.RawMessage, error) {
	var answer struct{ Data json.RawMessage }
	err := json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Data, err
}

// unknowing reports whether an error is that of a server which does not know the operation, as far
// as one can tell, or does not let the token use it: there is nothing to say about that.
func unknowing(err error) bool {
	var apiErr *client.Error
	return errors.Is(err, client.ErrUnsupported) || errors.As(err, &apiErr) &&
		(apiErr.Status < 500 && apiErr.Status != http.StatusTooManyRequests || apiErr.Status == http.StatusNotImplemented)
}

// cause says why the run ended as it did, in the words of its recorder.
func (r *reason) cause() string {
	switch {
	case r.Message != nil && *r.Message != "":
		return strings.TrimSuffix(*r.Message, ".")
	case r.Reason != nil:
		return *r.Reason
	}
	return ""
}

// lastAttempt is the last attempt that ended, or nil. Its cause is "" where the run has the same.
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

// short is the cause, with that of the last attempt if it is another one.
func (r *reason) short() string {
	text := r.cause()
	if _, cause := r.lastAttempt(); cause != "" {
		text += "; the last attempt: " + cause
	}
	return text
}

// sentence says why, where, and in which attempt, such as "exit status 23 on web-1, third attempt of
// three". Nothing in it is printable yet.
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
	attempt := ordinal(last.Number) + " attempt"
	if last.Number <= allowed && allowed > 1 {
		attempt += " of " + cardinal(allowed)
	}
	if cause != "" {
		return text + "; " + attempt + ": " + cause
	}
	return text + ", " + attempt
}

// failure is a sentence about a run that failed. Nothing in it is printable yet.
func failure(run *client.JobRun, why *reason) string {
	return string(run.Status) + ": " + why.sentence(run)
}

// detail writes rows about the reason, the host and each attempt.
func (r *reason) detail(w io.Writer) {
	if r.Reason != nil {
		text := *r.Reason
		if cause := r.cause(); cause != text {
			text += ": " + cause
		}
		fmt.Fprintf(w, "Reason\t%s\n", printable(text))
	}
	if r.Host != nil {
		fmt.Fprintf(w, "Host\t%s\n", printable(*r.Host))
	}
	for _, attempt := range r.Attempts {
		took := length(attempt.ConcludedAt.Sub(attempt.StartedAt))
		fmt.Fprintf(w, "Attempt %d\t%s, after %s\n", attempt.Number, printable(attemptCause(&attempt)), took)
	}
}

var numbers = []struct{ cardinal, ordinal string }{
	{"one", "first"}, {"two", "second"}, {"three", "third"}, {"four", "fourth"}, {"five", "fifth"}, {"six", "sixth"},
	{"seven", "seventh"}, {"eight", "eighth"}, {"nine", "ninth"}, {"ten", "tenth"},
}

func cardinal(n int) string {
	if n >= 1 && n <= len(numbers) {
		return numbers[n-1].cardinal
	}
	return fmt.Sprint(n)
}

func ordinal(n int) string {
	if n >= 1 && n <= len(numbers) {
		return numbers[n-1].ordinal
	}
	return humanize.Ordinal(n)
}

// withOutcome returns the run with the member outcome, which is null if the reason is nil.
func withOutcome(run json.RawMessage, why *reason) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(run, &fields); err != nil {
		return nil, err
	}
	if _, ok := fields["outcome"]; ok {
		return run, nil // the server has a field of that name
	}
	sent := json.RawMessage("null")
	if why != nil {
		sent = why.sent
	}
	open := strings.TrimSuffix(strings.TrimRight(string(run), " \t\r\n"), "}") // with at least the id before it
	return json.RawMessage(open + `,"outcome":` + string(sent) + "}"), nil
}
