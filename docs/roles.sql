-- The roles of the service, for a database administrator to make in each database before its first migration, by psql 15
-- or later:
--
--     OWNER_PASSWORD=… APP_PASSWORD=… psql --no-psqlrc --dbname=DATABASE --file=docs/roles.sql
--
-- It can be run again. Where who migrates may create roles, migration 0011 makes the first three by itself.

\set ON_ERROR_STOP on
-- Whoever is on the machine can read the arguments of a program, but not its environment.
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD

BEGIN;

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

-- In this database, and where its tables are to be. That the others may use the schema task_owner could not say itself.
SELECT format('GRANT CREATE, USAGE ON SCHEMA %I TO task_owner', current_schema()),
    format('GRANT USAGE ON SCHEMA %I TO task_app, task_readonly', current_schema())
\gexec

COMMIT;

-- A database that somebody else has migrated so far: REASSIGN OWNED BY somebody_else TO task_owner;
