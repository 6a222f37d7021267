package server

import (
	"encoding/binary"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
	"github.com/jobruns/jobruns/server/jobrun"
)

// finalAnswers keeps the encoded answers with final runs, in memory that does not count as the heap's and of which there
// is only so much: older answers make room for new ones.
type finalAnswers struct {
	cache *fastcache.Cache // nil for none
}

func newFinalAnswers(bytes int) *finalAnswers {
	if bytes == 0 {
		return &finalAnswers{}
	}
	return &finalAnswers{fastcache.New(bytes)}
}

// write answers with the run if there is an answer of the revision, and returns false if not.
func (f *finalAnswers) write(c *call, key jobrun.Key) (bool, error) {
	if f.cache == nil || c.revision == nil {
		return false, nil
	}
	buffer := bodies.Get().(*[]byte)
	defer bodies.Put(buffer)
	var space [keySpace]byte
	var found bool
	*buffer, found = f.cache.HasGet((*buffer)[:0], appendKey(space[:0], c, key))
	if !found {
		return false, nil
	}
	var prefer *string
	if values := c.Request().Header["Prefer"]; len(values) > 0 {
		prefer = &values[0]
	}
	wait, waits := preferredWait(prefer)
	return true, writeDetails(c, *buffer, wait, waits)
}

// bodies are buffers for answers while they are written.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// put keeps an answer to the call's operation, which must have been read after the store was asked for its revision.
func (f *finalAnswers) put(c *call, key jobrun.Key, body []byte) {
	if f.cache != nil && c.revision != nil {
		f.cache.Set(appendKey(nil, c, key), body)
	}
}

// keySpace is enough for most keys, and not for the longest.
const keySpace = 256

// appendKey appends what tells answers apart: the operation, for another may have another answer about the same run, and
// the revision, so that answers of an earlier one are not found any more. No ID has a slash.
func appendKey(buffer []byte, c *call, key jobrun.Key) []byte {
	buffer = binary.LittleEndian.AppendUint64(buffer, uint64(c.revision.number))
	for _, part := range [...]string{c.operation.route.Operation.OperationID, key.Team, key.Project, key.Job, key.Run} {
		buffer = append(append(buffer, part...), '/')
	}
	return buffer
}
