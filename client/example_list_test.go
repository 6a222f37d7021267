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

// exampleLists stands for the API, with two jobs of a project.
func exampleLists() *httptest.Server {
	run := func(id, status string, started time.Time) string {
		return fmt.Sprintf(`{"id": %q, "active": 0, "backoffLimit": 0, "completions": 1, "concluded": true, "failed": 0,
			"runName": %[1]q, "status": %q, "succeeded": 0, "startedAt": %q, "concludedAt": %[3]q}`,
			id, status, started.Format(time.RFC3339))
	}
	tonight := time.Now().UTC()
	backup := run("backup-2", "FAILED", tonight)
	cleanup := run("cleanup-1", "SUCCESS", tonight)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/projects/default-project/jobs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data": {"jobs": [
			{"id": "backup", "projectId": "default-project", "name": "backup", "latestRun": %s},
			{"id": "cleanup", "projectId": "default-project", "name": "cleanup", "latestRun": %s}
		]}, "pagination": {"hasNextPage": false, "count": 2}}`, backup, cleanup)
	})
	mux.HandleFunc("/v1/projects/default-project/jobs/backup/runs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data": {"runs": [%s, %s]}, "pagination": {"hasNextPage": false, "count": 2}}`,
			backup, run("backup-1", "FAILED", tonight.AddDate(0, 0, -2)))
	})
	mux.HandleFunc("/v1/projects/default-project/jobs/cleanup/runs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data": {"runs": [%s]}, "pagination": {"hasNextPage": false, "count": 1}}`, cleanup)
	})
	return httptest.NewServer(mux)
}

// What has failed since yesterday, in all jobs of a project.
func ExampleClient_JobRuns() {
	server := exampleLists() // yours is https://api.northflank.com, or where jobrund serves
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
		Since:    time.Now().AddDate(0, 0, -1),
	}
	for job, err := range c.Jobs(ctx, client.ProjectRef{Project: "default-project"}, client.ListJobsOptions{}) {
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

// The latest run of a job.
func ExampleClient_LatestJobRun() {
	server := exampleLists() // yours is https://api.northflank.com, or where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	run, _, err := c.LatestJobRun(ctx, client.JobRef{Project: "default-project", Job: "cleanup"})
	switch {
	case errors.Is(err, client.ErrNotFound):
		fmt.Println("it has not run yet")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(run.ID, run.Status)
	}
	// Output:
	// cleanup-1 SUCCESS
}
