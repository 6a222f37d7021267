package client

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jobruns/jobruns/gen/model"
)

func TestDecodeRun(t *testing.T) {
	const concluded = `"concludedAt": "2020-12-08T11:52:08Z"`
	at := func(s string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, tt := range map[string]struct {
		old, new    string // in the documented answer
		startedAt   time.Time
		concludedAt *time.Time
	}{
		"as documented":  {"", "", documentedRun.StartedAt, documentedRun.ConcludedAt},
		"null":           {concluded, `"concludedAt": null`, documentedRun.StartedAt, nil},
		"empty":          {concluded, `"concludedAt": ""`, documentedRun.StartedAt, nil},
		"absent":         {",\n  " + concluded, "", documentedRun.StartedAt, nil},
		"fraction":       {"11:52:08Z", "11:52:08.123456789Z", documentedRun.StartedAt, new(at("2020-12-08T11:52:08.123456789Z"))},
		"offset":         {"11:47:08Z", "13:47:08.5+02:00", at("2020-12-08T11:47:08.5Z"), documentedRun.ConcludedAt},
		"unknown fields": {`"active"`, `"more": {"concludedAt": 7}, "active"`, documentedRun.StartedAt, documentedRun.ConcludedAt},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(documented, tt.old, tt.new, 1)
			if tt.old != "" && body == documented {
				t.Fatalf("%q is not in the documented answer", tt.old)
			}
			want := *documentedRun
			want.StartedAt, want.ConcludedAt = tt.startedAt, tt.concludedAt
			run, err := decodeRun([]byte(body))
			if diff := cmp.Diff(&want, run); diff != "" || err != nil {
				t.Errorf("(-want +got):\n%s error: %v", diff, err)
			}
		})
	}
}

func TestDecodeRunRefuses(t *testing.T) {
	for old, replacement := range map[string]string{
		`"2020-12-08T11:52:08Z"`: `"yesterday"`,
		`"2020-12-08T11:47:08Z"`: `7`,
		`"concluded": true`:      `"concluded": "true"`,
		`"backoffLimit": 0`:      `"backoffLimit": 0.5`,
		`"SUCCESS"`:              `""`,
		`"data"`:                 `"date"`,
		`"id"`:                   `"runId"`,
	} {
		body := strings.Replace(documented, old, replacement, 1)
		if run, err := decodeRun([]byte(body)); run != nil || err == nil {
			t.Errorf("%s: %v, %v; want an error", replacement, run, err)
		}
	}
}

// FuzzDecodeRun looks for a response that is neither a run nor an error, and for a run that changes
// on its way through the model's own JSON.
func FuzzDecodeRun(f *testing.F) {
	for _, seed := range []string{
		documented, "", "null", "{}", "[]", `{"data":null}`, `{"data":{}}`, "<html>",
		strings.Replace(documented, `"2020-12-08T11:52:08Z"`, "null", 1),
		strings.Replace(documented, `"2020-12-08T11:52:08Z"`, `""`, 1),
		strings.Replace(documented, `08Z"`, `08.25+05:30"`, 2),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		run, err := decodeRun(body)
		if (run == nil) == (err == nil) {
			t.Fatalf("decodeRun(%q) = %v, %v", body, run, err)
		}
		if err != nil {
			return
		}
		again, err := json.Marshal(model.JobRunResult{Data: *run})
		if err != nil {
			t.Fatalf("decodeRun(%q) = %+v, which is no JSON: %v", body, run, err)
		}
		got, err := decodeRun(again)
		if diff := cmp.Diff(run, got); diff != "" || err != nil {
			t.Errorf("decodeRun(%s) (-before +after):\n%s error: %v", again, diff, err)
		}
	})
}
