-- name: create_client(name, scopes, secret_hash)^
-- Register a service client.
-- Takes: ClientDraft.
-- Returns: Client, no row when a live client has the name.
-- Raises: clients_name_check, clients_scopes_check.
-- Plan: insert.
INSERT INTO clients (name, scopes, secret_hash)
VALUES (:name, :scopes, :secret_hash)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;

-- name: get_client_of_secret(id, secret_hash)^
-- The client that a secret belongs to, be it the newest or the one before.
-- Takes: ClientSecret.
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
-- Plan: seq scan of clients, sort; they are a handful.
SELECT id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at
FROM clients
ORDER BY name, created_at, id;

-- name: update_client_revoked(client)^
-- Revoke a client, named by its id or its name, which never looks like an id; a trigger stops its access tokens.
-- Takes: NamedClient.
-- Returns: Client, no row when no live client is named so.
-- Plan: clients_pkey, seq scan of clients; they are a handful.
UPDATE clients
SET revoked_at = now()
WHERE id = (
    SELECT named.id
    FROM clients AS named
    WHERE named.revoked_at IS NULL
        AND (named.id::text = :client OR named.name = :client)
    LIMIT 1
)
    AND revoked_at IS NULL
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;

-- name: update_client_secret(client, secret_hash, overlap)^
-- Give a client, named by its id or its name, a new secret. The one that was the newest stays good for a while, and any
-- before it is good no more.
-- Takes: SecretChange.
-- Returns: Client, no row when no live client is named so.
-- Plan: clients_pkey, seq scan of clients; they are a handful.
UPDATE clients
SET
    secret_hash = :secret_hash,
    previous_secret_hash = secret_hash,
    previous_secret_expires_at = now() + make_interval(secs => :overlap)
WHERE id = (
    SELECT named.id
    FROM clients AS named
    WHERE named.revoked_at IS NULL
        AND (named.id::text = :client OR named.name = :client)
    LIMIT 1
)
    AND revoked_at IS NULL
RETURNING id, name, scopes, previous_secret_expires_at, created_at, updated_at, revoked_at;
