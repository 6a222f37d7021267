-- +goose Up

-- A job exists from the first record of a run of it. Its row says how the job is doing, so that no reader looks through its
-- runs: a copy of the run that started last (latest), the runs that started last of those that have succeeded and failed
-- (an empty id and the start of the year 1 if there is none), how many failed runs started after that success, and how
-- many runs are open. Every transaction that writes a run updates the row, and first locks it; the defaults are those of a
-- row that is made to be locked.
CREATE TABLE jobs (
    team                 text COLLATE "C" NOT NULL,
    project              text COLLATE "C" NOT NULL,
    job                  text COLLATE "C" NOT NULL,
    job_type             text COLLATE "C" NOT NULL DEFAULT 'manual' CHECK (job_type IN ('manual', 'cron')),
    created_at           bigint NOT NULL DEFAULT 253402300799,
    latest_id            text COLLATE "C" NOT NULL DEFAULT '',
    latest_active        bigint NOT NULL DEFAULT 0,
    latest_backoff_limit bigint NOT NULL DEFAULT 0,
    latest_completions   bigint NOT NULL DEFAULT 0,
    latest_concluded     bigint NOT NULL DEFAULT 0,
    latest_failed        bigint NOT NULL DEFAULT 0,
    latest_run_name      text COLLATE "C" NOT NULL DEFAULT '',
    latest_status        text COLLATE "C" NOT NULL DEFAULT 'RUNNING',
    latest_succeeded     bigint NOT NULL DEFAULT 0,
    latest_started_at    bigint NOT NULL DEFAULT -62135596800,
    latest_concluded_at  bigint,
    latest_lost          bigint NOT NULL DEFAULT 0 CHECK (latest_lost IN (0, 1)),
    success_id           text COLLATE "C" NOT NULL DEFAULT '',
    success_started_at   bigint NOT NULL DEFAULT -62135596800,
    success_concluded_at bigint,
    failure_id           text COLLATE "C" NOT NULL DEFAULT '',
    failure_started_at   bigint NOT NULL DEFAULT -62135596800,
    failure_concluded_at bigint,
    failures             bigint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    running              bigint NOT NULL DEFAULT 0 CHECK (running >= 0),
    running_since        bigint,
    PRIMARY KEY (team, project, job)
);

-- No run may change while the rows are counted. Readers do not wait.
LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE;

-- PostgreSQL expects far more jobs than there are. It must take a few steps into an index for each job, and not read all runs.
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL jit = off;

INSERT INTO jobs (team, project, job, created_at,
        latest_id, latest_active, latest_backoff_limit, latest_completions, latest_concluded, latest_failed,
        latest_run_name, latest_status, latest_succeeded, latest_started_at, latest_concluded_at, latest_lost,
        success_id, success_started_at, success_concluded_at, failure_id, failure_started_at, failure_concluded_at,
        failures, running, running_since)
WITH keys AS MATERIALIZED (SELECT DISTINCT team, project, job FROM runs),
    ends AS MATERIALIZED (SELECT k.team, k.project, k.job,
        (SELECT id FROM runs WHERE team = k.team AND project = k.project AND job = k.job AND status = 'SUCCESS'
            ORDER BY started_at DESC, id LIMIT 1) AS success,
        (SELECT id FROM runs WHERE team = k.team AND project = k.project AND job = k.job AND status = 'FAILED'
            ORDER BY started_at DESC, id LIMIT 1) AS failure,
        (SELECT id FROM runs WHERE team = k.team AND project = k.project AND job = k.job AND status = 'RUNNING'
            ORDER BY started_at DESC, id LIMIT 1) AS open
        FROM keys AS k),
    j AS MATERIALIZED (SELECT e.*,
        (SELECT id FROM runs WHERE team = e.team AND project = e.project AND job = e.job
            AND id IN (e.success, e.failure, e.open) ORDER BY started_at DESC, id LIMIT 1) AS latest
        FROM ends AS e)
SELECT j.team, j.project, j.job,
    (SELECT min(at) FROM (
        SELECT min(started_at) AS at FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'SUCCESS'
        UNION ALL SELECT min(started_at) FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'FAILED'
        UNION ALL SELECT min(started_at) FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'RUNNING'
    ) AS first),
    l.id, l.active, l.backoff_limit, l.completions, l.concluded, l.failed,
    l.run_name, l.status, l.succeeded, l.started_at, l.concluded_at,
    CASE WHEN l.concluded = 1 AND l.lost_at IS NOT NULL THEN 1 ELSE 0 END,
    coalesce(s.id, ''), coalesce(s.started_at, -62135596800), s.concluded_at,
    coalesce(f.id, ''), coalesce(f.started_at, -62135596800), f.concluded_at,
    (SELECT count(*) FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'FAILED'
        AND started_at > coalesce(s.started_at, -62167219201)),
    (SELECT count(*) FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'RUNNING'),
    (SELECT min(started_at) FROM runs WHERE team = j.team AND project = j.project AND job = j.job AND status = 'RUNNING')
FROM j JOIN runs AS l ON l.team = j.team AND l.project = j.project AND l.job = j.job AND l.id = j.latest
    LEFT JOIN runs AS s ON s.team = j.team AND s.project = j.project AND s.job = j.job AND s.id = j.success
    LEFT JOIN runs AS f ON f.team = j.team AND f.project = j.project AND f.job = j.job AND f.id = j.failure;

-- A server of an earlier version does not know the table jobs. Its writes fail from here on, until it notices that it is
-- too old.
ALTER TABLE runs RENAME COLUMN heard_at TO reported_at;
UPDATE schema_support SET oldest_writer = 10;
