package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/cmd/internal/size"
	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/listen"
)

// leastCache is the least memory that a cache takes.
const leastCache size.Value = 32 << 20

func newServe() *cobra.Command {
	var admin adminOptions
	var metricsJobs, keep int
	var age time.Duration
	var l listenOptions
	var delay time.Duration
	var proxies []string
	cache := size.Value(64 << 20)
	options := server.Options{
		RateLimit:   auth.RateLimit{Requests: 1000, Window: time.Hour},
		RecordLimit: auth.RateLimit{Requests: 10_000, Window: time.Hour},
	}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API",
		Long: `Serve the API from the store until SIGTERM or SIGINT. Running requests are then
finished, up to 10 seconds. /readyz fails at once; with --shutdown-delay, requests are
served for that long, so that a load balancer can notice.

In a browser, / is a page on which to find runs, with a token.

Runs that have concluded are cached in memory, up to --cache-size, and the tokens
that were used lately. A run that is removed or recorded anew, and a token that
is revoked, is forgotten within a second.

With --retain, old runs are removed at the start and every hour, as by jobrund prune
--older-than and --keep-last.
Several servers may do so in one store.

A store that does not exist yet is made if --store names it. If its file is moved, removed
or replaced, the server ends with an error: stop it first, and start it again afterwards.

/metrics of --admin-addr tells of each job how it does, read from the store at each
scrape: of the first jobs by team, project and job, up to --metrics-jobs.

The log goes to standard error: text on a terminal, JSON otherwise.`,
		Example: "  jobrund serve --addr 127.0.0.1:8080 --store sqlite:jobruns.db",
		Args:    cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options.Program = "jobrund " + version.Short()
			if (l.certificate == "") != (l.key == "") {
				return cli.Usagef("--tls-cert and --tls-key go together")
			}
			if cmd.Flags().Changed("retain") && age == 0 {
				return cli.Usagef("--retain 0: must be positive")
			}
			if err := checkKeep(keep); err != nil {
				return err
			}
			if cache != 0 && cache < leastCache {
				return cli.Usagef("--cache-size %s: must be 0 or at least %s", cache, leastCache)
			}
			if metricsJobs < 0 {
				return cli.Usagef("--metrics-jobs must not be negative")
			}
			if err := admin.check(); err != nil {
				return err
			}
			for _, text := range proxies {
				proxy, err := parseProxy(text)
				if err != nil {
					return err
				}
				options.TrustedProxies = append(options.TrustedProxies, proxy)
			}
			switch header := http.CanonicalHeaderKey(options.TrustedHeader); header {
			case server.XForwardedFor, server.Forwarded:
				options.TrustedHeader = header
			default:
				return cli.Usagef("--trusted-header %q: must be X-Forwarded-For or Forwarded", options.TrustedHeader)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			log, endLog := newLog()
			defer endLog()
			listener, tlsConfig, url, err := l.listen(log) // an address that is taken must not make a store
			if err != nil {
				return err
			}
			defer listener.Close()
			socket, err := l.listenAtSocket()
			if err != nil {
				return err
			}
			if socket != nil {
				defer socket.Close()
			}
			// A server in the wrong directory must not serve a new store that nobody asked for.
			store, err := openStore(ctx, cmd, cmd.Flag(storeFlag).Changed)
			if err != nil {
				return err
			}
			defer store.Close()
			ctx = untilMoved(ctx, store)
			registry := newRegistry()
			options.Metrics, options.Memory = registry, int(cache)
			var endTraces func()
			if options.Traces, endTraces, err = newTraces(ctx, log); err != nil {
				return err
			}
			defer endTraces()
			handler, err := server.New(store, log, options)
			if err != nil {
				return err
			}
			log.Info("serving", "url", url)
			if !l.private(listener) {
				log.Warn(
					"tokens travel in the clear: give --tls-cert and --tls-key, or --insecure-behind-proxy " +
						"if a proxy encrypts the way to here",
				)
			}
			if metricsJobs > 0 {
				registry.MustRegister(server.NewJobMetrics(store, metricsJobs, log))
			}
			closeAdmin, err := serveAdmin(ctx, admin, store.Ready, registry, log)
			if err != nil {
				return err
			}
			defer closeAdmin()
			group, serving := errgroup.WithContext(later(ctx, delay))
			group.Go(func() error { return listen.Serve(serving, listener, tlsConfig, handler, log) })
			group.Go(func() error { store.Listen(serving, log); return nil })
			if age > 0 {
				group.Go(func() error { retain(serving, store, age, keep, log); return nil })
			}
			if socket != nil {
				group.Go(func() error { return listen.Serve(serving, socket, nil, handler, log) })
			}
			return errors.Join(group.Wait(), movedError(ctx))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&l.address, "addr", "127.0.0.1:8080", "address and port to listen on; port 0 picks a free one")
	flags.StringVar(
		&l.certificate,
		"tls-cert",
		"",
		"file with the certificate to serve HTTPS with, in PEM; read again when it changes",
	)
	flags.StringVar(&l.key, "tls-key", "", "file with the key of the certificate, in PEM")
	flags.BoolVar(
		&l.behindProxy,
		"insecure-behind-proxy",
		false,
		"do not warn that tokens travel in the clear: a proxy encrypts the way to here",
	)
	flags.StringSliceVar(
		&proxies,
		"trusted-proxy",
		nil,
		"address or CIDR of a proxy whose --trusted-header says who the caller is; can be repeated",
	)
	flags.StringVar(
		&options.TrustedHeader,
		"trusted-header",
		server.XForwardedFor,
		"the header in which trusted proxies write the caller's address: X-Forwarded-For or Forwarded",
	)
	flags.Var(
		&options.RateLimit,
		"rate-limit",
		"how many requests each token may make of this process, such as 50/10s; 0 for no limit",
	)
	flags.Var(
		&options.RecordLimit,
		"record-limit",
		"how many new runs each token may record with this process; 0 for no limit",
	)
	flags.StringVar(&l.socket, "socket", "", "path of a Unix socket to listen on too, for programs on this host")
	flags.Var(
		&cache,
		"cache-size",
		"memory for the cache of runs that have concluded, at least 32MiB; with 0, neither they nor tokens are cached",
	)
	flags.Var(
		(*duration.Value)(&age),
		"retain",
		"remove runs that concluded longer ago, such as 90d or 12h (default keep them for ever)",
	)
	keepFlag(cmd, &keep)
	flags.Var(
		(*duration.Value)(&delay),
		"shutdown-delay",
		"how long to serve on after the signal, while /readyz already says 503",
	)
	admin.addFlags(cmd)
	flags.IntVar(&metricsJobs, "metrics-jobs", 10_000, "how many jobs /metrics tells of at most; 0 for none")
	return cmd
}

// parseProxy returns the addresses that a person typed.
func parseProxy(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	proxy, err := netip.ParsePrefix(text)
	if err != nil {
		return proxy, cli.Usagef("--trusted-proxy %q: must be an address or a CIDR, such as 10.0.0.0/8", text)
	}
	return proxy.Masked(), nil
}

// later returns a context that ends that long after the other has.
func later(ctx context.Context, d time.Duration) context.Context {
	late, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(d, end) })
	return late
}
