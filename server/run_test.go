package server_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
)

// The example of the reference comes out as it is printed there, field by field in the same order.
func TestDocumentedExample(t *testing.T) {
	a, secret := newFilledAPI(t)
	for _, path := range []string{runPath(t, exampleKey), teamRunPath(t, exampleKey)} {
		got := a.get(path, secret)
		a.want(got, 200)

		var result model.JobRunResult
		decodeStrictly(t, got.body, &result)
		decoded, err := json.MarshalIndent(result.Data, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(exampleData, string(decoded)); diff != "" {
			t.Errorf("the decoded run (-want +got):\n%s", diff)
		}

		// The response itself, and not only what a Go client makes of it.
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(`{"data":`+exampleData+"}")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(compact.String()+"\n", string(got.body)); diff != "" {
			t.Errorf("the response (-want +got):\n%s", diff)
		}
	}
}

// The reference's example must also be that of our document.
func TestExampleInDocument(t *testing.T) {
	media := document(t).Components.Responses["JobRunDetails"].Value.Content.Get("application/json")
	var want any
	if err := json.Unmarshal([]byte(`{"data":`+exampleData+"}"), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, media.Example); diff != "" {
		t.Errorf("the example (-reference +document):\n%s", diff)
	}
}

func TestRunAsStored(t *testing.T) {
	started := time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)
	concluded := started.Add(time.Second)
	tests := []struct {
		name, want string
		run        model.JobRun
	}{
		{
			name: "running",
			run: model.JobRun{
				ID:           "r",
				Active:       model.FlagYes,
				BackoffLimit: 6,
				RunName:      "r",
				Status:       model.JobRunStatusRunning,
				StartedAt:    started,
			},
			want: `{"data":{"id":"r","active":1,"backoffLimit":6,"completions":0,"concluded":false,"failed":0,` +
				`"runName":"r","status":"RUNNING","succeeded":0,"startedAt":"2026-02-28T23:59:59Z","concludedAt":null}}`,
		},
		{
			name: "failed",
			run: model.JobRun{
				ID:          "r",
				Completions: 7,
				Concluded:   true,
				Failed:      model.FlagYes,
				RunName:     "r",
				Status:      model.JobRunStatusFailed,
				StartedAt:   started,
				ConcludedAt: &concluded,
			},
			want: `{"data":{"id":"r","active":0,"backoffLimit":0,"completions":7,"concluded":true,"failed":1,` +
				`"runName":"r","status":"FAILED","succeeded":0,"startedAt":"2026-02-28T23:59:59Z",` +
				`"concludedAt":"2026-03-01T00:00:00Z"}}`,
		},
		{
			name: "a name in another script",
			run: model.JobRun{
				ID:        "r",
				Active:    model.FlagYes,
				RunName:   `nächtlich "夜" 🌙`,
				Status:    model.JobRunStatusRunning,
				StartedAt: started,
			},
			want: `{"data":{"id":"r","active":1,"backoffLimit":0,"completions":0,"concluded":false,"failed":0,` +
				`"runName":"nächtlich \"夜\" 🌙","status":"RUNNING","succeeded":0,` +
				`"startedAt":"2026-02-28T23:59:59Z","concludedAt":null}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, secret := newFilledAPI(t)
			key := keyWith(exampleKey, "runId", test.run.ID)
			a.store.runs[key] = test.run
			got := a.get(runPath(t, key), secret)
			a.want(got, 200)
			if diff := cmp.Diff(test.want+"\n", string(got.body)); diff != "" {
				t.Errorf("the response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	a, secret := newFilledAPI(t)
	got := a.get("/v1/login", secret)
	a.want(got, 200)
	if diff := cmp.Diff(`{"data":{}}`+"\n", string(got.body)); diff != "" {
		t.Errorf("the response (-want +got):\n%s", diff)
	}
	a.noLookup()
}
