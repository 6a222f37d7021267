-- +goose Up

-- Recorders report to a server instead of writing here. A recorder sends its next report within heartbeat_timeout seconds;
-- without one, the run is never lost. heard_at is the time of its last report, in seconds since 1970. lost_at is when the
-- run is lost, on the count of the table listening; in a run that has concluded, it means that a server has concluded it.
-- log has the last lines that the command printed, as the JSON of the contract's LogLine.
ALTER TABLE runs ADD COLUMN heartbeat_timeout INTEGER;
ALTER TABLE runs ADD COLUMN lost_at INTEGER;
ALTER TABLE runs ADD COLUMN heard_at INTEGER;
ALTER TABLE runs ADD COLUMN log TEXT;

-- How many milliseconds servers have listened for reports.
CREATE TABLE listening (ms INTEGER NOT NULL) STRICT;
INSERT INTO listening (ms) VALUES (0);

-- The recorders of open runs wrote here until now. They get 120 seconds to report to a server.
UPDATE runs SET heartbeat_timeout = 120, lost_at = 120000, heard_at = lease_renewed_at
    WHERE concluded = 0 AND lease_boot IS NOT NULL;

-- The output was one text. It becomes one line, printed when the run concluded.
UPDATE runs SET log = json_array(json_object('ts', strftime('%Y-%m-%dT%H:%M:%SZ', concluded_at, 'unixepoch'), 'log', output ->> 'output'))
    WHERE output IS NOT NULL AND concluded_at IS NOT NULL AND output ->> 'output' IS NOT NULL;

DROP INDEX runs_leases;
ALTER TABLE runs DROP COLUMN lease_lock;
ALTER TABLE runs DROP COLUMN lease_renewed_at;
ALTER TABLE runs DROP COLUMN lease_renewed;
ALTER TABLE runs DROP COLUMN lease_boot;
ALTER TABLE runs DROP COLUMN output;

-- Finds the runs that are lost.
CREATE INDEX runs_lost ON runs (lost_at) WHERE concluded = 0 AND lost_at IS NOT NULL;

UPDATE schema_support SET oldest_writer = 11;
