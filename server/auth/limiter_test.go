package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// hashOf returns a different hash for each number.
func hashOf(n int) jobrun.TokenHash {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// addressOf returns an address of another 64 bits for each number.
func addressOf(n int) netip.Addr {
	var address [16]byte
	binary.BigEndian.PutUint64(address[:], 0x2001<<48|uint64(n))
	return netip.AddrFrom16(address)
}

func TestEntryCountsEachRequestOnce(t *testing.T) {
	limit := RateLimit{Requests: 500, Window: time.Hour}
	e := newTracked[jobrun.TokenHash]().entry(hashOf(1))
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if _, ok := e.take(&e.window, limit, time.Now()); ok {
					passed.Add(1)
				}
				e.left(&e.window, limit, time.Now())
			}
		})
	}
	all.Wait()
	if left, _ := e.left(&e.window, limit, time.Now()); passed.Load() != 500 || left != 0 {
		t.Errorf("%d of 1600 passed and %d are left, want 500 and 0", passed.Load(), left)
	}
}

// However many others come, a token that comes close to its limit is not evicted.
func TestLeastRecentlyUsedEntryIsEvicted(t *testing.T) {
	all := newTracked[jobrun.TokenHash]()
	often := all.entry(hashOf(-1))
	all.entry(hashOf(-2))
	for n := range 5 * maxTracked {
		if n%(maxTracked/2) == 0 {
			all.Get(hashOf(-1)) // each request begins with a look-up
		}
		all.entry(hashOf(n))
	}
	if all.entry(hashOf(-1)) != often || all.Contains(hashOf(-2)) || all.Len() != maxTracked {
		t.Errorf("%d entries, or another than the least recently used is evicted", all.Len())
	}
}

// The memory of the limits does not grow with the number of tokens and addresses.
func TestAuthenticatorTakesFixedMemory(t *testing.T) {
	a := New(nil, nil, Limits{Requests: RateLimit{Requests: 1000, Window: time.Hour}})
	come := func(n int) {
		e := a.entries.accept(hashOf(n), &jobrun.Token{}, 0, true)
		e.take(&e.window, a.limits.Requests, time.Now())
		a.guesses.wrong(addressOf(n), time.Now())
	}
	before := heap()
	for round := range 10 {
		for n := range 2 * maxTracked {
			come(2*maxTracked*round + n)
		}
		t.Logf("after %d tokens and addresses: %d KiB", 2*maxTracked*(round+1), (heap()-before)>>10)
	}
	if took := heap() - before; took > 24<<20 {
		t.Errorf("%d bytes", took)
	}
	runtime.KeepAlive(a)
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Of an address that has been wrong too often, one token is looked up at a time.
func TestGuessesSideBySide(t *testing.T) {
	g := newGuesses()
	for range guessLimit.Requests {
		g.wrong(addressOf(1), time.Now())
	}
	var all sync.WaitGroup
	var active atomic.Int32
	for range 8 {
		all.Go(func() {
			for range 100 {
				slow, err := g.wait(t.Context(), addressOf(1), time.Now())
				if err != nil || !slow.down || active.Add(1) > 1 {
					t.Errorf("%v, slowed down: %t, not alone", err, slow.down)
				}
				runtime.Gosched()
				active.Add(-1)
				slow.end()
			}
		})
	}
	other, err := g.wait(t.Context(), addressOf(2), time.Now())
	if err != nil || other.down {
		t.Errorf("another address: %v, slowed down: %t", err, other.down)
	}
	all.Wait()
	slow, err := g.wait(t.Context(), addressOf(1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.end()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.wait(ended, addressOf(1), time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has left: %v", err)
	}
}
