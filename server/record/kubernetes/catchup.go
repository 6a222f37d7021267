package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jobruns/jobruns/server/jobrun"
)

// readEarlier reads the runs that went on when the last watcher ended, whichever cluster they are
// of. It comes before anything is written, for that changes their source.
func (w *Watcher) readEarlier(ctx context.Context) {
	again(ctx, func(ctx context.Context) bool {
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		var err error
		if w.earlier, err = w.store.Unconcluded(limited, sourcePrefix); err != nil {
			w.writer.failed(ctx, err)
			return false
		}
		w.writer.succeeded()
		return true
	})
}

// catchUp waits until the Jobs that an informer has listed are stored, and looks for those that
// were deleted while nobody watched.
func (w *Watcher) catchUp(ctx context.Context, namespace string) {
	informer := w.informers[namespace]
	again(ctx, func(context.Context) bool { // the informer says it a moment after it has the Jobs
		return informer.LastSyncResourceVersion() != ""
	})
	listed, known := version(informer.LastSyncResourceVersion()), map[jobrun.Key]bool{}
	for _, job := range informer.GetStore().List() {
		known[job.(*observation).record.Key()] = true
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
	for _, record := range w.earlier {
		if watching, watched := w.watched(
			record.Project,
		); !watched || watching != namespace ||
			record.Team != w.options.Team {
			continue
		}
		switch {
		case known[record.Key()] || w.followed(record): // the informer tells what becomes of it
			w.doubts.believe(record.Source)
		case record.Source == w.mapping.source && record.Version > listed:
			// The Job is newer than the list, and another watcher has stored its run.
		default:
			w.doubts.add(doubt{record: record})
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

// watched returns which informer follows the Jobs of the namespace, if there is one.
func (w *Watcher) watched(namespace string) (informer string, ok bool) {
	for _, candidate := range []string{"", namespace} {
		if _, ok := w.informers[candidate]; ok {
			return candidate, true
		}
	}
	return "", false
}

// followed reports whether an informer has the run's Job.
func (w *Watcher) followed(record jobrun.Record) bool {
	namespace, watched := w.watched(record.Project)
	if !watched {
		return false
	}
	object, exists, err := w.informers[namespace].GetStore().GetByKey(record.Project + "/" + record.Run.RunName)
	return err == nil && exists && object.(*observation).record.Key() == record.Key()
}
