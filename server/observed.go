package server

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// The queries of a store, as metrics and traces name them.
const (
	queryRun      = "run"
	queryToken    = "token"
	queryRevision = "revision"
	queryAwait    = "await"
	queryProjects = "projects"
	queryJob      = "job"
	queryJobs     = "jobs"
	queryRuns     = "runs"
	queryAllRuns  = "project runs"
	queryOutcome  = "outcome"
	queryLogs     = "logs"
	queryRecord   = "record"
)

var queries = []string{
	queryRun, queryToken, queryRevision, queryAwait, queryProjects, queryJob, queryJobs, queryRuns, queryAllRuns,
	queryOutcome, queryLogs, queryRecord,
}

// observedStore measures and traces each query of a store. It embeds nothing, so that a new query
// that it does not observe does not compile.
type observedStore struct {
	store   Store
	metrics *metrics
	tracer  trace.Tracer // nil if nothing is traced
}

var _ Store = (*observedStore)(nil)

// Run returns what the store's Run returns.
func (s *observedStore) Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, err error) {
	ctx, end := s.begin(ctx, queryRun)
	defer func() { end(err) }()
	return s.store.Run(ctx, key)
}

// Token returns what the store's Token returns.
func (s *observedStore) Token(ctx context.Context, hash jobrun.TokenHash) (t jobrun.Token, err error) {
	ctx, end := s.begin(ctx, queryToken)
	defer func() { end(err) }()
	return s.store.Token(ctx, hash)
}

// Revision returns what the store's Revision returns.
func (s *observedStore) Revision(ctx context.Context) (number int64, err error) {
	ctx, end := s.begin(ctx, queryRevision)
	defer func() { end(err) }()
	return s.store.Revision(ctx)
}

// Await returns what the store's Await returns. Only its failures are counted: how long it takes is
// up to the run.
func (s *observedStore) Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error) {
	run, err := s.store.Await(ctx, key, enough)
	s.metrics.failed(ctx, queryAwait, err)
	return run, err
}

// Outcome returns what the store's Outcome returns.
func (s *observedStore) Outcome(ctx context.Context, key jobrun.Key) (o *model.JobRunOutcome, err error) {
	ctx, end := s.begin(ctx, queryOutcome)
	defer func() { end(err) }()
	return s.store.Outcome(ctx, key)
}

// Logs returns what the store's Logs returns.
func (s *observedStore) Logs(ctx context.Context, key jobrun.Key) (lines []model.JobLogLine, err error) {
	ctx, end := s.begin(ctx, queryLogs)
	defer func() { end(err) }()
	return s.store.Logs(ctx, key)
}

// Projects returns what the store's Projects returns.
func (s *observedStore) Projects(
	ctx context.Context, team string, only []string, page jobrun.Page,
) (list jobrun.List[string], err error) {
	ctx, end := s.begin(ctx, queryProjects)
	defer func() { end(err) }()
	return s.store.Projects(ctx, team, only, page)
}

// Job returns what the store's Job returns.
func (s *observedStore) Job(ctx context.Context, key jobrun.Key) (job *model.JobDetail, err error) {
	ctx, end := s.begin(ctx, queryJob)
	defer func() { end(err) }()
	return s.store.Job(ctx, key)
}

// Jobs returns what the store's Jobs returns.
func (s *observedStore) Jobs(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page, withRuns bool,
) (list jobrun.List[model.Job], err error) {
	ctx, end := s.begin(ctx, queryJobs)
	defer func() { end(err) }()
	return s.store.Jobs(ctx, key, filter, page, withRuns)
}

// ProjectRuns returns what the store's ProjectRuns returns.
func (s *observedStore) ProjectRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (list jobrun.List[model.ProjectRun], err error) {
	ctx, end := s.begin(ctx, queryAllRuns)
	defer func() { end(err) }()
	return s.store.ProjectRuns(ctx, key, filter, page)
}

// JobRuns returns what the store's JobRuns returns.
func (s *observedStore) JobRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (list jobrun.List[model.JobRun], err error) {
	ctx, end := s.begin(ctx, queryRuns)
	defer func() { end(err) }()
	return s.store.JobRuns(ctx, key, filter, page)
}

// RecordRun returns what the store's RecordRun returns.
func (s *observedStore) RecordRun(
	ctx context.Context, key jobrun.Key, report model.JobRunReport, admit func(isNew bool) error,
) (run *model.JobRun, err error) {
	ctx, end := s.begin(ctx, queryRecord)
	defer func() { end(err) }()
	return s.store.RecordRun(ctx, key, report, admit)
}

// begin returns the context of a query, and the function to call when it has ended.
func (s *observedStore) begin(ctx context.Context, query string) (context.Context, func(error)) {
	begin := time.Now()
	var span trace.Span
	if s.tracer != nil {
		ctx, span = s.tracer.Start(ctx, "store "+query, trace.WithSpanKind(trace.SpanKindClient))
	}
	return ctx, func(err error) {
		s.metrics.query.WithLabelValues(query).Observe(time.Since(begin).Seconds())
		failed := s.metrics.failed(ctx, query, err)
		if span != nil {
			if failed {
				span.SetStatus(codes.Error, err.Error())
			}
			span.End()
		}
	}
}
