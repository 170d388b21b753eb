-- Loses: every revision.

DROP TABLE revisions;
