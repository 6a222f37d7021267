-- +goose Up

-- Why a run ended as it did, and what it printed, as JSON; null if that is not known.
ALTER TABLE runs ADD COLUMN outcome TEXT;
ALTER TABLE runs ADD COLUMN output TEXT;
