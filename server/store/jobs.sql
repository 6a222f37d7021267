-- Sets the states of the jobs whose keys {set} selects from their runs. {now} is the present time: a run that claims to
-- start later counts only if there is no other run of its kind.
INSERT INTO {jobs} AS jobs (team, project, job, created_at,
    {latest}, latest_lost,
    success_id, success_started_at, success_concluded_at, failure_id, failure_started_at, failure_concluded_at,
    failures, running, running_since)
WITH keys AS MATERIALIZED ({set}),
    ends AS MATERIALIZED (SELECT j.*,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS' ORDER BY started_at DESC, id LIMIT 1)) AS success,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'FAILED' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'FAILED' ORDER BY started_at DESC, id LIMIT 1)) AS failure,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING' ORDER BY started_at DESC, id LIMIT 1)) AS open
        FROM keys AS j),
    latest AS MATERIALIZED (SELECT j.*,
        (SELECT id FROM {runs} AS r WHERE {of_job} AND id IN (j.success, j.failure, j.open)
            ORDER BY CASE WHEN started_at <= {now} THEN 0 ELSE 1 END, started_at DESC, id LIMIT 1) AS latest
        FROM ends AS j)
SELECT j.team, j.project, j.job,
    (SELECT min(at) FROM (
        SELECT min(started_at) AS at FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS'
        UNION ALL SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'FAILED'
        UNION ALL SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING') AS first),
    {l}, CASE WHEN l.concluded = 1 AND l.lost_at IS NOT NULL THEN 1 ELSE 0 END,
    coalesce(s.id, ''), coalesce(s.started_at, -62135596800), s.concluded_at,
    coalesce(f.id, ''), coalesce(f.started_at, -62135596800), f.concluded_at,
    (SELECT count(*) FROM {runs} AS r WHERE {of_job} AND status = 'FAILED'
        AND r.started_at > CASE WHEN s.started_at <= {now} THEN s.started_at ELSE -62167219201 END AND r.started_at <= {now}),
    (SELECT count(*) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING'),
    (SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING')
FROM latest AS j
JOIN {runs} AS l ON l.team = j.team AND l.project = j.project AND l.job = j.job AND l.id = j.latest
LEFT JOIN {runs} AS s ON s.team = j.team AND s.project = j.project AND s.job = j.job AND s.id = j.success
LEFT JOIN {runs} AS f ON f.team = j.team AND f.project = j.project AND f.job = j.job AND f.id = j.failure
WHERE true
ON CONFLICT (team, project, job) DO UPDATE SET
    created_at = CASE WHEN jobs.created_at < excluded.created_at THEN jobs.created_at ELSE excluded.created_at END,
    {sets}
