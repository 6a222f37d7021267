package kubernetes

import (
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

// TestWatcherConcludesRunsOfItsCluster has the store know a cluster by other names, such as from
// before its API server got another address.
func TestWatcherConcludesRunsOfItsCluster(t *testing.T) {
	t.Parallel()
	const earlier = "kubernetes:earlier-address"
	for name, test := range map[string]struct {
		uid    string // of the cluster, if it may be read
		source string // of the runs, or "" for the address
		there  string // the Job of a run that still is there
		ours   bool
	}{
		"same uid":                          {"u", "kubernetes:u", "", true},
		"same address, before the uid":      {"u", "", "", true},
		"same address":                      {"", "", "", true},
		"other address, a Job there":        {"", earlier, "backup", true},
		"other address, an unfollowed Job":  {"u", earlier, "unlabelled", true},
		"other address, no Job there":       {"u", earlier, "", false},
		"other cluster at the same address": {"u", "kubernetes:v", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.uid = test.uid
			if test.source == "" {
				test.source = sourceOf(t, api)
			}
			store := newFakeStore(running(test.source, "a", "gone", 50), running(test.source, "b", "gone-too", 50))
			if test.there != "" {
				r := running(test.source, "a", test.there, 50)
				store.runs[r.Key()] = r
				job := named(t, "running", "a", test.there)
				if test.there != "unlabelled" {
					job = labelled(job)
				}
				api.set(job)
			}
			proof := running(sourceOf(t, api), "b", "proof", 50) // that all are looked at
			store.runs[proof.Key()] = proof
			w := start(t, api, store, Options{Namespaces: []string{"a", "b"}, Selector: "team=data"})
			if test.ours {
				store.await(runKey("a", "gone"), failed)
				store.await(runKey("b", "gone-too"), failed)
			}
			store.await(proof.Key(), failed)
			w.stop()
			if r := store.runs[runKey("b", "gone-too")]; failed(r) != test.ours {
				t.Errorf("the run is %+v", r)
			}
			if test.there != "" {
				r := store.runs[runKey("a", test.there)]
				if !isRunning(r) || test.uid != "" && r.Source != sourcePrefix+test.uid {
					t.Errorf("the run whose Job is there is %+v", r)
				}
			}
		})
	}
}

// TestWatcherFollowsAJobThatIsNotSelectedAnyMore takes as long as the watcher waits until it looks
// again.
func TestWatcherFollowsAJobThatIsNotSelectedAnyMore(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	w := start(t, api, store, Options{Selector: "team=data"})
	names := []string{"succeeds", "goes", "returns"}
	for _, name := range names {
		api.set(labelled(named(t, "running", "a", name)))
		store.await(runKey("a", name), isRunning)
	}
	for _, name := range names {
		api.set(named(t, "running", "a", name))
		w.journal.await("looking for it until it ends\" project=a job=" + name)
	}
	api.set(named(t, "success", "a", "succeeds"))
	api.delete("a", "goes")
	api.set(labelled(named(t, "running", "a", "returns")))
	store.await(runKey("a", "succeeds"), succeeded)
	store.await(runKey("a", "goes"), failed)
	api.set(labelled(named(t, "success", "a", "returns")))
	store.await(runKey("a", "returns"), succeeded)
	w.stop()
	if got := w.journal.count("looking for it until it ends"); got != len(names) {
		t.Errorf("the log says it %d times, want %d", got, len(names))
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
