-- Loses: what was revoked; access tokens of it are good again until they expire.

DROP TABLE revocations;
DROP FUNCTION revocations_after_insert();
