-- +goose Up

-- octet_length is too new for the sqlite3 of older systems (3.43), which could not check the file.
-- The conditions mean what they meant, so that the rows need not be written anew
-- (https://sqlite.org/lang_altertable.html#otheralter).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(replace(replace(sql,
    'octet_length(team)', 'length(CAST(team AS BLOB))'),
    'octet_length(project)', 'length(CAST(project AS BLOB))'),
    'octet_length(job)', 'length(CAST(job AS BLOB))'),
    'octet_length(id)', 'length(CAST(id AS BLOB))')
WHERE type = 'table' AND name = 'runs';
PRAGMA writable_schema = RESET;

-- Any change of the schema has other connections read it again.
CREATE TABLE schema_changed (x INTEGER) STRICT;
DROP TABLE schema_changed;
