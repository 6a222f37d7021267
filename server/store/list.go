package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/jobruns/jobruns/server/jobrun"
)

// Projects lists the ids of a team's projects in their order. If only is not empty, others are left
// out. It finds each project with one step into the primary key of the table jobs.
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

// existing returns those of the projects that have jobs.
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

// distinct begins a query with a table names: the values of a column of the table jobs, numbered
// from 1, and one more that is null after the last. It has the values after one, and at most so
// many; both are parameters. Each costs one step into an index that begins with the columns of the
// condition and that column (https://wiki.postgresql.org/wiki/Loose_indexscan).
func (e Engine) distinct(column, condition, after, most string) string {
	next := func(after string) string {
		return "(SELECT " + column + " FROM " + e.table("jobs") +
			" WHERE " + condition + " AND " + column + " > " + after + " ORDER BY " + column + " LIMIT 1)"
	}
	return "WITH RECURSIVE names(listed, n) AS (SELECT " + next(after) + ", 1 UNION ALL SELECT " + next("listed") +
		", n + 1 FROM names WHERE listed IS NOT NULL AND n < " + most + ") "
}
