package auth

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/jobruns/jobruns/server/jobrun"
)

// maxTracked caps how many tokens, and how many addresses, have an entry; the least recently used
// is evicted. A key that comes close to its limit is used all the time: it is evicted, and starts
// anew, only if this many others come between two of its requests.
const maxTracked = 1 << 14

// tracked has an entry for each of the keys that were used lately.
type tracked[K comparable] struct{ *lru.Cache[K, *entry] }

func newTracked[K comparable]() tracked[K] {
	cache, err := lru.New[K, *entry](maxTracked)
	if err != nil {
		panic(err) // the size is not positive
	}
	return tracked[K]{cache}
}

// entry returns the entry of the key. If the key has no entry, it adds an entry.
func (t tracked[K]) entry(key K) *entry {
	added := &entry{}
	if earlier, ok, _ := t.PeekOrAdd(key, added); ok {
		return earlier
	}
	return added
}

// entries has an entry for each token that was accepted lately.
type entries struct{ tracked[jobrun.TokenHash] }

// entry is what is known of a token: how many requests it has made, and a cached copy. Of an
// address, it is how many wrong tokens it has sent.
type entry struct {
	mu       sync.Mutex
	window   window        // of requests that read, or of wrong tokens
	runs     window        // of new runs that are recorded
	reports  window        // of reports on recorded runs
	token    *jobrun.Token // as it was in the revision; nil if that was not known
	revision int64         // of the store
}

// lookUp returns the entry of the token with that hash, nil if there is none, and the token if it
// is cached in the current revision.
func (e entries) lookUp(hash jobrun.TokenHash, revision int64, known bool) (*entry, *jobrun.Token) {
	found, ok := e.Get(hash)
	if !ok {
		return nil, nil
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	if !known || found.revision != revision {
		return found, nil
	}
	return found, found.token
}

// accept returns the entry of a token that was looked up after the store was asked for its
// revision.
func (e entries) accept(hash jobrun.TokenHash, token *jobrun.Token, revision int64, known bool) *entry {
	accepted := e.entry(hash)
	accepted.mu.Lock()
	defer accepted.mu.Unlock()
	accepted.token = nil
	if known {
		accepted.token, accepted.revision = token, revision
	}
	return accepted
}

// take counts a request in one of the entry's windows, as a window does.
func (e *entry) take(w *window, limit RateLimit, now time.Time) (reset time.Duration, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return w.take(limit, now)
}

// left returns how many requests are left in one of the entry's windows, as a window does.
func (e *entry) left(w *window, limit RateLimit, now time.Time) (left int, reset time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return w.left(limit, now)
}
