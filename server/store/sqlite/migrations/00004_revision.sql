-- +goose Up

-- Counts the changes of what does not change by itself: of a run that has concluded, and of a token. Who keeps those in
-- memory looks here whether they still are as they were.
CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
INSERT INTO revision (number) VALUES (0);

-- +goose StatementBegin
CREATE TRIGGER runs_changed AFTER UPDATE ON runs WHEN old.concluded = 1 AND
    (old.team, old.project, old.job, old.id, old.active, old.backoff_limit, old.completions, old.concluded, old.failed, old.run_name, old.status, old.succeeded, old.started_at, old.concluded_at)
    IS NOT
    (new.team, new.project, new.job, new.id, new.active, new.backoff_limit, new.completions, new.concluded, new.failed, new.run_name, new.status, new.succeeded, new.started_at, new.concluded_at)
BEGIN
    UPDATE revision SET number = number + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER runs_removed AFTER DELETE ON runs WHEN old.concluded = 1
BEGIN
    UPDATE revision SET number = number + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tokens_changed AFTER UPDATE ON tokens
BEGIN
    UPDATE revision SET number = number + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tokens_removed AFTER DELETE ON tokens
BEGIN
    UPDATE revision SET number = number + 1;
END;
-- +goose StatementEnd
