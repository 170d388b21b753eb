-- Loses: every session; all users have to log in again.

DROP TABLE spent_refresh_tokens;
DROP TABLE sessions;
DROP FUNCTION sessions_after_delete();
