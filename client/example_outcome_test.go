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

// failingServer stands for jobrund, and knows one run, which has failed.
func failingServer() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/projects/nightly/jobs/backup/runs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data": {"runs": [{"id": "d34582a4", "active": 0, "backoffLimit": 2, "completions": 3,
			"concluded": true, "failed": 1, "runName": "backup-5fcf67bc", "status": "FAILED", "succeeded": 0,
			"startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}]},
			"pagination": {"hasNextPage": false, "count": 1}}`)
	})
	mux.HandleFunc("/v1/projects/nightly/jobs/backup/runs/d34582a4/outcome", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data": {"reason": "ExitStatus", "message": "exit status 23", "exitStatus": 23, "signal": null,
			"host": "web-1", "attempts": [{"number": 3, "startedAt": "2020-12-08T11:47:08Z",
			"concludedAt": "2020-12-08T11:52:08Z", "reason": "ExitStatus", "message": "exit status 23",
			"exitStatus": 23, "signal": null}]}}`)
	})
	return httptest.NewServer(mux)
}

// Why did the latest run fail?
func ExampleClient_JobRunOutcome() {
	server := failingServer() // yours is where jobrund serves
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	run, _, err := c.LatestJobRun(ctx, client.JobRef{Project: "nightly", Job: "backup"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if run.Status != client.JobRunStatusFailed {
		fmt.Println(run.RunName, run.Status)
		return
	}
	ref := client.RunRef{Project: "nightly", Job: "backup", Run: run.ID}
	outcome, _, err := c.JobRunOutcome(ctx, ref, client.RunExists())
	switch {
	case errors.Is(err, client.ErrUnsupported): // the Northflank API does not say
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
