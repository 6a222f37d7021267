// Package kubernetes records the Jobs of a Kubernetes cluster as runs, so that these can still be
// read after the cluster has removed the Jobs.
//
// An informer per namespace follows the Jobs. Each event becomes the latest state of a run
// (mapping), and a writer stores it. If a Job was deleted unseen, so that no event says how it
// ended, the API server is asked first (doubts).
package kubernetes

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Options say which Jobs to record, and how.
type Options struct {
	// Namespaces are those to watch; all of the cluster if there is none.
	Namespaces []string
	// Selector is the label selector that Jobs must match; "" for all.
	Selector string
	// Team is the team of the runs.
	Team string
	// JobLabel is the label whose value names the job of a Job that no CronJob owns; "" for none.
	JobLabel string
}

// Watcher records the Jobs of a cluster.
type Watcher struct {
	options    Options
	mapping    *mapping
	address    string // names the cluster where nothing better does
	connection *connection
	writer     *writer
	doubts     *doubts
	starts     *starts
	store      Store
	log        *slog.Logger
	metrics    *metrics
	informers  map[string]cache.SharedIndexInformer // by namespace; "" for all
	earlier    []jobrun.Record                      // that went on before this watcher wrote any; see catchUp

	mu     sync.Mutex
	synced map[string]bool // by namespace
}

// New returns a watcher of the cluster that writes to the store. The metrics go to the registry.
// Returns an error if the certificates or the credentials that the configuration names cannot be
// read.
func New(
	config *rest.Config,
	store Store,
	options Options,
	log *slog.Logger,
	registry prometheus.Registerer,
) (*Watcher, error) {
	address, err := addressSource(config)
	if err != nil {
		return nil, err
	}
	client, err := newClient(config, log)
	if err != nil {
		return nil, err
	}
	writer := newWriter(store, log)
	writer.metrics = newMetrics(registry, func() float64 { return float64(writer.unwritten()) })
	w := &Watcher{
		options: options,
		mapping: &mapping{team: options.Team, jobLabel: options.JobLabel},
		address: address,
		connection: &connection{
			client:  client,
			log:     log,
			metrics: writer.metrics,
			advice:  credentialsAdvice(config),
			states:  map[string]state{},
		},
		writer:    writer,
		starts:    &starts{store: store, log: log, first: map[string]time.Time{}},
		store:     store,
		log:       log,
		metrics:   writer.metrics,
		informers: map[string]cache.SharedIndexInformer{},
		synced:    map[string]bool{},
	}
	w.doubts = &doubts{
		mapping:    w.mapping,
		connection: w.connection,
		put:        writer.put,
		starts:     w.starts,
		followed:   w.followed,
		log:        log,
		ours:       map[string]bool{address: true},
		unsettled:  map[string][]doubt{},
		more:       make(chan struct{}, 1),
	}
	namespaces := options.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		w.connection.states[namespace] = unknown
		if w.informers[namespace], err = w.informer(namespace); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *Watcher) informer(namespace string) (cache.SharedIndexInformer, error) {
	informer := cache.NewSharedIndexInformer(w.connection.follow(namespace, w.options.Selector), &batchv1.Job{}, 0, nil)
	err := informer.SetTransform(func(object any) (any, error) {
		if job, ok := object.(*batchv1.Job); ok {
			return w.mapping.observe(job), nil
		}
		return object, nil // it has been here already
	})
	if err != nil {
		return nil, err
	}
	// The connection has said it already.
	return informer, informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
}

// Run records until the context ends, and then takes a few seconds at the most to write what is
// left. While the API server or the store is away, it keeps trying. It must be called once.
func (w *Watcher) Run(ctx context.Context) {
	w.log.Info(
		"watching",
		"namespaces",
		cmp.Or(strings.Join(w.options.Namespaces, ","), "all"),
		"selector",
		w.options.Selector,
	)
	if !w.identify(ctx) {
		return
	}
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		defer close(written)
		w.readEarlier(writing)
		w.writer.run(writing)
	}()
	var running sync.WaitGroup
	for namespace, informer := range w.informers {
		handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(job any) { w.added(ctx, job.(*observation)) },
			UpdateFunc: func(before, job any) { w.updated(ctx, before.(*observation), job.(*observation)) },
			DeleteFunc: func(job any) { w.deleted(ctx, job) },
		})
		if err != nil {
			panic(err) // it runs already: Run was called twice
		}
		running.Go(func() { informer.RunWithContext(ctx) })
		running.Go(func() {
			if cache.WaitFor(ctx, "", handler.HasSyncedChecker()) {
				w.catchUp(ctx, namespace)
			}
		})
	}
	running.Go(func() { w.doubts.run(ctx) })
	running.Wait() // nothing more is put after this
	stop()
	<-written
}

func (w *Watcher) added(ctx context.Context, job *observation) {
	w.metrics.jobs.Inc()
	if record, ok := w.starts.keep(ctx, nil, job); ok {
		w.writer.put(record)
	}
}

func (w *Watcher) updated(ctx context.Context, before, after *observation) {
	if before.record.Key() != after.record.Key() {
		// A Job that took the name of another, which is gone unseen, or one whose label has
		// changed.
		w.lost(ctx, before)
	}
	if before.record.Run.ID != after.record.Run.ID {
		before = nil
	}
	record, ok := w.starts.keep(ctx, before, after)
	if ok && (before == nil || !same(before.record, after.record)) {
		w.writer.put(record)
	}
}

// same reports whether two states of a run differ in nothing but their version.
func same(a, b jobrun.Record) bool {
	a.Version, b.Version = 0, 0
	return reflect.DeepEqual(a, b)
}

func (w *Watcher) deleted(ctx context.Context, object any) {
	w.metrics.jobs.Dec()
	if unseen, ok := object.(cache.DeletedFinalStateUnknown); ok {
		w.lost(ctx, unseen.Obj.(*observation))
		return
	}
	last := object.(*observation)
	if w.options.Selector != "" {
		w.lost(ctx, last) // or it does not match any more, which looks the same
		return
	}
	if record, ok := w.starts.keep(ctx, nil, last); ok {
		if !record.Run.Concluded {
			record = gone(record, last.deletedAt, jobDeleted)
		}
		w.writer.put(record)
		w.starts.forget(record)
	}
}

// lost takes note of a Job that is not followed any more, and may be gone.
func (w *Watcher) lost(ctx context.Context, last *observation) {
	record, ok := w.starts.keep(ctx, nil, last)
	switch {
	case !ok:
	case record.Run.Concluded:
		w.writer.put(record)
		w.starts.forget(record)
	default:
		w.doubts.add(doubt{record: record, at: last.deletedAt})
	}
}
