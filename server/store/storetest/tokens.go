package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func testTokens(t *testing.T, on subject) {
	s, url := on.open(t)
	expires := started.Add(time.Hour)
	want := []jobrun.Token{
		{Name: "a", Teams: []string{"x", "y"}, Projects: []string{"p"}, Permissions: []string{"One > Two"},
			CreatedAt: started, ExpiresAt: &expires},
		{Name: "b", Teams: []string{"x"}, Projects: []string{}, Permissions: []string{}, CreatedAt: started},
	}
	hashes := map[string]jobrun.TokenHash{}
	for _, token := range want {
		_, hashes[token.Name] = jobrun.NewSecret()
		if err := s.CreateToken(t.Context(), hashes[token.Name], token); err != nil {
			t.Fatal(err)
		}
	}
	_, hash := jobrun.NewSecret()
	if err := s.CreateToken(t.Context(), hash, want[0]); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same name again: %v, want store.ErrExists", err)
	}
	if _, err := s.Token(t.Context(), hash); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("an unknown hash: %v, want ErrNotFound", err)
	}
	got, err := s.Tokens(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, tokens (-want +got):\n%s", err, diff)
	}
	one, err := s.Token(t.Context(), hashes["a"])
	if diff := cmp.Diff(want[0], one); err != nil || diff != "" {
		t.Errorf("%v, token (-want +got):\n%s", err, diff)
	}
	other := want[1]
	other.Name, other.ExpiresAt = "a", nil
	_, replacement := jobrun.NewSecret()
	before, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceToken(t.Context(), replacement, other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), hashes["a"]); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("a token that was replaced: %v, want ErrNotFound", err)
	}
	one, err = s.Token(t.Context(), replacement)
	if diff := cmp.Diff(other, one); err != nil || diff != "" {
		t.Errorf("%v, its replacement (-want +got):\n%s", err, diff)
	}
	if after, err := s.Revision(t.Context()); err != nil || after == before {
		t.Errorf("a replaced token is not a change: %v", err)
	}
	hashes["a"] = replacement
	if err := on.reopen(t, url).RevokeToken(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), hashes["a"]); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("a token that another process revoked: %v, want ErrNotFound", err)
	}
	if err := s.RevokeToken(t.Context(), "a"); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("revoked again: %v, want ErrNotFound", err)
	}
	if err := s.CreateToken(t.Context(), hash, jobrun.Token{Name: "no team"}); err == nil {
		t.Error("a token without a team was stored")
	}
}
