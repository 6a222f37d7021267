-- +goose Up

-- The oldest schema whose programs may write this database. A program that knows fewer migrations
-- than the database has opens it if it knows this many. A migration that older programs can live with,
-- such as an index or a nullable column, leaves it alone; one that breaks them sets it to its own number.
CREATE TABLE schema_support (oldest_writer INTEGER NOT NULL) STRICT;
INSERT INTO schema_support (oldest_writer) VALUES (5);
