package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/jobruns/jobruns/client"
)

const (
	cleanup = `{"id": "cleanup-1", "active": 0, "backoffLimit": 0, "completions": 1, "concluded": true, "failed": 0,
		"runName": "cleanup-5fcf67bc", "status": "SUCCESS", "succeeded": 1, "startedAt": "2020-12-08T11:47:08Z",
		"concludedAt": "2020-12-08T11:52:08Z"}`
	backup = `{"id": "backup-2", "active": 0, "backoffLimit": 2, "completions": 3, "concluded": true, "failed": 1,
		"runName": "backup-5fcf67bc", "status": "FAILED", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z",
		"concludedAt": "2020-12-08T11:52:08Z"}`
)

// exampleServer stands for the API, with two jobs of a project.
func exampleServer() *httptest.Server {
	bodies := map[string]string{
		"/v1/projects/nightly/jobs": `{"data": {"jobs": [
			{"id": "backup", "projectId": "nightly", "appId": "/default/nightly/backup", "name": "backup", "latestRun": ` + backup + `},
			{"id": "cleanup", "projectId": "nightly", "appId": "/default/nightly/cleanup", "name": "cleanup", "latestRun": ` + cleanup + `}
		]}, "pagination": {"hasNextPage": false, "count": 2}}`,
		"/v1/projects/nightly/jobs/backup/runs":            `{"data": {"runs": [` + backup + `]}, "pagination": {"hasNextPage": false, "count": 1}}`,
		"/v1/projects/nightly/jobs/cleanup/runs":           `{"data": {"runs": [` + cleanup + `]}, "pagination": {"hasNextPage": false, "count": 1}}`,
		"/v1/projects/nightly/jobs/cleanup/runs/cleanup-1": `{"data": ` + cleanup + `}`,
		"/v1/projects/nightly/jobs/backup/runs/backup-2/outcome": `{"data": {"reason": "ExitStatus", "message": "exit status 23",
			"exitStatus": 23, "signal": null, "host": "web-1", "attempts": []}}`,
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-ratelimit-limit", "1000")
		w.Header().Set("x-ratelimit-remaining", "999")
		w.Header().Set("x-ratelimit-reset", "3600")
		body, ok := bodies[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = `{"error": {"status": 404, "message": "not found", "id": "0f1b4d1c"}}`
		}
		fmt.Fprint(w, body)
	}))
}

func ExampleClient_GetJobRun() {
	server := exampleServer() // yours is https://api.northflank.com, or where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	run, resp, err := c.GetJobRun(ctx, client.RunRef{Project: "nightly", Job: "cleanup", Run: "cleanup-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.RunName, run.Status)
	if run.ConcludedAt != nil {
		fmt.Println("took", run.ConcludedAt.Sub(run.StartedAt))
	}
	fmt.Println(resp.RateLimit.Remaining, "requests left in the next", resp.RateLimit.Reset)
	// Output:
	// cleanup-5fcf67bc SUCCESS
	// took 5m0s
	// 999 requests left in the next 1h0m0s
}

func ExampleClient_WaitForJobRun() {
	server := exampleServer() // yours is https://api.northflank.com, or where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()

	ref := client.RunRef{Project: "nightly", Job: "cleanup", Run: "cleanup-1"}
	run, _, err := c.WaitForJobRun(ctx, ref, client.OnState(func(run *client.JobRun) {
		fmt.Println("now", run.Status)
	}))
	switch {
	case err != nil && run != nil: // the context has ended before the run
		fmt.Println("still", run.Status)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("in the end", run.Status)
	}
	// Output:
	// now SUCCESS
	// in the end SUCCESS
}

func ExampleError() {
	server := exampleServer()
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = c.GetJobRun(context.Background(), client.RunRef{Project: "nightly", Job: "cleanup", Run: "7"})
	if errors.Is(err, client.ErrNotFound) {
		fmt.Println("there is no such run")
	}
	var apiErr *client.Error
	if errors.As(err, &apiErr) {
		fmt.Printf("%d %q, request %s\n", apiErr.Status, apiErr.Message, apiErr.ID)
	}
	// Output:
	// there is no such run
	// 404 "not found", request 0f1b4d1c
}

// The failed runs of all jobs of a project, since a date.
func ExampleClient_JobRuns() {
	server := exampleServer() // yours is https://api.northflank.com, or where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	failed := client.ListJobRunsOptions{
		Statuses: []client.JobRunStatus{client.JobRunStatusFailed},
		Since:    time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC),
	}
	for job, err := range c.Jobs(ctx, client.ProjectRef{Project: "nightly"}, client.ListJobsOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for run, err := range c.JobRuns(ctx, client.JobRef{Project: job.ProjectID, Job: job.ID}, failed) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(job.ID, run.ID, run.Status)
		}
	}
	// Output:
	// backup backup-2 FAILED
}

// The latest run of a job, and the reason if it has failed.
func ExampleClient_GetJobRunOutcome() {
	server := exampleServer() // yours is where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	run, _, err := c.LatestJobRun(ctx, client.JobRef{Project: "nightly", Job: "backup"})
	if err != nil { // client.ErrNotFound if the job has no run
		fmt.Println(err)
		return
	}
	if run.Status != client.JobRunStatusFailed {
		fmt.Println(run.RunName, run.Status)
		return
	}
	ref := client.RunRef{Project: "nightly", Job: "backup", Run: run.ID}
	outcome, _, err := c.GetJobRunOutcome(ctx, ref)
	switch {
	case errors.Is(err, client.ErrNotFound): // the Northflank API does not have outcomes
		fmt.Println(run.RunName, "has failed")
	case err != nil:
		fmt.Println(err)
	default: // the run has concluded, so that it has a reason and a message
		fmt.Printf("%s has failed: %s (%s), ", run.RunName, *outcome.Message, *outcome.Reason)
		fmt.Printf("after %d attempts\n", run.Completions)
		if outcome.Host != nil {
			fmt.Println("on", *outcome.Host)
		}
	}
	// Output:
	// backup-5fcf67bc has failed: exit status 23 (ExitStatus), after 3 attempts
	// on web-1
}

func ExampleClient_RecordJobRun() {
	server := exampleServer() // yours is where jobrund serves
	defer server.Close()

	// A token of: jobrund token create --record
	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	run := client.RunRef{Project: "nightly", Job: "cleanup", Run: "cleanup-1"}
	status := 0
	// Any of the reports may be repeated, and the first one may be left out.
	for _, report := range []client.JobRunReport{
		{}, // the run starts now
		{Conclusion: &client.JobRunConclusion{Succeeded: status == 0, ExitStatus: &status}},
	} {
		if _, _, err := c.RecordJobRun(context.Background(), run, report); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("recorded")
	// Output: recorded
}
