-- +goose Up

-- Lists the runs of a project. This is a migration of its own, so that a start that is interrupted here does not fill the
-- table jobs again.
CREATE INDEX runs_of_project ON runs (team, project, status, started_at DESC, job, id);
