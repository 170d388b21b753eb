-- name: create_member(email, password_hash)^
-- Register a person under an address in lower case.
-- Takes: MemberDraft.
-- Returns: Member, exactly one row.
-- Raises: members_email_key (the address is taken), members_email_canonical_check (it is not in lower case).
-- Plan: insert.
-- Scope: a member who is only made here, and whose id the database draws.
INSERT INTO members (email, password_hash)
VALUES (:email, :password_hash)
RETURNING id, email, created_at, updated_at;

-- name: delete_member(id)^
-- Remove a member, with everything that is the member's.
-- Takes: MemberKey.
-- Returns: MemberKey, no row when there is none.
-- Plan: members_pkey.
DELETE FROM members
WHERE id = :id
RETURNING id;

-- name: get_credentials(email)^
-- What a log-in is checked against.
-- Takes: email from Credentials.
-- Returns: Credentials, no row when nobody has the address.
-- Plan: members_email_key.
-- Scope: whoever has the address, since nobody is known before a log-in.
SELECT id, email, password_hash
FROM members
WHERE email = :email;

-- name: get_member(id)^
-- One member, as the member may see it.
-- Takes: MemberKey.
-- Returns: Member, no row when there is none.
-- Plan: members_pkey.
SELECT id, email, created_at, updated_at
FROM members
WHERE id = :id;

-- name: lock_member(id)^
-- Lock a member until the end of the transaction, against whatever would add something to it.
-- Takes: MemberKey.
-- Returns: MemberKey, no row when there is none.
-- Plan: members_pkey.
SELECT id
FROM members
WHERE id = :id
FOR UPDATE;

-- name: update_password(id, password_hash, new_password_hash)^
-- Change the hash of a password, if it is still the one that was checked.
-- Takes: MemberKey, password_hash from Credentials, new_password_hash from MemberDraft.password_hash.
-- Returns: MemberKey, no row when the member is gone or has another password by now.
-- Plan: members_pkey.
UPDATE members
SET password_hash = :new_password_hash
WHERE id = :id
    AND password_hash = :password_hash
RETURNING id;
