-- Loses: every removal.

DROP TRIGGER notes_note_removal ON notes;
DROP FUNCTION notes_after_delete();
DROP TABLE removals;
