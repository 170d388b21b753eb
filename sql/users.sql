-- name: create_user(email, password_hash)^
-- Register a person under a canonical email address.
-- Returns: User, exactly one row.
-- Raises: users_email_key (the address is taken), users_email_canonical_check (it is not in canonical form).
-- Plan: insert.
INSERT INTO users (email, password_hash)
VALUES (:email, :password_hash)
RETURNING id, email, created_at, updated_at;

-- name: get_user(id)^
-- One user, as the user may see it.
-- Returns: User, no row when there is none.
-- Plan: users_pkey.
SELECT id, email, created_at, updated_at
FROM users
WHERE id = :id;

-- name: get_user_credentials(email)^
-- What a log-in is checked against; the only statement that reads a password hash.
-- Returns: Credentials, no row when nobody has the address.
-- Plan: users_email_key.
SELECT id, password_hash
FROM users
WHERE email = :email;
