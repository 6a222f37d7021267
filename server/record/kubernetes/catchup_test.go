package kubernetes

import (
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

func TestWatcherConcludesRunsOfItsClusterOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		uid    string // of the cluster, if it may be read
		source string // of the run, or "" for the address
		ours   bool
	}{
		"same uid":                          {"u", "kubernetes:u", true},
		"same address, before the uid":      {"u", "", true},
		"same address":                      {"", "", true},
		"other address":                     {"", "kubernetes:earlier-address", false},
		"other cluster at the same address": {"u", "kubernetes:v", false},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.uid = test.uid
			if test.source == "" {
				test.source = sourceOf(t, api)
			}
			proof := running(sourceOf(t, api), "a", "proof", 50) // that all are looked at
			store := newFakeStore(running(test.source, "a", "gone", 50), proof)
			w := start(t, api, store, Options{})
			store.await(proof.Key(), failed)
			w.stop()
			if r := store.runs[runKey("a", "gone")]; failed(r) != test.ours {
				t.Errorf("the run is %+v", r)
			}
		})
	}
}

func TestForbiddenNamespaceDoesNotKeepOthersFromSyncing(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	source := sourceOf(t, api)
	store := newFakeStore(running(source, "a", "gone", 50), running(source, "b", "gone-too", 50))
	api.forbidden["list b"], api.forbidden["watch b"] = true, true
	api.set(named(t, "success", "b", "later"))
	w := start(t, api, store, Options{Namespaces: []string{"a", "b"}})
	w.journal.await(`msg="permission missing, trying again" permission="watch on jobs.batch in namespace b"`)
	store.await(runKey("a", "gone"), failed)
	api.set(named(t, "running", "a", "backup"))
	store.await(runKey("a", "backup"), isRunning)
	if err := w.Ready(); err != nil {
		t.Errorf("with one namespace that can be read: %v", err)
	}
	if r := store.await(runKey("b", "gone-too"), func(jobrun.Record) bool { return true }); !isRunning(r) {
		t.Errorf("in the namespace that cannot be read: %+v", r)
	}

	api.change(func() { api.forbidden = map[string]bool{} })
	w.journal.await(`msg="API server back" namespace=b`)
	w.journal.await(`msg=synced namespace=b jobs=1`)
	store.await(runKey("b", "gone-too"), failed)
	store.await(runKey("b", "later"), succeeded)
	w.stop()
	if got := w.journal.count("permission missing"); got != 1 {
		t.Errorf("the log says it %d times, want 1", got)
	}
}

func TestWatcherIsNotReadyWhereAllIsForbidden(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	api.forbidden["watch"] = true
	w := start(t, api, newFakeStore(), Options{Namespaces: []string{"a", "b"}})
	w.journal.await(`in namespace a"`)
	w.journal.await(`in namespace b"`)
	if err := w.Ready(); err == nil ||
		!strings.Contains(err.Error(), "list and watch on jobs.batch in namespace a, b") {
		t.Errorf("it is ready, or says %v", err)
	}
}
