-- Loses: nothing.

DROP COLLATION tasks_search;
