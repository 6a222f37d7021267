package jsonlines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/jobruns/jobruns/server/jobrun"
)

// chunkLines is how many lines a goroutine parses at a time.
const chunkLines = 256

// result is what came of a line that is not blank.
type result struct {
	record jobrun.Record
	err    error
}

// chunks splits what it reads into chunks of lines, and yields the results of each, in order.
// Several are parsed at once, each in a goroutine of its own. It ends when all is read, after an
// error in reading, or when done is closed.
func (r *Reader) chunks(from io.Reader, done <-chan struct{}) <-chan chan []result {
	parsed := make(chan chan []result, runtime.GOMAXPROCS(0))
	go func() {
		defer close(parsed)
		lines := bufio.NewScanner(from)
		lines.Buffer(nil, maxLine)
		for first := 1; ; first += chunkLines {
			var texts [][]byte
			for len(texts) < chunkLines && lines.Scan() {
				texts = append(texts, bytes.Clone(lines.Bytes()))
			}
			next := make(chan []result, 1)
			select {
			case parsed <- next:
			case <-done:
				return
			}
			var end error
			if len(texts) < chunkLines {
				end = readError(lines.Err(), first+len(texts))
			}
			go func() { next <- r.parseLines(texts, first, end) }()
			if len(texts) < chunkLines {
				return
			}
		}
	}()
	return parsed
}

// byteOrderMark is what some editors write at the start of a text in UTF-8.
var byteOrderMark = []byte("\ufeff")

// hint shows how to get lines of the right form from the command line.
const hint = `each line must be an object such as {"projectId": "P", "jobId": "J", "run": {...}}, ` +
	`which this prints: northflank get job runs --project P --job J --loadAll -o json ` +
	`--jq '.runs[] | {projectId: "P", jobId: "J", run: del(.jobId, .reason, .message, .host)}'`

// explain adds a hint to the error of a first line that is not an object with a run.
func explain(err error, text []byte) error {
	var line struct{ Run json.RawMessage }
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return errors.New("the text is UTF-16: convert it to UTF-8")
	case json.Unmarshal(text, &line) != nil, line.Run == nil:
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// parseLines stops after the first error. The last result is the error in reading, if there was
// one.
func (r *Reader) parseLines(texts [][]byte, first int, end error) []result {
	results := make([]result, 0, len(texts)+1)
	for i, text := range texts {
		if text = bytes.TrimSpace(bytes.TrimPrefix(text, byteOrderMark)); len(text) == 0 {
			continue
		}
		record, err := r.parse(text)
		if err != nil && first+i == 1 {
			err = explain(err, text)
		}
		if err != nil {
			return append(results, result{err: fmt.Errorf("line %d: %w", first+i, err)})
		}
		results = append(results, result{record: record})
	}
	if end != nil {
		results = append(results, result{err: end})
	}
	return results
}

// readError returns what the scanner came upon at that line, or nil.
func readError(err error, number int) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d: longer than %d bytes", number, maxLine)
	}
	return fmt.Errorf("line %d: %w", number, err)
}
