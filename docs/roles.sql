-- The roles of the service, for a database administrator to make once for each server, before the first migration:
--
--     psql --dbname=DATABASE --set=owner_password=… --set=app_password=… --file=docs/roles.sql
--
-- Where who migrates may create roles, migration 0011 makes the first three by itself. It can be run again.

SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['task_owner', 'task_app', 'task_readonly']) AS name
WHERE to_regrole(name) IS NULL
\gexec

-- Who logs in, each a member of one of them. `DATABASE_URL` names the first for `migrate`, the second for all else.
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['task_deploy', 'task_service']) AS name
WHERE to_regrole(name) IS NULL
\gexec

ALTER ROLE task_deploy PASSWORD :'owner_password';
ALTER ROLE task_service PASSWORD :'app_password';
GRANT task_owner TO task_deploy;
GRANT task_app TO task_service;

-- Whatever it makes belongs to task_owner, whoever migrates next time.
ALTER ROLE task_deploy SET role = task_owner;

-- In this database, and where its tables are to be.
SELECT format('GRANT CREATE, USAGE ON SCHEMA %I TO task_owner', current_schema())
\gexec

-- A database that somebody else has migrated so far: REASSIGN OWNED BY somebody_else TO task_owner;
