-- +goose Up

-- A recorder renews the lease of a run that has not concluded. The lease counts on the machine's steady clock, in
-- milliseconds, which starts anew with each boot; renewed_at is the time of day, in seconds since 1970. All three are
-- null for a run that no recorder vouches for.
ALTER TABLE runs ADD COLUMN lease_boot TEXT;
ALTER TABLE runs ADD COLUMN lease_renewed INTEGER;
ALTER TABLE runs ADD COLUMN lease_renewed_at INTEGER CONSTRAINT "lease complete" CHECK (
    lease_boot IS NULL AND lease_renewed IS NULL AND lease_renewed_at IS NULL
    OR lease_boot IS NOT NULL AND lease_renewed IS NOT NULL AND lease_renewed_at IS NOT NULL
    AND lease_renewed_at BETWEEN -62167219200 AND 253402300799);

-- Finds the leases that have run out lately.
CREATE INDEX runs_leases ON runs (lease_boot, lease_renewed) WHERE concluded = 0 AND lease_boot IS NOT NULL;

-- The latest conclusions, whoever wrote them: those who wait look here, in the order of seq. Only a run that had not
-- concluded can be waited for.
CREATE TABLE conclusions (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    team    TEXT NOT NULL,
    project TEXT NOT NULL,
    job     TEXT NOT NULL,
    id      TEXT NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER runs_concluded AFTER UPDATE OF concluded ON runs WHEN new.concluded = 1 AND old.concluded = 0
BEGIN
    INSERT INTO conclusions (team, project, job, id) VALUES (new.team, new.project, new.job, new.id);
    DELETE FROM conclusions WHERE seq <= (SELECT max(seq) FROM conclusions) - 10000;
END;
-- +goose StatementEnd
