package main

import (
	"fmt"
	"net/http"
	"strings"
)

// outcomes are the bodies of the tests' server by the ID of the run. It knows no operation of others.
var outcomes = map[string]string{
	"lost": `{"reason": "ExitStatus", "message": "exit status 23", "exitStatus": 23, "signal": null, "host": "web-1",
		"later": 1e3, "attempts": [` + attempt(1, "exit status 1") + `, ` + attempt(2, "killed by signal 9 (KILL)") + `, ` +
		attempt(3, "exit status 23") + `]}`,
	"quiet":  `{"reason": "JobGone", "message": "", "exitStatus": null, "signal": null, "host": null, "attempts": []}`,
	"logged": `{"reason": "Unknown", "message": "", "exitStatus": null, "signal": null, "host": null, "attempts": []}`,
	"documented": `{"reason": "Completed", "message": "exit status 0", "exitStatus": 0, "signal": null, "host": "web-1",
		"attempts": [` + attempt(1, "exit status 0") + `]}`,
	"running": `{"reason": null, "message": null, "exitStatus": null, "signal": null, "host": "web-1", "attempts": []}`,
	"evil": `{"reason": "\u001b[2J", "message": "\u001b[31mred\u202e\n", "exitStatus": 1, "signal": null,
		"host": "\u001b[2J", "attempts": [{"number": 1, "message": "\u001b[1m", "reason": "\u0007"}]}`,
	"c2": `{"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit.", "exitStatus": null,
		"signal": null, "host": null, "attempts": [` + attempt(7, "exit status 2") + `]}`,
	"b2": `{"reason": "Signal", "message": "killed by signal 9 (KILL)", "exitStatus": null, "signal": "KILL",
		"host": "db-7", "attempts": []}`,
}

func attempt(number int, message string) string {
	return fmt.Sprintf(`{"number": %d, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:48:08Z",
		"reason": "ExitStatus", "message": %q, "exitStatus": null, "signal": null}`, number, message)
}

var outputs = map[string]string{
	"lost":    `{"output": "one\ntwo\nthree\tcolumns\nfour\r\nfive \u001b[31mred\u202e\nsix\n", "truncated": true}`,
	"empty":   `{"output": "", "truncated": false}`,
	"whole":   `{"output": "no line end", "truncated": false}`,
	"none":    `{"output": null, "truncated": false}`,
	"running": `{"output": null, "truncated": false}`,
}

// serveOutcome answers like the operations getJobRunOutcome and getJobRunOutput, and reports whether
// the request is for one.
func serveOutcome(w http.ResponseWriter, r *http.Request) bool {
	path, of, _ := strings.Cut(r.URL.Path, "/runs/")
	run, operation, ok := strings.Cut(of, "/")
	if !ok {
		return false
	}
	job := path[strings.LastIndexByte(path, '/')+1:]
	bodies := map[string]map[string]string{"outcome": outcomes, "output": outputs}[operation]
	body, known := bodies[run]
	switch {
	case job == "hangs":
		<-r.Context().Done()
	case job == "breaks":
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"error": {"status": 500, "message": "internal server error", "id": "req-1"}}`)
	case job == "garbage":
		fmt.Fprint(w, `<html>Not found</html>`)
	case job == "refuses", operation == "output" && job == "states":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error": {"status": 403, "message": "lacks the permission", "id": "req-1"}}`)
	case job == "earlier", !known:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"status": 404, "message": "not found", "id": "req-1"}}`)
	default:
		fmt.Fprintf(w, `{"data": %s}`, body)
	}
	return true
}
