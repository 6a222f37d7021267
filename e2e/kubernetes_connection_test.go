//go:build e2e

package e2e

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/jobruns/jobruns/gen/model"
)

// cable is a TCP proxy that can be cut.
type cable struct {
	listener    net.Listener
	mu          sync.Mutex
	cut         bool
	connections map[net.Conn]bool
}

// newCable returns one to the address, which the test takes away in the end.
func newCable(t testing.TB, address string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, connections: map[net.Conn]bool{}}
	t.Cleanup(func() {
		listener.Close()
		c.set(true)
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go c.connect(near, address)
		}
	}()
	return c
}

func (c *cable) connect(near net.Conn, address string) {
	far, err := net.Dial("tcp", address)
	if err != nil || !c.add(near, far) {
		near.Close()
		if far != nil {
			far.Close()
		}
		return
	}
	go copyAndClose(near, far)
	copyAndClose(far, near)
}

func copyAndClose(to, from net.Conn) {
	_, _ = io.Copy(to, from) // until either side ends
	to.Close()
	from.Close()
}

// add refuses connections while the cable is cut.
func (c *cable) add(connections ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, connection := range connections {
		c.connections[connection] = true
	}
	return !c.cut
}

// set cuts the cable, with every connection over it, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for connection := range c.connections {
			connection.Close()
		}
		clear(c.connections)
	}
}

// over returns the cluster as it is reached over a cable.
func (c *cluster) over(t testing.TB, cable *cable) *cluster {
	t.Helper()
	return c.changed(t, func(cluster *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
		server, err := url.Parse(cluster.Server)
		if err != nil {
			t.Fatal(err)
		}
		if cluster.TLSServerName == "" {
			cluster.TLSServerName = server.Hostname()
		}
		server.Host = cable.listener.Addr().String()
		cluster.Server = server.String()
	})
}

// address is where the API server listens.
func (c *cluster) address(t testing.TB) string {
	t.Helper()
	server, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	if server.Port() == "" {
		return server.Hostname() + ":443"
	}
	return server.Host
}

func TestKubernetesConnectionCut(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	cable := newCable(t, c.address(t))
	namespace, a := c.namespace(t), newAPI(t, newStore(t))
	r := &recording{c, a, namespace, c.over(t, cable).watch(t, a.store, "--namespace", namespace)}
	held := batchv1.JobSpec{Template: pods(0, true)}
	concluding, deleted := r.start(t, held), r.start(t, held)
	r.reads(t, refOf(concluding), isActive)
	r.reads(t, refOf(deleted), isActive)

	cable.set(true)
	r.release(t, concluding, 1)
	r.concluded(t, concluding)
	r.must(t, "DELETE", pathOf(deleted)+"?propagationPolicy=Background", nil, nil)
	until(t, func() bool { return r.gone(t, pathOf(deleted)) })
	r.watcher.says(t, "API server away")
	if _, metrics := r.watcher.admin(t, "/metrics"); !strings.Contains(metrics, "\njobruns_watch_connected 0\n") {
		t.Errorf("without a connection the metrics are %s", metrics)
	}
	for _, job := range []*batchv1.Job{concluding, deleted} {
		if run := r.get(t, refOf(job)); run == nil || run.Status != model.JobRunStatusRunning {
			t.Errorf("without a connection: %+v", run)
		}
	}

	cable.set(false)
	r.watcher.says(t, "API server back")
	r.wantRun(
		t,
		concluding,
		refOf(concluding),
		model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess},
	)
	run := r.reads(t, refOf(deleted), isConcluded)
	if run.Status != model.JobRunStatusFailed || run.ConcludedAt == nil || run.ConcludedAt.Before(run.StartedAt) ||
		run.ConcludedAt.After(time.Now()) {
		t.Errorf("deleted without a connection: %+v", *run)
	}
}

// TestKubernetesConnectionCutAtTheStart starts a watcher that reaches the API server only later.
func TestKubernetesConnectionCutAtTheStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	cable := newCable(t, c.address(t))
	cable.set(true)
	namespace, a := c.namespace(t), newAPI(t, newStore(t))
	r := &recording{c, a, namespace, c.over(t, cable).watch(t, a.store, "--namespace", namespace)}
	job := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
	r.watcher.says(t, "API server away")
	if status, text := r.watcher.admin(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("before it knows anything it answers %d %q when asked whether it is ready", status, text)
	}
	cable.set(false)
	until(t, func() bool {
		status, _ := r.watcher.admin(t, "/readyz")
		return status == http.StatusOK
	})
	r.wantRun(t, job, refOf(job), model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess})
}
