-- name: get_task_status(status)^
-- One of the states that a task can be in.
-- Returns: TaskStatus, no row when there is no such state.
-- Plan: task_statuses_pkey.
SELECT status, is_done, position
FROM task_statuses
WHERE status = :status;

-- name: list_task_statuses()
-- The states that a task can be in, in the order in which people see them. They are few, so there are no pages.
-- Returns: TaskStatus, many.
-- Plan: any; the table is a handful of rows.
SELECT status, is_done, position
FROM task_statuses
ORDER BY position;
