-- +goose Up

-- The columns of runs are the fields of the contract's JobRun, times as seconds since 1970. The constraints refuse what
-- the contract does not allow, whoever writes.
--
-- A recorder renews the lease of a run that has not concluded: lease_renewed is the database's time, in milliseconds
-- since 1970, and null for a run that no recorder vouches for. source and version say where a run was observed, and in
-- which order, see server.Record; both are null for a run that its recorder knows for certain.
CREATE TABLE runs (
    team          text COLLATE "C" NOT NULL CONSTRAINT "teamId pattern" CHECK (team ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$'),
    project       text COLLATE "C" NOT NULL CONSTRAINT "projectId pattern" CHECK (project ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$'),
    job           text COLLATE "C" NOT NULL CONSTRAINT "jobId pattern" CHECK (job ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$'),
    id            text COLLATE "C" NOT NULL CONSTRAINT "id pattern" CHECK (id ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$'),
    active        bigint NOT NULL CONSTRAINT "active enum" CHECK (active IN (0, 1)),
    backoff_limit bigint NOT NULL CONSTRAINT "backoffLimit minimum" CHECK (backoff_limit >= 0),
    completions   bigint NOT NULL CONSTRAINT "completions minimum" CHECK (completions >= 0),
    concluded     bigint NOT NULL CONSTRAINT "concluded boolean" CHECK (concluded IN (0, 1)),
    failed        bigint NOT NULL CONSTRAINT "failed enum" CHECK (failed IN (0, 1)),
    run_name      text COLLATE "C" NOT NULL CONSTRAINT "runName pattern" CHECK (
        char_length(run_name) BETWEEN 1 AND 512 AND run_name !~ '[\x01-\x1F\x7F]'),
    status        text COLLATE "C" NOT NULL CONSTRAINT "status enum" CHECK (status IN ('SUCCESS', 'RUNNING', 'FAILED')),
    succeeded     bigint NOT NULL CONSTRAINT "succeeded enum" CHECK (succeeded IN (0, 1)),
    started_at    bigint NOT NULL CONSTRAINT "startedAt year" CHECK (started_at BETWEEN -62167219200 AND 253402300799),
    concluded_at  bigint CONSTRAINT "concludedAt year" CHECK (concluded_at BETWEEN -62167219200 AND 253402300799),
    lease_renewed bigint,
    source        text COLLATE "C",
    version       bigint,
    PRIMARY KEY (team, project, job, id),
    CONSTRAINT "concludedAt is null while concluded is false" CHECK ((concluded = 1) = (concluded_at IS NOT NULL)),
    CONSTRAINT "source complete" CHECK ((source IS NULL) = (version IS NULL))
);

-- Finds the leases that have run out lately.
CREATE INDEX runs_leases ON runs (lease_renewed) WHERE concluded = 0 AND lease_renewed IS NOT NULL;

-- Finds the runs whose end nobody has observed.
CREATE INDEX runs_unconcluded ON runs (source) WHERE concluded = 0 AND source IS NOT NULL;

-- Tells those who wait of conclusions, whoever writes them: the key of the run, as a JSON array. Only a run that had not
-- concluded can be waited for.
-- +goose StatementBegin
CREATE FUNCTION notify_concluded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('jobruns_concluded', json_build_array(new.team, new.project, new.job, new.id)::text);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER runs_concluded AFTER UPDATE OF concluded ON runs
    FOR EACH ROW WHEN (new.concluded = 1 AND old.concluded = 0) EXECUTE FUNCTION notify_concluded();

-- Lists are JSON arrays of strings.
CREATE TABLE tokens (
    hash        bytea  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (length(name) > 0),
    teams       text   NOT NULL CHECK (json_array_length(teams::json) > 0),
    projects    text   NOT NULL CHECK (json_typeof(projects::json) = 'array'),
    permissions text   NOT NULL CHECK (json_typeof(permissions::json) = 'array'),
    created_at  bigint NOT NULL,
    expires_at  bigint
);
