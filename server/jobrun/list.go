package jobrun

import (
	"slices"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// MaxPageSize is the most that Page.Size may be, as the parameter per_page of openapi.yaml says.
const MaxPageSize = 100

// MaxPageSkip is more than Page.Skip may be.
const MaxPageSkip = 10_000

// Page asks for a part of a list.
type Page struct {
	Size  int    // how many results there may be, from 1 to MaxPageSize
	Skip  int    // how many results to leave out before that, less than MaxPageSkip
	After string // List.Next of the part before, or "" for the first
}

// List is a part of a list.
type List[T any] struct {
	Items []T
	Next  string // Page.After of the next part, which may be empty; "" if there are no more results
}

// Filter says which runs are in a list. The zero value is all of them.
type Filter struct {
	Statuses []model.JobRunStatus // any status if it is empty
	Since    *time.Time           // only runs that started then or later; nil for no limit
	Until    *time.Time           // only runs that started before then; nil for no limit
}

// Matches reports whether a run of that status may be in the list.
func (f Filter) Matches(status model.JobRunStatus) bool {
	return len(f.Statuses) == 0 || slices.Contains(f.Statuses, status)
}
