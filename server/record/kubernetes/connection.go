package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// backoff is how long to wait before trying again, whatever it is that is away.
var backoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 10, Cap: 5 * time.Second, Jitter: 0.2}

// again tries until it has worked or the context has ended.
func again(ctx context.Context, try func(context.Context) bool) {
	_ = backoff.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) { return try(ctx), nil })
}

// errCut means that the connection ended where a response was due.
var errCut = errors.New("the connection was cut")

// connection reads Jobs, and logs and counts when it cannot, and when it can again.
type connection struct {
	client  rest.Interface
	log     *slog.Logger
	metrics *metrics

	mu     sync.Mutex
	states map[string]state // by namespace; "" for all
}

// state is how the last request ended, as the log says it; "" before the first.
type state string

const (
	connected state = "connected"
	away      state = "API server away, trying again"
	forbidden state = "permission missing, trying again"
	refused   state = "credentials refused by the API server, trying again"
)

// request returns a request that is tried once. The client would try ten times, and say nothing of
// it.
func (c *connection) request(namespace string, options metav1.ListOptions) *rest.Request {
	return c.client.Get().MaxRetries(0).Namespace(namespace).Resource("jobs").
		VersionedParams(&options, metav1.ParameterCodec)
}

func (c *connection) watch(ctx context.Context, namespace string, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	w, err := c.request(namespace, options).Watch(ctx)
	if _, stream := w.(*watch.StreamWatcher); err == nil && !stream {
		return nil, errCut // the client makes an empty watch of it
	}
	return w, err
}

// follow returns what an informer lists and watches. Both try again by themselves, for an informer
// says nothing of it, and its delays grow to a minute.
func (c *connection) follow(namespace string) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (k8sruntime.Object, error) {
			return persist(ctx, c, namespace, "list", func(ctx context.Context) (*batchv1.JobList, error) {
				jobs := new(batchv1.JobList)
				return jobs, c.request(namespace, options).Do(ctx).Into(jobs)
			})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return persist(ctx, c, namespace, "watch", func(ctx context.Context) (watch.Interface, error) {
				return c.watch(ctx, namespace, options)
			})
		},
	}
}

// persist calls until there is a response, or an error by which the API server tells an informer
// how to go on.
func persist[T any](
	ctx context.Context,
	c *connection,
	namespace, verb string,
	call func(context.Context) (T, error),
) (answer T, err error) {
	again(ctx, func(ctx context.Context) bool {
		answer, err = call(ctx)
		switch {
		case err == nil:
			c.succeeded(namespace)
		case ctx.Err() != nil, isAnswer(err):
		default:
			c.failed(namespace, verb, err)
			return false
		}
		return true
	})
	return answer, err
}

// isAnswer reports whether an informer has another way to go: the version from which it wants to
// know is too old or too new for this API server, or the API server does not stream lists.
func isAnswer(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

func (c *connection) failed(namespace, verb string, err error) {
	c.metrics.errors.Inc()
	next, about := away, place(namespace)
	switch {
	case apierrors.IsForbidden(err):
		next, about = forbidden, []any{"permission", permission(verb, namespace)}
	case apierrors.IsUnauthorized(err):
		next = refused
	}
	if c.change(namespace, next) != next {
		c.log.Error(string(next), append(about, "error", err)...)
	}
}

func (c *connection) succeeded(namespace string) {
	if before := c.change(namespace, connected); before != connected && before != "" {
		c.log.Info("API server back", place(namespace)...)
	}
}

// isForbidden reports whether a permission was missing at the last attempt.
func (c *connection) isForbidden(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[namespace] == forbidden
}

// change returns the state before.
func (c *connection) change(namespace string, next state) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.states[namespace]
	c.states[namespace] = next
	all := 1.0
	for _, s := range c.states {
		if s != connected {
			all = 0
		}
	}
	c.metrics.connected.Set(all)
	return before
}

func permission(verb, namespace string) string {
	if namespace == "" {
		return verb + " on jobs.batch in all namespaces"
	}
	return verb + " on jobs.batch in namespace " + namespace
}

// place returns what the log says of the namespace: nothing where all are watched.
func place(namespace string) []any {
	if namespace == "" {
		return nil
	}
	return []any{"namespace", namespace}
}
