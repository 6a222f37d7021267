package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/kubernetes"
)

func newWatch() *cobra.Command {
	var kubeconfig string
	var admin adminOptions
	var options kubernetes.Options
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Record the Jobs of a Kubernetes cluster",
		Long: `Follow the Jobs (batch/v1) of a Kubernetes cluster until SIGTERM or SIGINT, and record
each as a run: its namespace is the project, its uid the id of the run, and the job is
the CronJob that owns it, or else the value of its label --job-label, or else itself.

It takes the permissions to list and watch jobs.batch in the namespaces that are
watched; one of these that must not be read does not keep the others from being
recorded. With the permission to get the namespace kube-system it knows the cluster
again at another address, or with another authority.

Jobs that are deleted while they run have failed; so have those that were deleted while
nobody watched, once the cluster says that they are gone. Jobs that stop matching
--selector are recorded to their end. A run starts when its Job does, which is when a Job
that was suspended is resumed.

Any number of watchers may write to a store, of one cluster or of several.
The log goes to standard error: text on a terminal, JSON otherwise.`,
		Example: `  jobrund watch --store sqlite:jobruns.db
  jobrund watch --namespace batch --selector team=data --job-label app.kubernetes.io/name`,
		Args: cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(checkOptions(cmd, options), admin.check()); err != nil {
				return err
			}
			return watch(cmd, kubeconfig, admin, options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(
		&kubeconfig,
		"kubeconfig",
		"",
		"file that says where the cluster is (default as kubectl finds it, or else the cluster that this runs in)",
	)
	flags.StringSliceVar(&options.Namespaces, "namespace", nil, "namespace to watch; can be repeated (default all)")
	flags.StringVar(
		&options.Selector,
		"selector",
		"",
		"label selector that Jobs must match, such as app=backup,tier!=test (default all)",
	)
	flags.StringVar(&options.Team, "team", jobrun.DefaultTeam, "team that the projects belong to")
	flags.StringVar(
		&options.JobLabel,
		"job-label",
		"",
		"label whose value names the job of a Job that no CronJob owns (default the Job's name)",
	)
	admin.addFlags(cmd)
	return cmd
}

// checkOptions checks what the person typed against the contract and the rules of Kubernetes.
func checkOptions(cmd *cobra.Command, options kubernetes.Options) error {
	if err := cli.CheckID("team", options.Team); err != nil {
		return err
	}
	// An empty list, such as a shell makes of a variable that is not set, must not come to mean
	// everything.
	if cmd.Flags().Changed("namespace") && len(options.Namespaces) == 0 {
		return cli.Usagef("--namespace: must not be empty")
	}
	for _, namespace := range options.Namespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return cli.Usagef("--namespace %q: %s", namespace, problems[0])
		}
	}
	if _, err := labels.Parse(options.Selector); err != nil {
		return cli.Usagef("--selector %q: %w", options.Selector, err)
	}
	if options.JobLabel != "" {
		if problems := validation.IsQualifiedName(options.JobLabel); len(problems) > 0 {
			return cli.Usagef("--job-label %q: %s", options.JobLabel, problems[0])
		}
	}
	return nil
}

func watch(cmd *cobra.Command, kubeconfig string, admin adminOptions, options kubernetes.Options) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log, endLog := newLog()
	defer endLog()
	// What else the Kubernetes client logs the watcher says better.
	klog.SetSlogLogger(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	config, err := kubernetes.LoadConfig(kubeconfig)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	store, err := openStore(ctx, cmd, true)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx = untilMoved(ctx, store)
	registry := newRegistry()
	watcher, err := kubernetes.New(config, store, options, log, registry)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	ready := func(ctx context.Context) error {
		if err := watcher.Ready(); err != nil {
			return err
		}
		return store.Ready(ctx)
	}
	closeAdmin, err := serveAdmin(ctx, admin, ready, registry, log)
	if err != nil {
		return err
	}
	defer closeAdmin()
	watcher.Run(ctx)
	return movedError(ctx)
}
