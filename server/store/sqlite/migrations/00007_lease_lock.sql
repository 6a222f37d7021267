-- +goose Up

-- Which byte the recorder of the run has locked in the file beside the database whose name ends with "-leases", for as
-- long as it lives. It is null where locks do not help: then the lease lasts for a time.
ALTER TABLE runs ADD COLUMN lease_lock INTEGER;
