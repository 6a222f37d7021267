package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// readEarlier reads the cluster's runs that were open when the last watcher ended. It comes before
// anything is written, because that changes their source. Returns false if the context ended
// before.
func (w *Watcher) readEarlier(ctx context.Context) bool {
	again(ctx, func(ctx context.Context) bool {
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		open, err := w.store.Unconcluded(limited, sourcePrefix)
		if err != nil {
			w.writer.failed(ctx, err)
			return false
		}
		w.writer.succeeded()
		for _, r := range open {
			if r.Team == w.options.Team && (r.Source == w.mapping.source || r.Source == w.address) {
				w.earlier = append(w.earlier, r)
				w.names[r.Run.ID] = append(w.names[r.Run.ID], r.Job)
			}
		}
		return true
	})
	return ctx.Err() == nil
}

// catchUp waits until the Jobs that an informer has listed are stored, and concludes the runs of
// those that were deleted while nobody watched.
func (w *Watcher) catchUp(ctx context.Context, namespace string) {
	informer := w.informers[namespace]
	again(ctx, func(context.Context) bool { // the informer says it a moment after it has the Jobs
		return informer.LastSyncResourceVersion() != ""
	})
	listed, known := version(informer.LastSyncResourceVersion()), map[string]bool{}
	for _, job := range informer.GetStore().List() {
		known[job.(*observation).record.Run.ID] = true
	}
	select {
	case <-w.writer.flushed():
	case <-ctx.Done():
		return
	}
	w.mu.Lock()
	w.synced[namespace] = true
	w.mu.Unlock()
	w.log.Info("synced", append(place(namespace), "jobs", len(known))...)
	for _, r := range w.earlier {
		// A Job that is newer than the list was stored by another watcher, and the informer still
		// has to learn of it.
		if (namespace == "" || namespace == r.Project) && !known[r.Run.ID] && r.Version <= listed {
			w.conclude(&observation{record: r}, jobGone)
		}
	}
}

// Ready returns nil if the Jobs that were there at the start are stored, and otherwise an error
// that says which are not. Namespaces that must not be read do not count, unless there are no
// others.
func (w *Watcher) Ready() error {
	w.mu.Lock()
	synced := len(w.synced)
	var open, forbidden []string
	for namespace := range w.informers {
		switch {
		case w.synced[namespace]:
		case w.connection.isForbidden(namespace):
			forbidden = append(forbidden, namespace)
		default:
			open = append(open, namespace)
		}
	}
	w.mu.Unlock()
	slices.Sort(open)
	slices.Sort(forbidden)
	switch {
	case len(open) > 0:
		return fmt.Errorf("the Jobs of %s have not been stored yet", namespaces(open))
	case synced == 0:
		return fmt.Errorf("permission missing: %s", permission("list and watch", strings.Join(forbidden, ", ")))
	}
	return nil
}

func namespaces(names []string) string {
	if names[0] == "" {
		return "the cluster"
	}
	return "namespace " + strings.Join(names, ", ")
}
