package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// event is a change of a Job; before is nil for a new one, and after for one that is gone.
type event struct {
	version       int64
	before, after *batchv1.Job
}

// fakeAPI is an API server that knows nothing but Jobs, and speaks JSON.
type fakeAPI struct {
	server *httptest.Server

	mu        sync.Mutex
	changed   *sync.Cond
	jobs      map[string]*batchv1.Job // by namespace/name
	version   int64
	events    []event
	forgotten int64           // events up to this version cannot be watched any more
	away      bool            // answers nothing
	forbidden map[string]bool // the verbs that are not permitted, or those in a namespace: "list a"
	uid       string          // of the namespace kube-system, which must not be read if this is ""
	token     string          // that requests need; "" for none
	noStream  bool            // lists are not streamed
	cut       int             // how often all streams were cut
	requests  map[string]int  // by verb
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{
		jobs:      map[string]*batchv1.Job{},
		version:   100,
		forbidden: map[string]bool{},
		requests:  map[string]int{},
	}
	f.changed = sync.NewCond(&f.mu)
	f.server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.change(func() { f.away = true; f.cut++ })
		f.server.Close()
	})
	return f
}

// change changes how the server behaves.
func (f *fakeAPI) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.changed.Broadcast()
}

// set creates or updates a Job.
func (f *fakeAPI) set(job *batchv1.Job) {
	f.change(func() {
		f.version++
		job = job.DeepCopy()
		job.ResourceVersion = strconv.FormatInt(f.version, 10)
		f.events = append(f.events, event{f.version, f.jobs[job.Namespace+"/"+job.Name], job})
		f.jobs[job.Namespace+"/"+job.Name] = job
	})
}

func (f *fakeAPI) delete(namespace, name string) {
	f.change(func() {
		f.version++
		f.events = append(f.events, event{f.version, f.jobs[namespace+"/"+name], nil})
		delete(f.jobs, namespace+"/"+name)
	})
}

// lapse cuts all streams, and lets them begin again only with a list; in between, do can change
// what is in it.
func (f *fakeAPI) lapse(do func()) {
	f.change(func() { f.away = true; f.cut++ })
	do()
	f.change(func() { f.away, f.forgotten = false, f.version })
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	verb := "list"
	if query.Get("watch") == "true" {
		verb = "watch"
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/apis/batch/v1/"), "/")
	namespace := ""
	if len(path) == 3 {
		namespace = path[1]
	}
	selector, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		panic(err)
	}
	match := func(job *batchv1.Job) bool {
		return job != nil && (namespace == "" || job.Namespace == namespace) &&
			selector.Matches(labels.Set(job.Labels))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[verb]++
	f.changed.Broadcast()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case f.away:
		panic(http.ErrAbortHandler)
	case f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token:
		refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
	case r.URL.Path == "/api/v1/namespaces/kube-system" && f.uid != "":
		write(w, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: types.UID(f.uid)}})
	case r.URL.Path == "/api/v1/namespaces/kube-system":
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, "namespaces \"kube-system\" is forbidden")
	case f.forbidden[verb], f.forbidden[verb+" "+namespace]:
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden,
			"jobs.batch is forbidden: User \"watcher\" cannot "+verb)
	case verb == "list":
		f.list(w, query.Get("continue"), match)
	case query.Get("sendInitialEvents") == "true" && f.noStream:
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden")
	default:
		f.watch(w, r, match)
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.WriteHeader(code)
	write(w, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(code), Message: message,
	})
}

// pageOf is how many Jobs a page of a list has.
const pageOf = 3

func (f *fakeAPI) list(w http.ResponseWriter, from string, match func(*batchv1.Job) bool) {
	list := batchv1.JobList{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "JobList"}}
	list.ResourceVersion = strconv.FormatInt(f.version, 10)
	for _, name := range f.names() {
		if match(f.jobs[name]) && name > from {
			if len(list.Items) == pageOf {
				list.Continue = list.Items[pageOf-1].Namespace + "/" + list.Items[pageOf-1].Name
				break
			}
			list.Items = append(list.Items, *f.jobs[name])
		}
	}
	write(w, list)
}

