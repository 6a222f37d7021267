-- Sets the states of the jobs whose keys {set} selects from their runs. {now} is the present time: a run that claims to
-- start later counts only if there is no other run of its kind. {failures} is what becomes of the failures in a row.
INSERT INTO {jobs} AS jobs (team, project, job, job_type, created_at,
    latest_id, latest_status, latest_started_at, latest_concluded_at, latest_lost,
    success_id, success_started_at, success_concluded_at, failure_id, failure_started_at, failure_concluded_at,
    failures, running, running_since)
SELECT j.team, j.project, j.job, 'manual', (SELECT min(at) FROM (
        SELECT min(started_at) AS at FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS'
        UNION ALL SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'FAILED'
        UNION ALL SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING') AS first),
    l.id, l.status, l.started_at, l.concluded_at, CASE WHEN l.concluded = 1 AND l.lost_at IS NOT NULL THEN 1 ELSE 0 END,
    coalesce(s.id, ''), coalesce(s.started_at, -62135596800), s.concluded_at,
    coalesce(f.id, ''), coalesce(f.started_at, -62135596800), f.concluded_at,
    (SELECT count(*) FROM {runs} AS r WHERE {of_job} AND status = 'FAILED'
        AND r.started_at > CASE WHEN s.started_at <= {now} THEN s.started_at ELSE -62167219201 END),
    (SELECT count(*) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING'),
    (SELECT min(started_at) FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING')
FROM (SELECT j.*,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'SUCCESS' ORDER BY started_at DESC, id LIMIT 1)) AS success,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'FAILED' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'FAILED' ORDER BY started_at DESC, id LIMIT 1)) AS failure,
        coalesce(
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING' AND started_at <= {now} ORDER BY started_at DESC, id LIMIT 1),
            (SELECT id FROM {runs} AS r WHERE {of_job} AND status = 'RUNNING' ORDER BY started_at DESC, id LIMIT 1)) AS open
    FROM ({set}) AS j) AS j
LEFT JOIN {runs} AS s ON s.team = j.team AND s.project = j.project AND s.job = j.job AND s.id = j.success
LEFT JOIN {runs} AS f ON f.team = j.team AND f.project = j.project AND f.job = j.job AND f.id = j.failure
LEFT JOIN {runs} AS o ON o.team = j.team AND o.project = j.project AND o.job = j.job AND o.id = j.open
JOIN {runs} AS l ON l.team = j.team AND l.project = j.project AND l.job = j.job AND l.id = (
    SELECT id FROM (
        SELECT s.id, s.started_at UNION ALL SELECT f.id, f.started_at UNION ALL SELECT o.id, o.started_at) AS latest
    WHERE id IS NOT NULL ORDER BY CASE WHEN started_at <= {now} THEN 0 ELSE 1 END, started_at DESC, id LIMIT 1)
WHERE true
ON CONFLICT (team, project, job) DO UPDATE SET
    created_at = CASE WHEN jobs.created_at < excluded.created_at THEN jobs.created_at ELSE excluded.created_at END,
    latest_id = excluded.latest_id, latest_status = excluded.latest_status, latest_started_at = excluded.latest_started_at,
    latest_concluded_at = excluded.latest_concluded_at, latest_lost = excluded.latest_lost,
    success_id = excluded.success_id, success_started_at = excluded.success_started_at,
    success_concluded_at = excluded.success_concluded_at, failure_id = excluded.failure_id,
    failure_started_at = excluded.failure_started_at, failure_concluded_at = excluded.failure_concluded_at,
    failures = {failures}, running = excluded.running, running_since = excluded.running_since
