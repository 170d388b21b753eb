-- Loses: nothing but the comment.

COMMENT ON CONSTRAINT tasks_status_fkey ON tasks IS NULL;
