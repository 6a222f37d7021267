-- +goose Up

-- Where a run was observed, and in which order: see server.Record. Both are null for a run that its recorder knows for
-- certain.
ALTER TABLE runs ADD COLUMN source TEXT;
ALTER TABLE runs ADD COLUMN version INTEGER CONSTRAINT "source complete" CHECK ((source IS NULL) = (version IS NULL));

-- Finds the runs whose end nobody has observed.
CREATE INDEX runs_unconcluded ON runs (source) WHERE concluded = 0 AND source IS NOT NULL;
