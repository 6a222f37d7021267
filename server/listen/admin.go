package listen

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout is how long a look at whether the process is ready may take: less than a probe
// waits, so that this is what answers it.
const readyTimeout = 2 * time.Second

// NewAdmin returns a handler for the operators of the process only: it asks for no token. GET
// /livez answers 200 as long as the process runs, GET /readyz 200 or 503, and GET /metrics in the
// format of Prometheus. Profiles are at /debug/pprof/ (net/http/pprof).
//
// The function returns why the process is not ready, or nil; its context ends after two seconds. Of
// an error that wraps ErrOutdated or ErrUnavailable, the response tells no more than that; the text
// of any other is the response.
//
// The host that a request names must be an IP address, localhost, or one of the names: a web page
// that a browser of the operator shows can have its own name resolve to the address of the
// listener. Any other host gets 421.
func NewAdmin(ready func(context.Context) error, metrics prometheus.Gatherer, names ...string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		err := ready(ctx)
		switch {
		case err == nil:
			answer(w, http.StatusOK, "ok")
		case errors.Is(err, jobrun.ErrOutdated):
			answer(w, http.StatusServiceUnavailable, "not ready: "+jobrun.ErrOutdated.Error())
		case errors.Is(err, jobrun.ErrUnavailable):
			answer(w, http.StatusServiceUnavailable, "not ready: "+jobrun.ErrUnavailable.Error())
		default:
			answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		}
	})
	// What a profile takes of the process is its owner's to decide. Without the command line, which
	// may have the password of a store.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	names = append([]string{"localhost", ""}, names...) // no browser leaves the host out
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		host := (&url.URL{Host: r.Host}).Hostname()
		_, err := netip.ParseAddr(host)
		if err != nil && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) }) {
			answer(w, http.StatusMisdirectedRequest,
				"this host is not known: use an IP address or localhost, or start with --admin-host NAME")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answer writes a sentence for a person.
func answer(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, sentence+"\n") // else the caller has gone
}
