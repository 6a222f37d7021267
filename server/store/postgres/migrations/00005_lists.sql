-- +goose Up

-- Lists the runs of a job, and finds its latest one.
CREATE INDEX runs_by_start ON runs (team, project, job, status, started_at DESC, id);
