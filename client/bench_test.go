package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/jobruns/jobruns/gen/model"
)

const benchmarkAnswer = `{"data":{"id":"d34582a4-35bd-4c71-8e7c-e36999b88723","active":0,"backoffLimit":0,"completions":1,"concluded":true,"failed":0,` +
	`"runName":"example-job-5fcf67bc56e1913e21d49504","status":"SUCCESS","succeeded":0,"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z"}}` + "\n"

// newBareServer answers every request with the run. It allocates nothing for a request, so that the
// benchmark counts only what callers allocate.
func newBareServer(b *testing.B) (url string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(benchmarkAnswer), benchmarkAnswer)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for request := bufio.NewReader(conn); ; {
					switch line, err := request.ReadSlice('\n'); {
					case err != nil:
						return
					case len(line) == len("\r\n"):
						if _, err := conn.Write(response); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// BenchmarkClient measures a request, beside one written by hand with http.Client and
// json.Unmarshal.
func BenchmarkClient(b *testing.B) {
	url := newBareServer(b)
	c, err := New(url, WithToken("token"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("GetJobRun", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run, _, err := c.GetJobRun(b.Context(), RunRef{Project: "p", Job: "j", Run: "r"})
			if err != nil || !run.Concluded {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			path := "/v1/projects/p/jobs/j/runs/r"
			request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+path, nil)
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer token")
			request.Header.Set("Accept", "application/json")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			var answer model.JobRunResult
			if err != nil || json.Unmarshal(body, &answer) != nil || !answer.Data.Concluded {
				b.Fatal(err)
			}
		}
	})
}
