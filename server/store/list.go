package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Projects lists the ids of a team's projects in their order. If only is not empty, others are left
// out. It finds each project with one step into the primary key, and does not read its runs.
func (s *Store) Projects(
	ctx context.Context, team string, only []string, page jobrun.Page,
) (list jobrun.List[string], err error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return list, err
	}
	defer end()
	names, err := s.projects(ctx, team, only, page.After, page.Skip+page.Size+1)
	if err != nil {
		return list, s.classify(ctx, err)
	}
	list.Items = names[min(page.Skip, len(names)):]
	if len(list.Items) > page.Size {
		list.Items = list.Items[:page.Size]
		list.Next = list.Items[page.Size-1]
	}
	return list, nil
}

// projects returns the first projects after one.
func (s *Store) projects(ctx context.Context, team string, only []string, after string, most int) ([]string, error) {
	if len(only) > 0 {
		return s.existing(ctx, team, only, after, most)
	}
	rows, err := s.query(ctx, s.engine.distinct("project", "team = $1", "$2", "$3")+
		"SELECT listed FROM names WHERE listed IS NOT NULL ORDER BY n", team, after, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// existing returns those of the projects that have runs.
func (s *Store) existing(ctx context.Context, team string, of []string, after string, most int) ([]string, error) {
	var names []string
	of = slices.Compact(slices.Sorted(slices.Values(of)))
	for _, name := range of {
		if name <= after || len(names) == most {
			continue
		}
		switch err := s.exists(ctx, "team = $1 AND project = $2", team, name); {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, err
		}
	}
	return names, nil
}

// Jobs lists the jobs of the project of the key, by id, each with its latest run, and leaves out
// those whose latest run does not match the filter, of which only the statuses count. It finds each
// job and its latest run with a few steps into the index, and reads no other runs. A list with a
// filter looks at up to scanLimit jobs.
// Returns jobrun.ErrNotFound if the project has no runs at all.
func (s *Store) Jobs(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (list jobrun.List[model.Job], err error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return list, err
	}
	defer end()
	skip, last := page.Skip, page.After
	for looked := 0; looked < page.Skip+scanLimit; {
		jobs, err := s.jobsAfter(ctx, key, last, jobsAtOnce(filter, page))
		if err != nil {
			return list, s.classify(ctx, err)
		}
		for _, job := range jobs {
			switch matches := filter.Matches(job.LatestRun.Status); {
			case matches && skip > 0:
				skip--
			case matches && len(list.Items) == page.Size:
				list.Next = last
				return list, nil
			case matches:
				list.Items = append(list.Items, job)
			}
			last = job.ID
		}
		if looked += len(jobs); len(jobs) < jobsAtOnce(filter, page) {
			if len(list.Items) == 0 {
				err = s.exists(ctx, "team = $1 AND project = $2", key.Team, key.Project)
			}
			return list, s.classify(ctx, err)
		}
	}
	list.Next = last // there may be more
	return list, nil
}

// jobsAtOnce returns how many jobs Jobs reads with one query.
func jobsAtOnce(filter jobrun.Filter, page jobrun.Page) int {
	if page.Skip == 0 && len(filter.Statuses) == 0 {
		return page.Size + 1
	}
	return jobrun.MaxPageSize + 1
}

// jobsAfter returns the first jobs after one, with their latest runs.
func (s *Store) jobsAfter(ctx context.Context, key jobrun.Key, after string, most int) (jobs []model.Job, err error) {
	for dead := (deadRecorders{}); ; {
		var ended []string
		if jobs, ended, err = s.readJobs(ctx, key, after, most); err != nil || !dead.more(ended) {
			return jobs, err
		}
	}
}

func (s *Store) readJobs(
	ctx context.Context, key jobrun.Key, after string, most int,
) (jobs []model.Job, ended []string, err error) {
	rows, err := s.query(ctx, s.engine.jobsQuery(), key.Team, key.Project, after, most)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r jobrun.Record
		final, err := ScanRun(rows, &r, &r.Job)
		if err != nil {
			return nil, nil, err
		}
		if !final && r.Run.Concluded {
			ended = append(ended, r.Job+"/"+r.Run.ID)
		}
		jobs = append(jobs, model.Job{
			ID: r.Job, ProjectID: key.Project, AppID: "/" + key.Team + "/" + key.Project + "/" + r.Job,
			Name: r.Job, LatestRun: &r.Run,
		})
	}
	return jobs, ended, rows.Err()
}

// jobsQuery returns the query of jobsAfter. The latest run of a job is the latest of those of each
// status.
func (e Engine) jobsQuery() string {
	runs := e.table("runs")
	latest := ""
	for i, status := range []model.JobRunStatus{
		model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed,
	} {
		if i > 0 {
			latest += " UNION ALL "
		}
		latest += fmt.Sprintf(`SELECT * FROM (SELECT started_at, id FROM %s
			WHERE team = $1 AND project = $2 AND job = listed AND status = '%s'
			ORDER BY started_at DESC, id LIMIT 1) AS part`, runs, status)
	}
	return fmt.Sprintf(`%s SELECT %s, job FROM names CROSS JOIN %s
		WHERE team = $1 AND project = $2 AND job = listed
		AND id = (SELECT id FROM (%s) AS parts ORDER BY started_at DESC, id LIMIT 1) ORDER BY n`,
		e.distinct("job", "team = $1 AND project = $2", "$3", "$4"), e.runColumns(), runs, latest)
}

// distinct begins a query with a table names: the values of a column of the table runs, numbered
// from 1, and one more that is null after the last. It has the values after one, and at most so
// many; both are parameters. Each costs one step into an index that begins with the columns of the
// condition and that column (https://wiki.postgresql.org/wiki/Loose_indexscan).
func (e Engine) distinct(column, condition, after, most string) string {
	next := func(after string) string {
		return "(SELECT " + column + " FROM " + e.table("runs") +
			" WHERE " + condition + " AND " + column + " > " + after + " ORDER BY " + column + " LIMIT 1)"
	}
	return "WITH RECURSIVE names(listed, n) AS (SELECT " + next(after) + ", 1 UNION ALL SELECT " + next("listed") +
		", n + 1 FROM names WHERE listed IS NOT NULL AND n < " + most + ") "
}
