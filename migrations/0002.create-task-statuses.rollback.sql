-- Loses: every status, those added since included.

DROP TABLE task_statuses;