func (f *fakeAPI) names() []string {
	var names []string
	for name := range f.jobs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, match func(*batchv1.Job) bool) {
	seen, _ := strconv.ParseInt(r.URL.Query().Get("resourceVersion"), 10, 64)
	initial := r.URL.Query().Get("sendInitialEvents") == "true"
	if !initial && seen < f.forgotten {
		refuse(w, http.StatusGone, metav1.StatusReasonExpired, "too old resource version")
		return
	}
	if initial {
		for _, name := range f.names() {
			if match(f.jobs[name]) {
				send(w, "ADDED", f.jobs[name], 0)
			}
		}
		seen = f.version
		mark := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}},
		}
		send(w, "BOOKMARK", mark, seen)
	}
	defer context.AfterFunc(r.Context(), func() { f.change(func() {}) })()
	for cut := f.cut; f.cut == cut && r.Context().Err() == nil; f.changed.Wait() {
		for _, e := range f.events {
			switch was, is := match(e.before), match(e.after); {
			case e.version <= seen:
			case was && is:
				send(w, "MODIFIED", e.after, e.version)
			case is:
				send(w, "ADDED", e.after, e.version)
			case was: // gone, or it does not match any more, which looks the same
				send(w, "DELETED", e.before, e.version)
			}
		}
		seen = f.version
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

func send(w http.ResponseWriter, kind string, job *batchv1.Job, version int64) {
	job = job.DeepCopy()
	job.APIVersion, job.Kind = "batch/v1", "Job"
	if version > 0 {
		job.ResourceVersion = strconv.FormatInt(version, 10)
	}
	write(w, map[string]any{"type": kind, "object": job})
}

func write(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(append(text, '\n')) // else the client has gone
}

// fakeStore keeps runs by the rules of jobrun.Record.
type fakeStore struct {
	mu      sync.Mutex
	changed *sync.Cond
	runs    map[jobrun.Key]jobrun.Record
	failure error                       // of every call
	refuse  func(jobrun.Record) error   // of a single run
	puts    [][]jobrun.Record           // all that was asked for while it could be reached
	hang    func(context.Context) error // of PutRuns
}

func newFakeStore(records ...jobrun.Record) *fakeStore {
	f := &fakeStore{runs: map[jobrun.Key]jobrun.Record{}}
	f.changed = sync.NewCond(&f.mu)
	for _, r := range records {
		f.runs[r.Key()] = r
	}
	return f
}

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

func (f *fakeStore) PutRuns(ctx context.Context, records []jobrun.Record) error {
	if f.hang != nil {
		if err := f.hang(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return f.failure
	}
	f.puts = append(f.puts, records)
	keys := map[jobrun.Key]bool{}
	for _, r := range records {
		if keys[r.Key()] {
			panic(fmt.Sprintf("put twice at once: %+v", r))
		}
		keys[r.Key()] = true
		if f.refuse != nil {
			if err := f.refuse(r); err != nil {
				return err
			}
		}
	}
	for _, r := range records {
		if old, ok := f.runs[r.Key()]; !ok || r.Version >= old.Version && (r.Run.Concluded || !old.Run.Concluded) {
			f.runs[r.Key()] = r
		}
	}
	f.changed.Broadcast()
	return nil
}

func (f *fakeStore) Unconcluded(_ context.Context, sourcePrefix string) ([]jobrun.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var records []jobrun.Record
	for _, r := range f.runs {
		if strings.HasPrefix(r.Source, sourcePrefix) && !r.Run.Concluded {
			records = append(records, r)
		}
	}
	return records, f.failure
}

// await waits until the run is as it should be, and returns it.
func (f *fakeStore) await(k jobrun.Key, ok func(jobrun.Record) bool) jobrun.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if r, found := f.runs[k]; found && ok(r) {
			return r
		}
		f.changed.Wait()
	}
}

// journal is a log that can be waited for.
type journal struct {
	mu      sync.Mutex
	changed *sync.Cond
	text    bytes.Buffer
}

func newJournal() (*journal, *slog.Logger) {
	j := new(journal)
	j.changed = sync.NewCond(&j.mu)
	return j, slog.New(slog.NewTextHandler(j, nil))
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.changed.Broadcast()
	return j.text.Write(line)
}

// await waits for a line that has the text.
func (j *journal) await(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !strings.Contains(j.text.String(), text) {
		j.changed.Wait()
	}
}

// count returns how many lines have the text.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
