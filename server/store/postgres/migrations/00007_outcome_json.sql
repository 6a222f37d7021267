-- +goose Up

-- An outcome is stored as the JSON of the contract's JobRunOutcome. Before, nulls were left out, times were seconds since
-- 1970, an attempt without a reason had ended as its run, and "of" was the run's conclusion: another one means that a
-- program that knows no outcomes replaced the run and left the outcome and the output, which are then those of another run.
-- The type json, other than jsonb, takes U+0000. No column changes that the trigger looks at.
ALTER TABLE runs DISABLE TRIGGER runs_changed;

UPDATE runs SET outcome = NULL, output = NULL
    WHERE (outcome IS NOT NULL OR output IS NOT NULL) AND CASE concluded
        WHEN 1 THEN coalesce(outcome::json ->> 'of', '') <> status || ' ' || concluded_at OR outcome::json -> 'reason' IS NULL
        ELSE outcome::json -> 'of' IS NOT NULL END;

UPDATE runs SET outcome = (
    SELECT row_to_json(document) FROM (SELECT
        o -> 'reason' AS reason,
        CASE WHEN concluded = 1 THEN coalesce(o -> 'message', '""') END AS message,
        o -> 'exitStatus' AS "exitStatus",
        o -> 'signal' AS signal,
        o -> 'host' AS host,
        (SELECT coalesce(json_agg(row_to_json(attempt) ORDER BY line), '[]')
            FROM json_array_elements(o -> 'attempts') WITH ORDINALITY AS listed (a, line),
                LATERAL (SELECT CASE WHEN a -> 'reason' IS NULL THEN o ELSE a END AS its) AS ends,
                LATERAL (SELECT
                    a -> 'number' AS number,
                    to_char(to_timestamp((a ->> 'startedAt')::bigint) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "startedAt",
                    to_char(to_timestamp((a ->> 'concludedAt')::bigint) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "concludedAt",
                    its -> 'reason' AS reason,
                    coalesce(its -> 'message', '""') AS message,
                    its -> 'exitStatus' AS "exitStatus",
                    its -> 'signal' AS signal) AS attempt) AS attempts
        FROM (SELECT outcome::json AS o) AS stored) AS document)
    WHERE outcome IS NOT NULL;

ALTER TABLE runs ENABLE TRIGGER runs_changed;

UPDATE schema_support SET oldest_writer = 7;
