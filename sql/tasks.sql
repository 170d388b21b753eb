-- name: create_task(user_id, title, description, status)^
-- Add a task for its owner.
-- Takes: TaskOwner, TaskDraft.
-- Returns: Task, exactly one row.
-- Raises: tasks_user_id_fkey (the owner is gone), tasks_status_fkey (no such status), tasks_title_blank_check,
-- tasks_title_length_check, tasks_description_length_check (as the schema has said before).
-- Plan: insert.
INSERT INTO tasks (user_id, title, description, status)
VALUES (:user_id, :title, :description, :status)
RETURNING user_id, id, title, description, status, completed_at, version, created_at, updated_at;

-- name: delete_task(user_id, id, versions)^
-- Remove a task, if it is at one of the given versions; NULL means at any.
-- Takes: TaskAtVersions.
-- Returns: TaskKey, no row when the user has no such task at such a version.
-- Plan: tasks_pkey.
DELETE FROM tasks
WHERE user_id = :user_id
    AND id = :id
    AND (:versions::bigint[] IS NULL OR version = ANY (:versions))
RETURNING user_id, id;

-- name: get_task(user_id, id)^
-- One of a user's tasks.
-- Takes: TaskKey.
-- Returns: Task, no row when the user has no such task.
-- Plan: tasks_pkey.
SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
FROM tasks
WHERE user_id = :user_id
    AND id = :id;

-- name: list_tasks(user_id, before_created_at, before_id, created_after, page_size)
-- One page of a user's tasks, newest first: those before the given position, down to the moment created_after.
-- The position and the moment bound the index on one side each, so that a page is read from its first task to its last,
-- however deep it lies. A second bound on the side of the position could be where PostgreSQL begins to read instead.
-- Takes: NewestFirst.
-- Returns: Task, many.
-- Plan: tasks_user_id_created_at_id_idx, no sort.
SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
FROM tasks
WHERE user_id = :user_id
    AND (created_at, id) < (:before_created_at, :before_id)
    AND created_at >= :created_after
ORDER BY created_at DESC, id DESC
LIMIT :page_size;

-- name: list_tasks_by_status(user_id, status, completed, before_created_at, before_id, created_after, page_size)
-- One page of a user's tasks in one status, or in every status that is done or is not; NULL leaves either open.
-- Newest first, bounded as in list_tasks. Each status gives its own newest tasks from the index and the page is the
-- newest of those, so that a page costs at most a page per status, however deep it lies.
-- Takes: NewestFirst, TaskFilter.
-- Returns: Task, many.
-- Plan: tasks_user_id_status_created_at_id_idx, seq scan of task_statuses, sort; of at most one page per status.
SELECT
    newest.user_id,
    newest.id,
    newest.title,
    newest.description,
    newest.status,
    newest.completed_at,
    newest.version,
    newest.created_at,
    newest.updated_at
FROM task_statuses
CROSS JOIN LATERAL (
    SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
    FROM tasks
    WHERE tasks.user_id = :user_id
        AND tasks.status = task_statuses.status
        AND (tasks.created_at, tasks.id) < (:before_created_at, :before_id)
        AND tasks.created_at >= :created_after
    ORDER BY tasks.created_at DESC, tasks.id DESC
    LIMIT :page_size
) AS newest
WHERE (:status::text IS NULL OR task_statuses.status = :status)
    AND (:completed::boolean IS NULL OR task_statuses.is_done = :completed)
ORDER BY newest.created_at DESC, newest.id DESC
LIMIT :page_size;

-- name: list_tasks_by_status_oldest_first(user_id, status, completed, after_created_at, after_id, created_before, page_size)
-- As list_tasks_by_status, but oldest first: those after the given position, up to the moment created_before.
-- Takes: OldestFirst, TaskFilter.
-- Returns: Task, many.
-- Plan: tasks_user_id_status_created_at_id_idx, seq scan of task_statuses, sort; of at most one page per status.
SELECT
    oldest.user_id,
    oldest.id,
    oldest.title,
    oldest.description,
    oldest.status,
    oldest.completed_at,
    oldest.version,
    oldest.created_at,
    oldest.updated_at
FROM task_statuses
CROSS JOIN LATERAL (
    SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
    FROM tasks
    WHERE tasks.user_id = :user_id
        AND tasks.status = task_statuses.status
        AND (tasks.created_at, tasks.id) > (:after_created_at, :after_id)
        AND tasks.created_at < :created_before
    ORDER BY tasks.created_at, tasks.id
    LIMIT :page_size
) AS oldest
WHERE (:status::text IS NULL OR task_statuses.status = :status)
    AND (:completed::boolean IS NULL OR task_statuses.is_done = :completed)
