package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

const tokenColumns = "name, teams, projects, permissions, created_at, expires_at"

// list is how a list of strings is stored: as a JSON array.
type list []string

func (l *list) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%T is not a JSON array", value)
	}
	return json.Unmarshal([]byte(text), l)
}

func array(l []string) string {
	if l == nil {
		l = []string{}
	}
	text, _ := json.Marshal(l) // strings never fail
	return string(text)
}

func scanToken(row interface{ Scan(...any) error }) (jobrun.Token, error) {
	var t jobrun.Token
	var created int64
	var expires sql.Null[int64]
	err := row.Scan(&t.Name, (*list)(&t.Teams), (*list)(&t.Projects), (*list)(&t.Permissions), &created, &expires)
	t.CreatedAt, t.ExpiresAt = time.Unix(created, 0).UTC(), instant(expires)
	return t, err
}

// Token implements server.Tokens.
func (s *Store) Token(ctx context.Context, hash jobrun.TokenHash) (jobrun.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	t, err := scanToken(s.queryRow(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE hash = $1", hash[:]))
	return t, s.classify(err)
}

// CreateToken stores a token under the hash of its secret.
// Returns ErrExists if there is a token of that name.
func (s *Store) CreateToken(ctx context.Context, hash jobrun.TokenHash, t jobrun.Token) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO tokens (hash, "+tokenColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		hash[:], t.Name, array(t.Teams), array(t.Projects), array(t.Permissions), t.CreatedAt.Unix(), seconds(t.ExpiresAt))
	if s.engine.IsDuplicate(err) {
		return ErrExists
	}
	return s.classify(err)
}

// Tokens returns all tokens, by name.
func (s *Store) Tokens(ctx context.Context) ([]jobrun.Token, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+tokenColumns+" FROM tokens ORDER BY name")
	if err != nil {
		return nil, s.classify(err)
	}
	defer rows.Close()
	var tokens []jobrun.Token
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, s.classify(err)
		}
		tokens = append(tokens, t)
	}
	return tokens, s.classify(rows.Err())
}

// RevokeToken removes the token of that name.
// Returns jobrun.ErrNotFound if there is none.
func (s *Store) RevokeToken(ctx context.Context, name string) error {
	result, err := s.db.ExecContext(ctx, "DELETE FROM tokens WHERE name = $1", name)
	if err != nil {
		return s.classify(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(s.classify(err), jobrun.ErrNotFound)
	}
	return nil
}
