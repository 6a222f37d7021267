-- +goose Up

-- The columns of runs are the fields of the contract's JobRun, times as seconds since 1970. The constraints refuse what
-- the contract does not allow, whoever writes.
CREATE TABLE runs (
    team          TEXT    NOT NULL CONSTRAINT "teamId pattern" CHECK (
        octet_length(team) BETWEEN 1 AND 253 AND length(team) = octet_length(team)
        AND team NOT GLOB '*[^A-Za-z0-9._-]*' AND substr(team, 1, 1) NOT IN ('.', '_', '-') AND substr(team, -1) NOT IN ('.', '_', '-')),
    project       TEXT    NOT NULL CONSTRAINT "projectId pattern" CHECK (
        octet_length(project) BETWEEN 1 AND 253 AND length(project) = octet_length(project)
        AND project NOT GLOB '*[^A-Za-z0-9._-]*' AND substr(project, 1, 1) NOT IN ('.', '_', '-') AND substr(project, -1) NOT IN ('.', '_', '-')),
    job           TEXT    NOT NULL CONSTRAINT "jobId pattern" CHECK (
        octet_length(job) BETWEEN 1 AND 253 AND length(job) = octet_length(job)
        AND job NOT GLOB '*[^A-Za-z0-9._-]*' AND substr(job, 1, 1) NOT IN ('.', '_', '-') AND substr(job, -1) NOT IN ('.', '_', '-')),
    id            TEXT    NOT NULL CONSTRAINT "id pattern" CHECK (
        octet_length(id) BETWEEN 1 AND 253 AND length(id) = octet_length(id)
        AND id NOT GLOB '*[^A-Za-z0-9._-]*' AND substr(id, 1, 1) NOT IN ('.', '_', '-') AND substr(id, -1) NOT IN ('.', '_', '-')),
    active        INTEGER NOT NULL CONSTRAINT "active enum" CHECK (active IN (0, 1)),
    backoff_limit INTEGER NOT NULL CONSTRAINT "backoffLimit minimum" CHECK (backoff_limit >= 0),
    completions   INTEGER NOT NULL CONSTRAINT "completions minimum" CHECK (completions >= 0),
    concluded     INTEGER NOT NULL CONSTRAINT "concluded boolean" CHECK (concluded IN (0, 1)),
    failed        INTEGER NOT NULL CONSTRAINT "failed enum" CHECK (failed IN (0, 1)),
    run_name      TEXT    NOT NULL CONSTRAINT "runName pattern" CHECK (
        length(run_name) BETWEEN 1 AND 512 AND instr(CAST(run_name AS BLOB), x'00') = 0
        AND run_name NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'),
    status        TEXT    NOT NULL CONSTRAINT "status enum" CHECK (status IN ('SUCCESS', 'RUNNING', 'FAILED')),
    succeeded     INTEGER NOT NULL CONSTRAINT "succeeded enum" CHECK (succeeded IN (0, 1)),
    started_at    INTEGER NOT NULL CONSTRAINT "startedAt year" CHECK (started_at BETWEEN -62167219200 AND 253402300799),
    concluded_at  INTEGER CONSTRAINT "concludedAt year" CHECK (concluded_at BETWEEN -62167219200 AND 253402300799),
    PRIMARY KEY (team, project, job, id),
    CONSTRAINT "concludedAt is null while concluded is false" CHECK (concluded = (concluded_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Lists are JSON arrays of strings.
CREATE TABLE tokens (
    hash        BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name        TEXT    NOT NULL UNIQUE CHECK (length(name) > 0),
    teams       TEXT    NOT NULL CHECK (json_array_length(teams) > 0),
    projects    TEXT    NOT NULL CHECK (json_type(projects) = 'array'),
    permissions TEXT    NOT NULL CHECK (json_type(permissions) = 'array'),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) STRICT, WITHOUT ROWID;
