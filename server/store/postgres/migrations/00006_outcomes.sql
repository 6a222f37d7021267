-- +goose Up

-- Why a run ended as it did, and what it printed, as JSON; null if that is not known. It is text because jsonb has no
-- U+0000, which a command may print.
ALTER TABLE runs ADD COLUMN outcome text COLLATE "C";
ALTER TABLE runs ADD COLUMN output text COLLATE "C";
