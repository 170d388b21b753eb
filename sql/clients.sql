-- name: create_client(name, scopes, secret_hash)^
-- Register a service client.
-- Returns: Client, no row when a live client has the name.
-- Raises: clients_name_check, clients_scopes_check.
-- Plan: insert.
INSERT INTO clients (name, scopes, secret_hash)
VALUES (:name, :scopes, :secret_hash)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;

-- name: get_client_of_secret(id, secret_hash)^
-- The client that a secret belongs to, be it the newest or the one before.
-- Returns: Client, no row when there is no such client, it is revoked, or the secret is none of its.
-- Plan: clients_pkey.
SELECT id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at
FROM clients
WHERE id = :id
    AND revoked_at IS NULL
    AND (
        secret_hash = :secret_hash
        OR previous_secret_hash = :secret_hash AND previous_secret_expires_at > now()
    );

-- name: list_clients()
-- Every service client, those that are revoked too. They are a handful.
-- Returns: Client, many.
-- Plan: any, with a sort.
SELECT id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at
FROM clients
ORDER BY name, created_at, id;

-- name: update_client_revoked(client)^
-- Revoke a client, named by its id or its name; a trigger stops its access tokens.
-- Returns: Client, no row when no live client is named so.
-- Plan: any, for the same reason.
UPDATE clients
SET revoked_at = now()
WHERE revoked_at IS NULL
    AND (id::text = :client OR name = :client)
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;

-- name: update_client_secret(client, secret_hash, overlap)^
-- Give a client, named by its id or its name, a new secret. The one that was the newest stays good for a while, and any
-- before it is good no more.
-- Returns: Client, no row when no live client is named so.
-- Plan: any, for the same reason.
UPDATE clients
SET
    secret_hash = :secret_hash,
    previous_secret_hash = secret_hash,
    previous_secret_expires_at = now() + make_interval(secs => :overlap)
WHERE revoked_at IS NULL
    AND (id::text = :client OR name = :client)
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;
