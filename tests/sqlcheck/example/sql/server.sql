-- name: get_server_version()^
-- Whether the database answers, and which version it is.
-- Returns: ServerVersion, exactly one row.
-- Plan: no table.
SELECT current_setting('server_version') AS server_version;
