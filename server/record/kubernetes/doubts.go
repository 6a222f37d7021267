package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

const (
	// findByName is how many Jobs of a namespace are looked for one by one; for more, all of it is
	// read.
	findByName = 20
	pageSize   = 500
	// readTimeout is how long the API server may take to answer with a page.
	readTimeout = 30 * time.Second
)

// doubt is a run that has not concluded, of which it is not certain that its Job is gone.
type doubt struct {
	record jobrun.Record // as it was last known
	at     time.Time     // when the Job was deleted, if it is gone; zero if that is not known
}

// doubts finds out what has become of Jobs, and goes on trying while the API server is away.
type doubts struct {
	mapping    mapping
	connection *connection
	put        func(jobrun.Record)
	followed   func(jobrun.Record) bool // whether an informer has the run's Job
	log        *slog.Logger

	mu   sync.Mutex
	open []doubt
	more chan struct{} // full when there are some
}

func (d *doubts) add(some ...doubt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = append(d.open, some...)
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// run settles doubts until the context ends.
func (d *doubts) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-d.more:
			failed := false
			again(ctx, func(ctx context.Context) bool {
				err := d.settleAll(ctx)
				if err != nil && !failed && ctx.Err() == nil {
					failed = true
					d.log.Warn("it cannot be told whether Jobs are gone, trying again", "error", err)
				}
				return err == nil
			})
		case <-ctx.Done():
		}
	}
}

// settleAll settles all doubts. Returns an error, and keeps those of the namespace, where Jobs
// cannot be read.
func (d *doubts) settleAll(ctx context.Context) error {
	d.mu.Lock()
	some := d.open
	d.open = nil
	d.mu.Unlock()
	namespaces := map[string][]doubt{}
	for _, one := range some {
		namespaces[one.record.Project] = append(namespaces[one.record.Project], one)
	}
	var failure error
	for namespace, some := range namespaces {
		if err := d.settle(ctx, namespace, some); err != nil {
			failure = fmt.Errorf("namespace %s: %w", namespace, err)
			d.add(some...)
		}
	}
	return failure
}

func (d *doubts) settle(ctx context.Context, namespace string, some []doubt) error {
	jobs, err := d.find(ctx, namespace, some)
	if err != nil {
		return err
	}
	for _, one := range some {
		present, exists := jobs[one.record.Run.ID]
		switch {
		case d.followed(one.record): // the informer tells what becomes of it
		case exists:
			present.Job = one.record.Job // another if the Job's label has changed, or the option that names the label
			d.put(present)
			d.log.Info("Job there, but not followed any more", name(present)...)
		default:
			// The version stays that of the last observation, so that a later one, by another
			// watcher, is believed more, whichever is stored first.
			failed := gone(one.record, one.at)
			d.put(failed)
			d.log.Warn(
				"Job gone without a conclusion, its run has failed",
				append(name(failed), "concludedAt", failed.Run.ConcludedAt)...)
		}
	}
	return nil
}

// find returns the runs of those Jobs that exist, by their uid, as the API server knows them right
// now, and not as one of its caches does
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list: no
// resourceVersion). It takes no permission to read a single one.
func (d *doubts) find(ctx context.Context, namespace string, some []doubt) (map[string]jobrun.Record, error) {
	wanted := map[string]bool{}
	selectors := map[string]bool{}
	for _, one := range some {
		wanted[one.record.Run.ID] = true
		selectors[fields.OneTermEqualSelector(metav1.ObjectNameField, one.record.Run.RunName).String()] = true
	}
	if len(selectors) > findByName {
		selectors = map[string]bool{"": true}
	}
	found := map[string]jobrun.Record{}
	for selector := range selectors {
		options := metav1.ListOptions{FieldSelector: selector, Limit: pageSize}
		for more := true; more; more = options.Continue != "" {
			limited, cancel := context.WithTimeout(ctx, readTimeout)
			page, err := d.connection.list(limited, namespace, options)
			cancel()
			if err != nil {
				return nil, err
			}
			for i := range page.Items {
				if uid := string(page.Items[i].UID); wanted[uid] {
					found[uid] = d.mapping.record(&page.Items[i])
				}
			}
			options.Continue = page.Continue
		}
	}
	return found, nil
}
