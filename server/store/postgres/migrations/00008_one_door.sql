-- +goose Up

-- Recorders report to a server instead of writing here. A recorder sends its next report within heartbeat_timeout seconds;
-- without one, the run is never lost. heard_at is the time of its last report, in seconds since 1970. lost_at is when the
-- run is lost, on the count of the table listening; in a run that has concluded, it means that a server has concluded it.
-- log has the last lines that the command printed, as the JSON of the contract's LogLine.
ALTER TABLE runs ADD COLUMN heartbeat_timeout bigint;
ALTER TABLE runs ADD COLUMN lost_at bigint;
ALTER TABLE runs ADD COLUMN heard_at bigint;
ALTER TABLE runs ADD COLUMN log text COLLATE "C";

-- How many milliseconds servers have listened for reports.
CREATE TABLE listening (ms bigint NOT NULL);
INSERT INTO listening (ms) VALUES (0);

ALTER TABLE runs DISABLE TRIGGER runs_changed;

-- The recorders of open runs wrote here until now. They get 120 seconds to report to a server.
UPDATE runs SET heartbeat_timeout = 120, lost_at = 120000, heard_at = lease_renewed / 1000
    WHERE concluded = 0 AND lease_renewed IS NOT NULL;

-- The output was one text. It becomes one line, printed when the run concluded. This takes the JSON of the text as it is, because
-- no operator of json takes U+0000.
UPDATE runs SET log = '[{"ts":"' || to_char(to_timestamp(concluded_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') ||
        '","log":' || substring(output from '^{"output":("([^"\\]|\\.)*")') || '}]'
    WHERE output IS NOT NULL AND concluded_at IS NOT NULL;

ALTER TABLE runs ENABLE TRIGGER runs_changed;

DROP INDEX runs_leases;
ALTER TABLE runs DROP COLUMN lease_renewed;
ALTER TABLE runs DROP COLUMN output;

-- Finds the runs that are lost.
CREATE INDEX runs_lost ON runs (lost_at) WHERE concluded = 0 AND lost_at IS NOT NULL;

UPDATE schema_support SET oldest_writer = 8;
