-- Loses: every task.

DROP TABLE tasks;
DROP FUNCTION tasks_before_insert();
DROP FUNCTION tasks_before_update();
