package server

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jobruns/jobruns/server/jobrun"
)

// bearers are those with a token that was accepted lately: as many as a limiter has windows.
type bearers struct {
	*lru.Cache[jobrun.TokenHash, *bearer]
}

// bearer is who has a token: how many requests the token has made, and what is kept of it.
type bearer struct {
	mu       sync.Mutex
	window   window
	token    *jobrun.Token // as it was in the revision; nil if nobody knows
	revision int64         // of the store
	from     netip.Addr    // where it was last accepted
}

func newBearers() bearers {
	cache, err := lru.New[jobrun.TokenHash, *bearer](remembered)
	if err != nil {
		panic(err) // the size is not positive
	}
	return bearers{cache}
}

// kept returns the bearer of the token with that hash, and the token if it is known to be in the store still. It reports
// whether the token was last accepted from the address.
func (b bearers) kept(hash jobrun.TokenHash, revision *seenRevision, from netip.Addr) (known *bearer, token *jobrun.Token, here bool) {
	known, found := b.Get(hash)
	if !found {
		return nil, nil, false
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if revision != nil && known.revision == revision.number {
		token = known.token
	}
	return known, token, known.from == from
}

// accepted returns the bearer of the token with that hash, which was looked up after the store was asked for its revision.
func (b bearers) accepted(hash jobrun.TokenHash, token *jobrun.Token, revision *seenRevision, from netip.Addr) *bearer {
	known := &bearer{}
	if earlier, found, _ := b.PeekOrAdd(hash, known); found {
		known = earlier
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	known.from, known.token = from, nil
	if revision != nil {
		known.token, known.revision = token, revision.number
	}
	return known
}

// take counts a request, as a limiter does.
func (b *bearer) take(limit RateLimit, now time.Time) (left int, reset time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.window.take(limit, now)
}

// left returns how many requests are left, as a limiter does.
func (b *bearer) left(limit RateLimit, now time.Time) (left int, reset time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.window.left(limit, now)
}
