-- Loses: every note.

DROP TABLE notes;
DROP FUNCTION notes_before_insert();
DROP FUNCTION notes_before_update();
