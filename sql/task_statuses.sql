-- name: get_task_status(status)^
-- One of the states that a task can be in.
-- Takes: status from Task.
-- Returns: TaskStatus, no row when there is no such state.
-- Plan: seq scan of task_statuses; they are a handful.
SELECT status, is_done, position
FROM task_statuses
WHERE status = :status;

-- name: list_task_statuses()
-- The states that a task can be in, in the order in which people see them. They are few, so there are no pages.
-- Returns: TaskStatus, many.
-- Plan: seq scan of task_statuses, sort; they are a handful.
SELECT status, is_done, position
FROM task_statuses
ORDER BY position;
