-- Loses: what was granted. The roles stay, since they are of the whole server; a service that connects as a member of
-- task_app is refused from now on.

REVOKE ALL ON
    _yoyo_migration,
    clients,
    idempotency_records,
    login_failures,
    revocations,
    sessions,
    spent_refresh_tokens,
    task_statuses,
    tasks,
    users
FROM task_app, task_readonly;

DO $$
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM task_owner, task_app, task_readonly', current_schema());
END;
$$;
