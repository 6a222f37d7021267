-- +goose Up

-- The triggers' functions find their tables whatever the search_path of who writes: behind a pooler, a session has none of
-- ours.
ALTER FUNCTION count_change() SET search_path FROM CURRENT;
ALTER FUNCTION count_change_of_concluded() SET search_path FROM CURRENT;
ALTER FUNCTION count_removal_of_concluded() SET search_path FROM CURRENT;
