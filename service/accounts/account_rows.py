"""The rows that the queries of accounts take and give, beside the schemas of the wire."""

from hashlib import sha256

from marshmallow import fields

from service.schemas.fields import Binary, RowSchema, Text, Timestamp, about, length
from service.schemas.shared_rows import USER_EXAMPLE

_SESSION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_HASH = "$2b$12$" + "x" * 53
_TIME = "2026-11-22T09:30:00.123456Z"


class UserKey(RowSchema):
    """The key of a user."""

    id = fields.UUID(metadata=about("The id of the user.", USER_EXAMPLE))


class UserDraft(RowSchema):
    """A user who is to be stored."""

    email = Text(validate=length(1, 255), metadata=about("In its canonical form.", "newcomer@example.com"))
    password_hash = Text(metadata=about("The hash of the password.", _HASH.replace("x", "y")))


class Credentials(UserKey):
    """The credentials that a log-in is checked against."""

    email = Text(metadata=about("In its canonical form.", "me@example.com"))
    password_hash = Text(metadata=about("The hash of the password.", _HASH))


class SessionKey(RowSchema):
    """The key of a session."""

    user_id = fields.UUID(metadata=about("Whose it is.", USER_EXAMPLE))
    id = fields.UUID(metadata=about("The `sid` of its access tokens.", _SESSION))


class SessionToken(SessionKey):
    """A session, by a refresh token of it."""

    token_hash = Binary(metadata=about("SHA-256 of the token.", sha256(b"live").digest()))


class SessionDraft(SessionToken):
    """A session that is to begin."""

    id = fields.UUID(metadata=about("Drawn by the service.", "c56a4180-65aa-42ec-a945-5fd21dec0538"))


class SparedSession(RowSchema):
    """Every session of a user but one."""

    user_id = fields.UUID(metadata=about("Whose they are.", USER_EXAMPLE))
    spared_id = fields.UUID(allow_none=True, metadata=about("The one that goes on; NULL spares none.", None))


class SessionSuccessor(RowSchema):
    """The refresh token that takes the place of another."""

    successor_hash = Binary(metadata=about("SHA-256 of the token.", sha256(b"successor").digest()))
    successor_salt = Binary(metadata=about("What it is derived with.", sha256(b"salt").digest()))


class EndedSession(RowSchema):
    """A session that has ended."""

    id = fields.UUID(metadata=about("The `sid` of its access tokens.", _SESSION))
    expires_at = fields.Float(
        metadata=about("When the last of them expires, in seconds since the epoch.", 1795339800.0)
    )


class SpentTokenKey(RowSchema):
    """A refresh token that may have been spent."""

    user_id = fields.UUID(metadata=about("Whose it is.", USER_EXAMPLE))
    session_id = fields.UUID(metadata=about("Of which session.", _SESSION))
    token_hash = Binary(metadata=about("SHA-256 of the token.", sha256(b"spent").digest()))


class SpentRefreshToken(RowSchema):
    """A refresh token that has been spent."""

    is_fresh = fields.Boolean(metadata=about("Whether that was a moment ago.", example=True))
    live_token_hash = Binary(metadata=about("SHA-256 of the one that is live.", sha256(b"live").digest()))
    successor_salt = Binary(
        allow_none=True, metadata=about("What its successor is derived with.", sha256(b"salt").digest())
    )


class Revocation(RowSchema):
    """A session or a client whose access tokens are refused."""

    id = fields.UUID(metadata=about("Of the session or the client.", "9a45f1d2-c5b7-4a90-8b6f-7d538a4e4c1e"))
    created_at = Timestamp(metadata=about("When it was revoked.", _TIME))
    expires_at = fields.Float(
        metadata=about("Until when, in seconds since the epoch; it may be infinity.", 1795339800.0)
    )
    read_at = Timestamp(metadata=about("When this was read.", _TIME))


class RevocationPage(RowSchema):
    """A page of what is revoked."""

    after_created_at = Timestamp(metadata=about("The position that the page begins after.", "2026-01-01T00:00:00Z"))
    after_id = fields.UUID(metadata=about("The id at that position.", "00000000-0000-0000-0000-000000000000"))
    page_size = fields.Integer(metadata=about("How many at most.", 5000))


class LoginAttempt(RowSchema):
    """A log-in, as it is counted."""

    account = Binary(metadata=about("HMAC-SHA-256 of the address that was tried.", sha256(b"account").digest()))
    address = Binary(metadata=about("HMAC-SHA-256 of the network address.", sha256(b"address").digest()))


class LoginFailures(RowSchema):
    """The number of log-ins that have failed of late."""

    subject = Binary(metadata=about("Of which account, or from which address.", sha256(b"account").digest()))
    failures = fields.Integer(metadata=about("How often.", 3))
    expires_at = Timestamp(metadata=about("Until when that counts.", _TIME))


class Client(RowSchema):
    """A service client, without its secrets."""

    id = fields.UUID(metadata=about("Its id.", "2f0c8d0e-6b0a-4f6e-8f57-4b115d1c9c1e"))
    name = Text(metadata=about("Its name.", "reporting"))
    scopes = fields.List(Text(), metadata=about("What it may do.", ["tasks:read"]))
    previous_secret_expires_at = Timestamp(
        allow_none=True, metadata=about("Until when two secrets are good; NULL where there is one.", _TIME)
    )
    created_at = Timestamp(metadata=about("When it was registered.", _TIME))
    updated_at = Timestamp(metadata=about("When it last changed.", _TIME))
    revoked_at = Timestamp(allow_none=True, metadata=about("Since when it may not call; NULL while it may.", None))


class ClientDraft(RowSchema):
    """A client that is to be registered."""

    name = Text(validate=length(1, 100), metadata=about("Its name.", "billing"))
    scopes = fields.List(Text(), metadata=about("What it may do.", ["tasks:read", "tasks:write"]))
    secret_hash = Binary(metadata=about("SHA-256 of its secret.", sha256(b"new secret").digest()))


class ClientSecret(RowSchema):
    """A client and a secret that may be its."""

    id = fields.UUID(metadata=about("The id of the client.", "2f0c8d0e-6b0a-4f6e-8f57-4b115d1c9c1e"))
    secret_hash = Binary(metadata=about("SHA-256 of the secret.", sha256(b"secret").digest()))


class NamedClient(RowSchema):
    """A client, as people name it."""

    client = Text(metadata=about("Its id or its name.", "reporting"))


class SecretChange(NamedClient):
    """A client that gets a new secret."""

    secret_hash = Binary(metadata=about("SHA-256 of the secret.", sha256(b"new secret").digest()))
    overlap = fields.Integer(metadata=about("For how many seconds the one before stays good.", 86400))
