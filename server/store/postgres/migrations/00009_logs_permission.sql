-- +goose Up

-- The reference has another name for the permission to read the logs of a job. Permissions are
-- stored as JSON, in which > is escaped.
UPDATE tokens SET permissions = replace(permissions, '"Project \u003e Observability \u003e Logs \u003e Read"',
    '"Project \u003e Jobs \u003e Deployment \u003e View Instance Logs"');
