package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

// adminOptions say where to serve the operators.
type adminOptions struct {
	address string   // "" for nowhere
	hosts   []string // names of the listener
}

func (o *adminOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&o.address,
		"admin-addr",
		"",
		"address and port to serve /livez, /readyz, /metrics and /debug/pprof/ on, without a token; "+
			"port 0 picks a free one (default none)",
	)
	cmd.Flags().StringSliceVar(
		&o.hosts,
		"admin-host",
		nil,
		"name by which --admin-addr may be called, besides IP addresses and localhost; can be repeated",
	)
}

// check returns an error of wrong usage for anything but names, such as a name with a port.
func (o *adminOptions) check() error {
	for _, name := range o.hosts {
		if err := cli.CheckID("admin-host", name); err != nil {
			return err
		}
	}
	return nil
}

// newRegistry returns a registry with the metrics of any process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// serveAdmin answers those who run the process, if there is an address, until what it returns is
// called: also while the process shuts down, when the context has ended and it is not ready any
// more.
func serveAdmin(ctx context.Context, o adminOptions, ready func(context.Context) error, registry *prometheus.Registry,
	log *slog.Logger,
) (stop func(), err error) {
	if o.address == "" {
		return func() {}, nil
	}
	listener, err := listenAt(o.address, "--admin-addr")
	if err != nil {
		return nil, err
	}
	log.Info("serving admin", "url", "http://"+listener.Addr().String())
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	handler := listen.NewAdmin(func(probe context.Context) error {
		if ctx.Err() != nil {
			return errors.New("shutting down")
		}
		err := ready(probe)
		if errors.Is(err, jobrun.ErrUnavailable) {
			log.Warn("not ready", "error", err)
		}
		return err
	}, registry, o.hosts...)
	go func() {
		defer close(done)
		log := log.With("listener", "admin")
		if err := listen.Serve(serving, listener, nil, handler, log); err != nil {
			log.Error("the listener has failed", "error", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}, nil
}
