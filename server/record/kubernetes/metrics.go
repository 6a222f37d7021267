package kubernetes

import "github.com/prometheus/client_golang/prometheus"

// metrics are what a watcher counts and measures. None has a label, so that no name of a Job
// becomes one.
type metrics struct {
	jobs        prometheus.Gauge
	connected   prometheus.Gauge
	errors      prometheus.Counter
	written     prometheus.Counter
	refused     prometheus.Counter
	writeErrors prometheus.Counter
}

// newMetrics registers the metrics, and pending as the number of runs that are not stored yet.
func newMetrics(registry prometheus.Registerer, pending func() float64) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "jobruns_watch_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "jobruns_watch_" + name, Help: help})
	}
	m := &metrics{
		jobs: gauge("jobs", "Jobs in the namespaces that are watched."),
		connected: gauge(
			"connected",
			"Whether the API server can be reached in every namespace that is watched: 1 or 0.",
		),
		errors:      counter("errors_total", "Failed attempts to list or watch Jobs."),
		written:     counter("written_runs_total", "States of runs that were stored."),
		refused:     counter("refused_runs_total", "States of runs that the store refused for breaking the contract."),
		writeErrors: counter("write_errors_total", "Failed attempts to write to the store."),
	}
	registry.MustRegister(
		m.jobs,
		m.connected,
		m.errors,
		m.written,
		m.refused,
		m.writeErrors,
		prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{
				Name: "jobruns_watch_pending_runs",
				Help: "Runs whose latest state is not stored yet.",
			},
			pending,
		),
	)
	return m
}
