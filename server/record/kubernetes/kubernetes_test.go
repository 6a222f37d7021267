package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// watching is a watcher that runs.
type watching struct {
	*Watcher
	api     *fakeAPI
	store   *fakeStore
	journal *journal
	stop    func() // and wait until it has ended
}

// start runs a watcher. The test stops it in the end, if it still runs.
func start(t *testing.T, api *fakeAPI, store *fakeStore, options Options) *watching {
	t.Helper()
	return startWith(t, &rest.Config{Host: api.server.URL}, api, store, options)
}

// startWith is start for a watcher that reaches the server as the configuration says.
func startWith(t *testing.T, config *rest.Config, api *fakeAPI, store *fakeStore, options Options) *watching {
	t.Helper()
	if options.Team == "" {
		options.Team = jobrun.DefaultTeam
	}
	journal, log := newJournal()
	watcher, err := New(config, store, options, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		watcher.Run(ctx)
	}()
	w := &watching{watcher, api, store, journal, func() { cancel(); <-done }}
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("the log:\n%s", journal.text.String())
		}
	})
	return w
}

// sourceOf returns what a watcher of the server calls it.
func sourceOf(t *testing.T, api *fakeAPI) string {
	t.Helper()
	name, err := addressSource(&rest.Config{Host: api.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// named returns a recorded Job under another name, with a uid that is made of it.
func named(t *testing.T, of, namespace, name string) *batchv1.Job {
	t.Helper()
	job := load(t, of)
	job.Namespace, job.Name, job.UID = namespace, name, types.UID("uid-of-"+name)
	return job
}

// labelled gives a Job the label team=data.
func labelled(job *batchv1.Job) *batchv1.Job {
	job.Labels["team"] = "data"
	return job
}

func runKey(namespace, name string) jobrun.Key {
	return jobrun.Key{Team: jobrun.DefaultTeam, Project: namespace, Job: name, Run: "uid-of-" + name}
}

// running returns a run that an earlier watcher has stored.
func running(source, namespace, name string, version int64) jobrun.Record {
	return jobrun.Record{
		Team:    jobrun.DefaultTeam,
		Project: namespace,
		Job:     name,
		Source:  source,
		Version: version,
		Run: model.JobRun{
			ID:        "uid-of-" + name,
			RunName:   name,
			Status:    model.JobRunStatusRunning,
			Active:    model.FlagYes,
			StartedAt: time.Unix(1_700_000_000, 0).UTC(),
		},
	}
}

func isRunning(r jobrun.Record) bool { return r.Run.Status == model.JobRunStatusRunning }
func succeeded(r jobrun.Record) bool { return r.Run.Status == model.JobRunStatusSuccess }
func failed(r jobrun.Record) bool    { return r.Run.Status == model.JobRunStatusFailed }

func TestWatcherFollowsAJob(t *testing.T) {
	t.Parallel()
	for name, noStream := range map[string]bool{"streamed list": false, "list": true} {
		t.Run(name, func(t *testing.T) {
			api, store := newFakeAPI(t), newFakeStore()
			api.noStream = noStream
			for i := range 10 {
				api.set(named(t, "success", "a", fmt.Sprint("old-", i)))
			}
			w := start(t, api, store, Options{})
			w.journal.await("msg=synced jobs=10")
			store.await(runKey("a", "old-9"), succeeded)
			if w.Ready() != nil {
				t.Error("it has not synced")
			}
			for _, state := range []struct {
				of string
				ok func(jobrun.Record) bool
			}{
				{"not-started", func(r jobrun.Record) bool { return isRunning(r) && r.Run.Active == model.FlagNo }},
				{"running", func(r jobrun.Record) bool { return isRunning(r) && r.Run.Active == model.FlagYes }},
				{"success-criteria-met", func(r jobrun.Record) bool { return isRunning(r) && r.Run.Active == model.FlagNo }},
				{"deleted-after-success", succeeded},
			} {
				api.set(named(t, state.of, "a", "backup"))
				store.await(runKey("a", "backup"), state.ok)
			}
			api.delete("a", "backup")
			api.set(named(t, "success", "a", "next"))
			store.await(runKey("a", "next"), succeeded)
			store.await(runKey("a", "backup"), succeeded)
			w.stop()
			if got := testutil.ToFloat64(w.metrics.jobs); got != 11 {
				t.Errorf("%v Jobs are followed, want 11", got)
			}
			if got := testutil.ToFloat64(w.metrics.connected); got != 1 {
				t.Errorf("connected is %v, want 1", got)
			}
			if noStream && api.requests["list"] == 0 {
				t.Error("it has not listed")
			}
		})
	}
}

func TestWatcherWatchesItsNamespacesOnly(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	for _, namespace := range []string{"a", "b", "c"} {
		api.set(named(t, "success", namespace, "in-"+namespace))
	}
	w := start(t, api, store, Options{Namespaces: []string{"a", "c"}, Team: "data"})
	w.journal.await("msg=synced namespace=a jobs=1")
	w.journal.await("msg=synced namespace=c jobs=1")
	w.stop()
	if len(store.runs) != 2 {
		t.Errorf("the store has %d runs, want 2", len(store.runs))
	}
	store.await(jobrun.Key{Team: "data", Project: "c", Job: "in-c", Run: "uid-of-in-c"}, succeeded)
}

// A Job that is deleted while it runs has failed, at the time that it says, or else when that is
// learned.
func TestWatcherSeesADeletion(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"deleted-while-running", "terminating"} {
		t.Run(of, func(t *testing.T) {
			api, store := newFakeAPI(t), newFakeStore()
			w := start(t, api, store, Options{})
			job := named(t, of, "a", "backup")
			job.Status.StartTime = &metav1.Time{Time: time.Unix(1_700_000_000, 0)} // before now, whenever that is
			api.set(job)
			store.await(runKey("a", "backup"), isRunning)
			begin := time.Now().Truncate(time.Second)
			api.delete("a", "backup")
			got := store.await(runKey("a", "backup"), failed)
			w.stop()
			at := *got.Run.ConcludedAt
			if deleted := load(t, of).DeletionTimestamp; deleted != nil && !at.Equal(deleted.Time) {
				t.Errorf("it has failed at %s, want %s, when it was deleted", at, deleted)
			} else if deleted == nil && (at.Before(begin) || at.After(time.Now())) {
				t.Errorf("it has failed at %s, not just now", at)
			}
			if got.Outcome == nil || *got.Outcome.Reason != jobrun.ReasonJobDeleted {
				t.Errorf("the outcome is %+v", got.Outcome)
			}
			if got.Version != 102 || w.journal.count("Job gone") > 0 {
				t.Errorf("the version is %d, want that of the deletion, 102, and no warning", got.Version)
			}
		})
	}
}

// What was deleted while nobody watched is concluded, and nothing else is.
func TestRestartConcludesWhatIsGone(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	source := sourceOf(t, api)
	store := newFakeStore(running(source, "a", "ended", 50), running(source, "a", "there", 50),
		running(source, "elsewhere", "unwatched", 50),
		running("kubernetes:another", "a", "of-another-cluster", 50),
		running(source, "a", "newer", 1_000_000))
	other := running(source, "a", "of-another-team", 50)
	other.Team = "another"
	store.runs[other.Key()] = other
	for i := range 2 {
		r := running(source, "a", fmt.Sprint("gone-", i), 50)
		store.runs[r.Key()] = r
	}
	api.set(labelled(named(t, "success", "a", "ended")))
	api.set(named(t, "parallel-running", "a", "there")) // its label does not match any more
	w := start(t, api, store, Options{Namespaces: []string{"a"}, Selector: "team=data"})
	for i := range 2 {
		got := store.await(runKey("a", fmt.Sprint("gone-", i)), failed)
		if got.Version != 50 {
			t.Errorf("the conclusion has version %d, and would stand above what was observed", got.Version)
		}
	}
	store.await(runKey("a", "ended"), succeeded)
	store.await(runKey("a", "there"), func(r jobrun.Record) bool { return isRunning(r) && r.Version == 102 })
	w.stop()
	for _, k := range []jobrun.Key{runKey("elsewhere", "unwatched"), runKey("a", "of-another-cluster"), runKey("a", "newer"), other.Key()} {
		if r := store.runs[k]; r.Run.Concluded {
			t.Errorf("%+v was concluded: %+v", k, r)
		}
	}
	if got := w.journal.count("Job gone without a conclusion"); got != 2 {
		t.Errorf("the log tells of %d conclusions, want 2", got)
	}
}

// While the stream is interrupted, Jobs go, and one takes the name of another.
func TestWatcherMissesDeletions(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	w := start(t, api, store, Options{})
	for _, name := range []string{"gone", "replaced", "stays"} {
		api.set(named(t, "running", "a", name))
		store.await(runKey("a", name), isRunning)
	}
	api.set(named(t, "success", "a", "over"))
	store.await(runKey("a", "over"), succeeded)
	api.lapse(func() {
		api.delete("a", "gone")
		api.delete("a", "over")
		next := named(t, "running", "a", "replaced")
		next.UID = "another-uid"
		api.set(next)
	})
	store.await(runKey("a", "gone"), failed)
	store.await(runKey("a", "replaced"), failed)
	store.await(jobrun.Key{Team: jobrun.DefaultTeam, Project: "a", Job: "replaced", Run: "another-uid"}, isRunning)
	w.stop()
	if !succeeded(store.runs[runKey("a", "over")]) || !isRunning(store.runs[runKey("a", "stays")]) {
		t.Errorf("over: %+v, stays: %+v", store.runs[runKey("a", "over")], store.runs[runKey("a", "stays")])
	}
	if got := w.journal.count("Job gone without a conclusion"); got != 2 {
		t.Errorf("the log tells of %d conclusions, want 2", got)
	}
}

func TestWatcherRecordsToItsEndAJobThatStopsMatching(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	w := start(t, api, store, Options{Selector: "team=data"})
	for _, name := range []string{"succeeds", "goes", "returns"} {
		api.set(labelled(named(t, "running", "a", name)))
		store.await(runKey("a", name), isRunning)
		api.set(named(t, "parallel-running", "a", name))
	}
	api.set(named(t, "success", "a", "succeeds"))
	store.await(runKey("a", "succeeds"), succeeded)
	api.delete("a", "goes")
	store.await(runKey("a", "goes"), failed)
	api.set(labelled(named(t, "success", "a", "returns")))
	store.await(runKey("a", "returns"), succeeded)
	api.set(named(t, "success", "a", "never-matched"))
	api.delete("a", "never-matched")
	api.set(labelled(named(t, "success", "a", "last")))
	store.await(runKey("a", "last"), succeeded)
	w.stop()
	if len(store.runs) != 4 {
		t.Errorf("the store has %d runs, want 4", len(store.runs))
	}
}

// A Job whose label changes has a run of each job, also if the watcher restarts.
func TestWatcherFollowsAChangedLabel(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	w := start(t, api, store, Options{JobLabel: "team"})
	first, second := runKey("a", "backup"), runKey("a", "backup")
	second.Job = "data"
	api.set(named(t, "running", "a", "backup"))
	store.await(first, isRunning)
	api.set(labelled(named(t, "running", "a", "backup")))
	store.await(second, isRunning)
	store.await(first, func(r jobrun.Record) bool { return isRunning(r) && r.Version == 102 })
	w.stop()
	api.set(labelled(named(t, "success", "a", "backup")))
	start(t, api, store, Options{JobLabel: "team"})
	store.await(first, succeeded)
	store.await(second, succeeded)
}

func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	api.away = true
	w := start(t, api, store, Options{})
	w.journal.await(`msg="API server away, trying again" error=`)
	if w.Ready() == nil || testutil.ToFloat64(w.metrics.connected) != 0 {
		t.Error("it is connected")
	}
	api.change(func() { api.away = false })
	w.journal.await(`msg="API server back"`)
	w.journal.await("msg=synced jobs=0")

	api.set(named(t, "running", "a", "backup"))
	store.await(runKey("a", "backup"), isRunning)
	api.change(func() { api.away = true; api.cut++; api.requests = map[string]int{} })
	api.await(func() bool { return api.requests["watch"] >= 3 })
	api.set(named(t, "success", "a", "backup"))
	api.delete("a", "backup")
	api.change(func() { api.away = false })
	store.await(runKey("a", "backup"), succeeded)
	w.stop()
	if away, back := w.journal.count("API server away"), w.journal.count("API server back"); away != 2 || back != 2 {
		t.Errorf("the log says %d times that it is away and %d times that it is back, want 2 and 2", away, back)
	}
	if got := testutil.ToFloat64(w.metrics.errors); got < 2 {
		t.Errorf("%v errors are counted, want one of each time at least", got)
	}
}

// await waits until the server is as it should be.
func (f *fakeAPI) await(ok func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !ok() {
		f.changed.Wait()
	}
}

func TestPermissionMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		namespaces []string
		noStream   bool
		verb, want string
	}{
		"watch, everywhere":     {nil, false, "watch", `permission="watch on jobs.batch in all namespaces" error="jobs.batch is forbidden`},
		"watch, in a namespace": {[]string{"a"}, false, "watch", `permission="watch on jobs.batch in namespace a"`},
		"list, in a namespace":  {[]string{"a"}, true, "list", `permission="list on jobs.batch in namespace a"`},
	} {
		t.Run(name, func(t *testing.T) {
			api, store := newFakeAPI(t), newFakeStore()
			api.forbidden[test.verb], api.noStream = true, test.noStream
			w := start(t, api, store, Options{Namespaces: test.namespaces})
			w.journal.await(`msg="permission missing, trying again" ` + test.want)
			api.change(func() { api.forbidden = map[string]bool{} })
			w.journal.await(`msg="API server back"`)
			w.journal.await("msg=synced")
			if got := w.journal.count("permission missing"); got != 1 {
				t.Errorf("the log says it %d times, want 1", got)
			}
		})
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	api, store := newFakeAPI(t), newFakeStore()
	store.fail(fmt.Errorf("%w: no route to host", jobrun.ErrUnavailable))
	for i := range 5 {
		api.set(named(t, "success", "a", fmt.Sprint("job-", i)))
	}
	w := start(t, api, store, Options{})
	w.journal.await(`msg="store away, trying again" runs=`)
	if w.Ready() == nil {
		t.Error("it has synced, and nothing is stored")
	}
	store.fail(nil)
	w.journal.await("msg=synced jobs=5")
	w.journal.await(`msg="store back"`)
	for i := range 5 {
		store.await(runKey("a", fmt.Sprint("job-", i)), succeeded)
	}
}

