// Package kubernetes records the Jobs of a Kubernetes cluster as runs, so that these can still be
// read after the cluster has removed the Jobs.
//
// An informer per namespace follows the Jobs. Each event becomes the latest state of a run
// (mapping), and a writer stores it. The selector is applied here and not by the API server, which
// would report a Job that stops matching as deleted.
package kubernetes

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/labels"
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
	store      Store
	log        *slog.Logger
	metrics    *metrics
	informers  map[string]cache.SharedIndexInformer // by namespace; "" for all
	earlier    []jobrun.Record                      // the cluster's open runs when this watcher started

	mu     sync.Mutex
	synced map[string]bool // by namespace
	// names are the jobs under which each Job is recorded, by its uid. There is a second name if
	// the label that names the job changes.
	names map[string][]string
}

// New returns a watcher of the cluster that writes to the store. The metrics go to the registry.
// Returns an error if the certificates or the credentials that the configuration names cannot be
// read, or the selector cannot be parsed.
func New(
	config *rest.Config,
	store Store,
	options Options,
	log *slog.Logger,
	registry prometheus.Registerer,
) (*Watcher, error) {
	selector, err := labels.Parse(options.Selector)
	if err != nil {
		return nil, err
	}
	address, err := addressSource(config)
	if err != nil {
		return nil, err
	}
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	writer := newWriter(store, log)
	writer.metrics = newMetrics(registry, func() float64 { return float64(writer.unwritten()) })
	w := &Watcher{
		options:    options,
		mapping:    &mapping{team: options.Team, jobLabel: options.JobLabel, selector: selector},
		address:    address,
		connection: &connection{client: client, log: log, metrics: writer.metrics, states: map[string]state{}},
		writer:     writer,
		store:      store,
		log:        log,
		metrics:    writer.metrics,
		informers:  map[string]cache.SharedIndexInformer{},
		synced:     map[string]bool{},
		names:      map[string][]string{},
	}
	namespaces := options.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		w.connection.states[namespace] = ""
		if w.informers[namespace], err = w.informer(namespace); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *Watcher) informer(namespace string) (cache.SharedIndexInformer, error) {
	informer := cache.NewSharedIndexInformer(w.connection.follow(namespace), &batchv1.Job{}, 0, nil)
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
	if !w.identify(ctx) || !w.readEarlier(ctx) {
		return
	}
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		defer close(written)
		w.writer.run(writing)
	}()
	var running sync.WaitGroup
	for namespace, informer := range w.informers {
		handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(job any) { w.metrics.jobs.Inc(); w.record(job.(*observation)) },
			UpdateFunc: func(before, after any) { w.updated(before.(*observation), after.(*observation)) },
			DeleteFunc: w.deleted,
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
	running.Wait() // nothing more is put after this
	stop()
	<-written
}

// record stores a state of a Job, under each job that it is a run of.
func (w *Watcher) record(job *observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	record := job.record
	if job.selected && !slices.Contains(w.names[record.Run.ID], record.Job) {
		w.names[record.Run.ID] = append(w.names[record.Run.ID], record.Job)
	}
	for _, record.Job = range w.names[record.Run.ID] {
		w.writer.put(record)
	}
}

func (w *Watcher) updated(before, after *observation) {
	if before.record.Run.ID != after.record.Run.ID { // the Job before was deleted unseen
		w.conclude(before, jobGone)
	}
	if before.selected != after.selected || !same(before.record, after.record) {
		w.record(after)
	}
}

// same reports whether two states of a run differ in nothing but their version.
func same(a, b jobrun.Record) bool {
	a.Version, b.Version = 0, 0
	return reflect.DeepEqual(a, b)
}

func (w *Watcher) deleted(object any) {
	w.metrics.jobs.Dec()
	if unseen, ok := object.(cache.DeletedFinalStateUnknown); ok {
		w.conclude(unseen.Obj.(*observation), jobGone)
	} else {
		w.conclude(object.(*observation), jobDeleted)
	}
}

// conclude stores how a Job ended that does not exist any more: as its last state says, or else
// with the end. The version stays that of the last state, so that a later one, by another watcher,
// is believed more, whichever is stored first.
func (w *Watcher) conclude(last *observation, end jobrun.End) {
	concluded := *last
	if !last.record.Run.Concluded {
		concluded.record = gone(last.record, last.deletedAt, end)
	}
	w.record(&concluded)
	w.mu.Lock()
	defer w.mu.Unlock()
	if end == jobGone && !last.record.Run.Concluded && w.names[last.record.Run.ID] != nil {
		w.log.Warn("Job gone without a conclusion, its run has failed",
			append(name(last.record), "concludedAt", concluded.record.Run.ConcludedAt)...)
	}
	delete(w.names, last.record.Run.ID)
}