ORDER BY oldest.created_at, oldest.id
LIMIT :page_size;

-- name: list_tasks_matching(user_id, q, status, completed, before_created_at, before_id, created_after, page_size)
-- One page of a user's tasks whose title or description contains the text q, in whatever case its letters are. The
-- other filters and the order are those of list_tasks_by_status.
-- Lower and then upper case makes one letter of those that have several small or capital forms, as the sigma has; q is
-- folded once, in its sub-select. To strpos no character is a wildcard.
-- Takes: NewestFirst, TaskSearch.
-- Returns: Task, many.
-- Plan: tasks_user_id_created_at_id_idx, no sort, discards; it reads on until the page is full.
SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
FROM tasks
WHERE user_id = :user_id
    AND (created_at, id) < (:before_created_at, :before_id)
    AND created_at >= :created_after
    AND (:status::text IS NULL OR status = :status)
    AND (:completed::boolean IS NULL OR (completed_at IS NOT NULL) = :completed)
    AND (
        strpos(upper(lower(title COLLATE tasks_search)), (SELECT upper(lower(:q COLLATE tasks_search)))) > 0
        OR strpos(upper(lower(description COLLATE tasks_search)), (SELECT upper(lower(:q COLLATE tasks_search)))) > 0
    )
ORDER BY created_at DESC, id DESC
LIMIT :page_size;

-- name: list_tasks_matching_oldest_first(user_id, q, status, completed, after_created_at, after_id, created_before, page_size)
-- As list_tasks_matching, but oldest first: those after the given position, up to the moment created_before.
-- Takes: OldestFirst, TaskSearch.
-- Returns: Task, many.
-- Plan: tasks_user_id_created_at_id_idx, no sort, discards; it reads on until the page is full.
SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
FROM tasks
WHERE user_id = :user_id
    AND (created_at, id) > (:after_created_at, :after_id)
    AND created_at < :created_before
    AND (:status::text IS NULL OR status = :status)
    AND (:completed::boolean IS NULL OR (completed_at IS NOT NULL) = :completed)
    AND (
        strpos(upper(lower(title COLLATE tasks_search)), (SELECT upper(lower(:q COLLATE tasks_search)))) > 0
        OR strpos(upper(lower(description COLLATE tasks_search)), (SELECT upper(lower(:q COLLATE tasks_search)))) > 0
    )
ORDER BY created_at, id
LIMIT :page_size;

-- name: list_tasks_oldest_first(user_id, after_created_at, after_id, created_before, page_size)
-- As list_tasks, but oldest first: those after the given position, up to the moment created_before.
-- Takes: OldestFirst.
-- Returns: Task, many.
-- Plan: tasks_user_id_created_at_id_idx, no sort.
SELECT user_id, id, title, description, status, completed_at, version, created_at, updated_at
FROM tasks
WHERE user_id = :user_id
    AND (created_at, id) > (:after_created_at, :after_id)
    AND created_at < :created_before
ORDER BY created_at, id
LIMIT :page_size;

-- name: update_task(user_id, id, versions, title, replaces_description, description, status, completed)^
-- Change what is given of a task, if it is at one of the given versions; NULL versions mean at any, a NULL title or
-- status leaves it as it is. A status decides over completed; completed alone moves an open task to 'complete' and a
-- completed one to 'incomplete', and leaves a task that already is as asked. Nothing changed leaves version and
-- updated_at alone (the trigger sees to that).
-- Takes: TaskAtVersions, TaskChanges.
-- Returns: Task, no row when the user has no such task at such a version.
-- Raises: tasks_status_fkey (no such status), tasks_title_blank_check, tasks_title_length_check,
-- tasks_description_length_check (as the schema has said before).
-- Plan: tasks_pkey.
UPDATE tasks
SET
    title = coalesce(:title, title),
    description = CASE WHEN :replaces_description THEN :description ELSE description END,
    status = CASE
        WHEN :status::text IS NOT NULL THEN :status
        WHEN :completed::boolean IS NULL OR :completed = (completed_at IS NOT NULL) THEN status
        WHEN :completed THEN 'complete'
        ELSE 'incomplete'
    END
WHERE user_id = :user_id
    AND id = :id
    AND (:versions::bigint[] IS NULL OR version = ANY (:versions))
RETURNING user_id, id, title, description, status, completed_at, version, created_at, updated_at;
