-- Loses: every user.

DROP TABLE users;
DROP FUNCTION users_before_update();
