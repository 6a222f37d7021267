package store

import (
	"context"
	"errors"

	"github.com/jobruns/jobruns/server/jobrun"
)

const tokenColumns = "name, teams, projects, permissions, created_at, expires_at"

// tokenFields returns pointers to the fields in tokenColumns, as parameters and for Scan.
func tokenFields(t *jobrun.Token) []any {
	return []any{
		&t.Name, (*list)(&t.Teams), (*list)(&t.Projects), (*list)(&t.Permissions),
		(*seconds)(&t.CreatedAt), nullSeconds{&t.ExpiresAt},
	}
}

// Token returns the token whose secret has the hash, whether it has expired or not.
// Returns jobrun.ErrNotFound if there is none.
func (s *Store) Token(ctx context.Context, hash jobrun.TokenHash) (jobrun.Token, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	var t jobrun.Token
	query := "SELECT " + tokenColumns + " FROM " + s.engine.table("tokens") + " WHERE hash = $1"
	err := s.queryRow(ctx, query, hash[:]).Scan(tokenFields(&t)...)
	return t, s.classify(ctx, err)
}

// CreateToken stores a token under the hash of its secret.
// Returns ErrExists if there is a token of that name.
func (s *Store) CreateToken(ctx context.Context, hash jobrun.TokenHash, t jobrun.Token) error {
	return s.insertToken(ctx, hash, t, "")
}

// ReplaceToken stores a token under the hash of its secret, and revokes the one of that name, if
// there is one.
func (s *Store) ReplaceToken(ctx context.Context, hash jobrun.TokenHash, t jobrun.Token) error {
	return s.insertToken(ctx, hash, t, " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, "+
		"teams = excluded.teams, projects = excluded.projects, permissions = excluded.permissions, "+
		"created_at = excluded.created_at, expires_at = excluded.expires_at")
}

func (s *Store) insertToken(ctx context.Context, hash jobrun.TokenHash, t jobrun.Token, conflict string) error {
	statement := "INSERT INTO " + s.engine.table("tokens") + " (hash, " + tokenColumns + ") VALUES (" +
		s.engine.placeholders(1, 7) + ")" + conflict
	_, err := s.exec(ctx, statement, append([]any{hash[:]}, tokenFields(&t)...)...)
	return err
}

// Tokens returns all tokens, by name.
func (s *Store) Tokens(ctx context.Context) ([]jobrun.Token, error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, "SELECT "+tokenColumns+" FROM "+s.engine.table("tokens")+" ORDER BY name")
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	defer rows.Close()
	var tokens []jobrun.Token
	for rows.Next() {
		var t jobrun.Token
		if err := rows.Scan(tokenFields(&t)...); err != nil {
			return nil, s.classify(ctx, err)
		}
		tokens = append(tokens, t)
	}
	return tokens, s.classify(ctx, rows.Err())
}

// RevokeToken deletes the token of that name.
// Returns jobrun.ErrNotFound if there is none.
func (s *Store) RevokeToken(ctx context.Context, name string) error {
	result, err := s.exec(ctx, "DELETE FROM "+s.engine.table("tokens")+" WHERE name = $1", name)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(s.classify(ctx, err), jobrun.ErrNotFound)
	}
	return nil
}
