-- +goose Up

-- An outcome is stored as the JSON of the contract's JobRunOutcome. Before, nulls were left out, times were seconds since
-- 1970, an attempt without a reason had ended as its run, and "of" was the run's conclusion: another one means that a
-- program that knows no outcomes replaced the run and left the outcome and the output, which are then those of another run.
UPDATE runs SET (outcome, output) = (NULL, NULL)
    WHERE (outcome IS NOT NULL OR output IS NOT NULL) AND CASE concluded
        WHEN 1 THEN coalesce(outcome ->> 'of', '') <> status || ' ' || concluded_at OR outcome ->> 'reason' IS NULL
        ELSE outcome ->> 'of' IS NOT NULL END;

UPDATE runs SET outcome = json_object(
        'reason', outcome ->> 'reason',
        'message', CASE WHEN concluded = 1 THEN coalesce(outcome ->> 'message', '') END,
        'exitStatus', outcome ->> 'exitStatus',
        'signal', outcome ->> 'signal',
        'host', outcome ->> 'host',
        'attempts', json((SELECT json_group_array(json_object(
            'number', attempt ->> 'number',
            'startedAt', strftime('%Y-%m-%dT%H:%M:%SZ', attempt ->> 'startedAt', 'unixepoch'),
            'concludedAt', strftime('%Y-%m-%dT%H:%M:%SZ', attempt ->> 'concludedAt', 'unixepoch'),
            'reason', its ->> 'reason',
            'message', coalesce(its ->> 'message', ''),
            'exitStatus', its ->> 'exitStatus',
            'signal', its ->> 'signal'))
        FROM (SELECT value AS attempt, iif(value ->> 'reason' IS NULL, outcome, value) AS its
            FROM json_each(outcome, '$.attempts') ORDER BY key))))
    WHERE outcome IS NOT NULL;

UPDATE schema_support SET oldest_writer = 10;
