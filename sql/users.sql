-- name: create_user(email, password_hash)^
-- Register a person under a canonical email address.
-- Takes: UserDraft.
-- Returns: User, exactly one row.
-- Raises: users_email_key (the address is taken), users_email_canonical_check (it is not in canonical form).
-- Plan: insert.
-- Scope: a user who is only made here, and whose id the database draws.
INSERT INTO users (email, password_hash)
VALUES (:email, :password_hash)
RETURNING id, email, created_at, updated_at;

-- name: delete_user(id)^
-- Remove a user, with everything that is the user's.
-- Takes: UserKey.
-- Returns: UserKey, no row when there is none.
-- Plan: users_pkey.
DELETE FROM users
WHERE id = :id
RETURNING id;

-- name: get_user(id)^
-- One user, as the user may see it.
-- Takes: UserKey.
-- Returns: User, no row when there is none.
-- Plan: users_pkey.
SELECT id, email, created_at, updated_at
FROM users
WHERE id = :id;

-- name: get_user_credentials(email)^
-- What a log-in is checked against.
-- Takes: email from Credentials.
-- Returns: Credentials, no row when nobody has the address.
-- Plan: users_email_key.
-- Scope: whoever has the address, since nobody is known before a log-in.
SELECT id, email, password_hash
FROM users
WHERE email = :email;

-- name: get_user_credentials_by_id(id)^
-- What the current password is checked against when it is to be changed.
-- Takes: UserKey.
-- Returns: Credentials, no row when there is no such user.
-- Plan: users_pkey.
SELECT id, email, password_hash
FROM users
WHERE id = :id;

-- name: lock_user(id)^
-- Lock a user until the end of the transaction, against whatever would add something to it. Whoever changes what hangs
-- on a user and then the user does so first, so that two of them wait for each other in one order.
-- Takes: UserKey.
-- Returns: UserKey, no row when there is none.
-- Plan: users_pkey.
SELECT id
FROM users
WHERE id = :id
FOR UPDATE;

-- name: update_user_password(id, password_hash, new_password_hash)^
-- Change the hash of a password, if it is still the one that was checked.
-- Takes: UserKey, password_hash from Credentials, new_password_hash from UserDraft.password_hash.
-- Returns: UserKey, no row when the user is gone or has another password by now.
-- Plan: users_pkey.
UPDATE users
SET password_hash = :new_password_hash
WHERE id = :id
    AND password_hash = :password_hash
RETURNING id;
