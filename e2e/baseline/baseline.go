// Package baseline serves runs with net/http and a map, as one would write it by hand. The server is
// measured against it. It makes the same checks and sends the same responses, but has no store, no
// log, no metrics and no limits.
package baseline

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/jobruns/jobruns/gen/model"
)

// permission is what it takes to read runs.
const permission = "Project > Jobs > General > Read"

const maxID = 253

var idPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// key says which run is meant.
type key struct{ team, project, job, run string }

// token says what a bearer may do.
type token struct {
	team        string
	permissions []string
}

type server struct {
	runs   map[key]model.JobRun
	tokens map[[sha256.Size]byte]token
}

// New returns a handler that serves the runs to requests with the secret as their token. The runs
// are JSON Lines in the form of jobrund import. Returns an error if a line cannot be read.
func New(runs io.Reader, secret string) (http.Handler, error) {
	s := &server{
		runs: map[key]model.JobRun{},
		tokens: map[[sha256.Size]byte]token{
			sha256.Sum256([]byte(secret)): {team: "default", permissions: []string{permission}},
		},
	}
	lines := bufio.NewScanner(runs)
	for lines.Scan() {
		var line struct {
			ProjectID, JobID string
			Run              model.JobRun
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, err
		}
		s.runs[key{"default", line.ProjectID, line.JobID, line.Run.ID}] = line.Run
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}", s.getJobRun)
	mux.HandleFunc("GET /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}", s.getJobRun)
	return mux, lines.Err()
}

func (s *server) getJobRun(w http.ResponseWriter, r *http.Request) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		writeError(w, http.StatusUnauthorized, "no token")
		return
	}
	token, ok := s.tokens[sha256.Sum256([]byte(secret))]
	if !ok {
		writeError(w, http.StatusUnauthorized, "the token is not valid")
		return
	}
	if !slices.Contains(token.permissions, permission) {
		writeError(w, http.StatusForbidden, "the token lacks the permission "+permission)
		return
	}
	k := key{r.PathValue("teamId"), r.PathValue("projectId"), r.PathValue("jobId"), r.PathValue("runId")}
	if k.team == "" {
		k.team = token.team
	} else if !valid(k.team) {
		writeBroken(w, "teamId")
		return
	}
	switch {
	case !valid(k.project):
		writeBroken(w, "projectId")
		return
	case !valid(k.job):
		writeBroken(w, "jobId")
		return
	case !valid(k.run):
		writeBroken(w, "runId")
		return
	case k.team != token.team:
		writeError(w, http.StatusForbidden, "the token may not see that team")
		return
	}
	run, ok := s.runs[k]
	if !ok {
		writeError(w, http.StatusNotFound, "not found")
		return
	}
	write(w, http.StatusOK, model.JobRunResult{Data: run})
}

func valid(id string) bool { return len(id) <= maxID && idPattern.MatchString(id) }

func writeBroken(w http.ResponseWriter, parameter string) {
	writeError(w, http.StatusBadRequest, fmt.Sprintf("path parameter %q breaks the rule %q", parameter, idPattern))
}

func writeError(w http.ResponseWriter, status int, message string) {
	write(w, status, model.ErrorResult{Error: model.Error{Status: status, Message: message}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // else the caller has gone
}
