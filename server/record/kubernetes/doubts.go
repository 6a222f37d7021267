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
	// lookAgain is how long until a Job that no informer follows is looked for again.
	lookAgain = 5 * time.Second
	// readTimeout is how long the API server may take to answer with a page.
	readTimeout = 30 * time.Second
)

// doubt is a run that has not concluded, of which it is not certain that its Job is gone.
type doubt struct {
	record jobrun.Record // as it was last known
	at     time.Time     // when the Job was deleted, if it is gone; zero if that is not known
	stray  bool          // the Job was there, although no informer follows it
}

// doubts finds out what has become of Jobs, and goes on trying while the API server is away. A Job
// that is there, but that no informer follows, is looked for again until it has ended: its labels
// do not match the selector any more, or name another job.
type doubts struct {
	mapping    *mapping
	connection *connection
	put        func(jobrun.Record)
	starts     *starts
	followed   func(jobrun.Record) bool // whether an informer has the run's Job
	log        *slog.Logger

	mu        sync.Mutex
	open      []doubt
	ours      map[string]bool    // the sources that are this cluster
	unsettled map[string][]doubt // by source, of which it is not known whether it is this cluster
	more      chan struct{}      // full when there are some
}

// believe takes note that a source is this cluster, because it has a Job of a run from there: what
// else that source has observed, and what is not there, is gone.
func (d *doubts) believe(source string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ours[source] = true
	d.addLocked(d.unsettled[source])
	delete(d.unsettled, source)
}

// isOurs reports whether the run is known to be of this cluster. Else it keeps the doubt until it
// is.
func (d *doubts) isOurs(one doubt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	source := one.record.Source
	if !d.ours[source] {
		d.unsettled[source] = append(d.unsettled[source], one)
	}
	return d.ours[source]
}

func (d *doubts) add(some ...doubt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addLocked(some)
}

func (d *doubts) addLocked(some []doubt) {
	d.open = append(d.open, some...)
	if len(d.open) > 0 {
		select {
		case d.more <- struct{}{}:
		default:
		}
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
	var strays []doubt
	for _, one := range some {
		present, exists := jobs[one.record.Run.ID]
		switch {
		case d.followed(one.record): // the informer tells what becomes of it
			d.believe(one.record.Source)
		case exists:
			d.believe(one.record.Source)
			// It is another if the Job's label has changed, or the option that names the label.
			present.record.Job = one.record.Job
			record, ok := d.starts.keep(ctx, nil, present)
			if !ok {
				return ctx.Err()
			}
			if !one.stray {
				d.log.Info("Job not followed any more, looking for it until it ends", name(record)...)
			}
			if !one.stray || !same(one.record, record) {
				d.put(record)
			}
			if record.Run.Concluded {
				d.starts.forget(record)
			} else {
				strays = append(strays, doubt{record, present.deletedAt, true})
			}
		case d.isOurs(one):
			// The version stays that of the last observation, so that a later one, by another
			// watcher, is believed more, whichever is stored first.
			failed := gone(one.record, one.at, jobGone)
			d.put(failed)
			d.starts.forget(failed)
			d.log.Warn(
				"Job gone without a conclusion, its run has failed",
				append(name(failed), "concludedAt", failed.Run.ConcludedAt)...)
		}
	}
	if len(strays) > 0 {
		time.AfterFunc(lookAgain, func() { d.add(strays...) })
	}
	return nil
}

// find returns those Jobs that exist, by their uid, as the API server knows them right
// now, and not as one of its caches does
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list: no
// resourceVersion). It takes no permission to read a single one.
func (d *doubts) find(ctx context.Context, namespace string, some []doubt) (map[string]*observation, error) {
	wanted := map[string]bool{}
	selectors := map[string]bool{}
	for _, one := range some {
		wanted[one.record.Run.ID] = true
		selectors[fields.OneTermEqualSelector(metav1.ObjectNameField, one.record.Run.RunName).String()] = true
	}
	if len(selectors) > findByName {
		selectors = map[string]bool{"": true}
	}
	found := map[string]*observation{}
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
					found[uid] = d.mapping.observe(&page.Items[i])
				}
			}
			options.Continue = page.Continue
		}
	}
	return found, nil
}
