package jsonlines

import (
	"iter"

	"github.com/jobruns/jobruns/server"
)

// chunk is how many records are handed over at once.
const chunk = 256

// ahead yields what the sequence yields, which meanwhile goes on in the background: reading and storing take about
// equally long.
func ahead(records iter.Seq2[server.Record, error]) iter.Seq2[server.Record, error] {
	type result struct {
		record server.Record
		err    error
	}
	return func(yield func(server.Record, error) bool) {
		chunks := make(chan []result, 4)
		done := make(chan struct{})
		defer close(done)
		go func() {
			defer close(chunks)
			var next []result
			send := func() bool {
				select {
				case chunks <- next:
					next = make([]result, 0, chunk)
					return true
				case <-done:
					return false
				}
			}
			for record, err := range records {
				next = append(next, result{record, err})
				if len(next) == chunk && !send() {
					return
				}
			}
			send()
		}()
		for results := range chunks {
			for _, r := range results {
				if !yield(r.record, r.err) {
					return
				}
			}
		}
	}
}
