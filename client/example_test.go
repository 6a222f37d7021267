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

// exampleServer stands for the API, and knows one run.
func exampleServer() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723",
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("x-ratelimit-limit", "1000")
			w.Header().Set("x-ratelimit-remaining", "999")
			w.Header().Set("x-ratelimit-reset", "3600")
			fmt.Fprint(w, `{"data": {"id": "d34582a4-35bd-4c71-8e7c-e36999b88723", "active": 0, "backoffLimit": 0,
				"completions": 1, "concluded": true, "failed": 0, "runName": "example-job-5fcf67bc56e1913e21d49504",
				"status": "SUCCESS", "succeeded": 1, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`)
		})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"status": 404, "message": "not found", "id": "0f1b4d1c"}}`)
	})
	return httptest.NewServer(mux)
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

	run, resp, err := c.GetJobRun(ctx, client.RunRef{
		Project: "default-project",
		Job:     "example-job",
		Run:     "d34582a4-35bd-4c71-8e7c-e36999b88723",
	})
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
	// example-job-5fcf67bc56e1913e21d49504 SUCCESS
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

	ref := client.RunRef{Project: "default-project", Job: "example-job", Run: "d34582a4-35bd-4c71-8e7c-e36999b88723"}
	run, _, err := c.WaitForJobRun(ctx, ref, client.OnState(func(run *client.JobRun) {
		fmt.Println("now", run.Status)
	}))
	switch {
	case err != nil && run != nil: // the context's: it is not over yet
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
	_, _, err = c.GetJobRun(
		context.Background(),
		client.RunRef{Project: "default-project", Job: "example-job", Run: "7"},
	)
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