func TestSource(t *testing.T) {
	of := func(config rest.Config) string {
		t.Helper()
		name, err := addressSource(&config)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, "kubernetes:") || len(name) > 40 {
			t.Errorf("the source is %q", name)
		}
		return name
	}
	host, file := "https://10.0.0.1:443", t.TempDir()+"/ca.crt"
	writeFile(t, file, "authority")
	inline := of(rest.Config{Host: host, TLSClientConfig: rest.TLSClientConfig{CAData: []byte("authority")}})
	if other := of(rest.Config{Host: host + "/", TLSClientConfig: rest.TLSClientConfig{CAFile: file}}); other != inline {
		t.Errorf("one cluster is %q and %q", inline, other)
	}
	for name, config := range map[string]rest.Config{
		"another authority": {Host: host, TLSClientConfig: rest.TLSClientConfig{CAData: []byte("another")}},
		"another address":   {Host: "https://10.0.0.2:443", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("authority")}},
		"no authority":      {Host: host},
	} {
		if of(config) == inline {
			t.Errorf("%s: the same source", name)
		}
	}
	if _, err := addressSource(&rest.Config{Host: host, TLSClientConfig: rest.TLSClientConfig{CAFile: file + ".none"}}); err == nil {
		t.Error("an authority that cannot be read is no error")
	}
}

func TestLoadConfig(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := LoadConfig(""); !errors.Is(err, ErrNoConfig) {
		t.Errorf("with nothing to load: %v, want %v", err, ErrNoConfig)
	}
	file := t.TempDir() + "/config"
	writeFile(t, file,
		`{"clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1"}}], "contexts": [{"name": "x", "context": {"cluster": "c"}}], "current-context": "x"}`)
	if config, err := LoadConfig(file); err != nil || config.Host != "https://10.0.0.1" {
		t.Errorf("a file: %+v, %v", config, err)
	}
	t.Setenv("KUBECONFIG", file)
	if config, err := LoadConfig(""); err != nil || config.Host != "https://10.0.0.1" {
		t.Errorf("$KUBECONFIG: %+v, %v", config, err)
	}
	for name, text := range map[string]string{"empty": "", "no YAML": "{", "no cluster": "contexts: []"} {
		writeFile(t, file, text)
		if _, err := LoadConfig(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
	if _, err := LoadConfig(file + ".none"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v, want an error that names it", err)
	}
}
