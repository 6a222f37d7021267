package auth

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/jobruns/jobruns/server/jobrun"
)

// entries has an entry for each token that was accepted lately, up to maxTracked.
type entries struct {
	*lru.Cache[jobrun.TokenHash, *entry]
}

// entry is what is known of a token: how many requests it has made, and a cached copy.
type entry struct {
	mu       sync.Mutex
	window   window        // of requests that read
	runs     window        // of new runs that are recorded
	reports  window        // of reports on recorded runs
	token    *jobrun.Token // as it was in the revision; nil if that was not known
	revision int64         // of the store
}

func newEntries() entries {
	cache, err := lru.New[jobrun.TokenHash, *entry](maxTracked)
	if err != nil {
		panic(err) // the size is not positive
	}
	return entries{cache}
}

// lookUp returns the entry of the token with that hash, nil if there is none, and the token if it is
// cached in the current revision.
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
	accepted := &entry{}
	if earlier, ok, _ := e.PeekOrAdd(hash, accepted); ok {
		accepted = earlier
	}
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
	_, reset, ok = w.take(limit, now)
	return reset, ok
}

// left returns how many requests are left in one of the entry's windows, as a window does.
func (e *entry) left(w *window, limit RateLimit, now time.Time) (left int, reset time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return w.left(limit, now)
}
