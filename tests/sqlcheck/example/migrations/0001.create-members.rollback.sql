-- Loses: every member.

DROP TABLE members;
DROP FUNCTION members_before_update();
