-- +goose Up

-- Counts the changes of what does not change by itself: of a run that has concluded, and of a token. Who keeps those in
-- memory looks here whether they still are as they were. A statement counts once, whatever number of rows it changes: one
-- row that is changed a million times in a transaction is a million rows to PostgreSQL.
CREATE TABLE revision (number bigint NOT NULL);
INSERT INTO revision (number) VALUES (0);

-- +goose StatementBegin
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revision SET number = number + 1;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION count_change_of_concluded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT team, project, job, id, active, backoff_limit, completions, failed, run_name, status, succeeded, started_at, concluded_at
            FROM changed WHERE concluded = 1
        EXCEPT
        SELECT team, project, job, id, active, backoff_limit, completions, failed, run_name, status, succeeded, started_at, concluded_at
            FROM replaced WHERE concluded = 1
    ) THEN
        UPDATE revision SET number = number + 1;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION count_removal_of_concluded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM removed WHERE concluded = 1) THEN
        UPDATE revision SET number = number + 1;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER runs_changed AFTER UPDATE ON runs REFERENCING OLD TABLE AS changed NEW TABLE AS replaced
    FOR EACH STATEMENT EXECUTE FUNCTION count_change_of_concluded();
CREATE TRIGGER runs_removed AFTER DELETE ON runs REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_removal_of_concluded();
CREATE TRIGGER runs_truncated AFTER TRUNCATE ON runs FOR EACH STATEMENT EXECUTE FUNCTION count_change();
CREATE TRIGGER tokens_changed AFTER UPDATE OR DELETE OR TRUNCATE ON tokens FOR EACH STATEMENT EXECUTE FUNCTION count_change();
