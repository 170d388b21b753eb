"""The rows of the queries that all features share."""

from hashlib import sha256

from marshmallow import fields

from service.schemas.fields import Binary, Flag, RowSchema, Text, about

USER_EXAMPLE = "0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90"


class PurgeBatch(RowSchema):
    """The size of a batch, which is purged in one transaction."""

    batch_size = fields.Integer(metadata=about("How many rows at most.", 1000))


class IdempotencyKey(RowSchema):
    """The key of a write."""

    caller_id = fields.UUID(metadata=about("Who sent the key: a user or a service client.", USER_EXAMPLE))
    key = Text(metadata=about("The Idempotency-Key, without its quotes.", "8e03978e-40d5-43dd-bc93-6894a57f9324"))


class IdempotencyAttempt(IdempotencyKey):
    """A keyed write that is to be made."""

    user_id = fields.UUID(metadata=about("Whose tasks it is about.", USER_EXAMPLE))


class IdempotencyLock(RowSchema):
    """The outcome of locking a key: whether its write can go on."""

    is_held = Flag(metadata=about("Whether no other transaction holds the key.", example=True))
    has_user = Flag(metadata=about("Whether the user is there; known only where the key is held.", example=True))


class IdempotencyAnswer(RowSchema):
    """The answer to a keyed write."""

    fingerprint = Binary(metadata=about("SHA-256 of what makes two requests the same.", sha256(b"request").digest()))
    status = fields.Integer(metadata=about("The status code.", 201))
    location = Text(allow_none=True, metadata=about("The header field, where it had one.", "/api/tasks/5d1c9c1e"))
    etag = Text(allow_none=True, metadata=about("The header field, where it had one.", '"1"'))
    body = Binary(allow_none=True, metadata=about("The JSON, where it had any.", b"{}"))


class IdempotencyRecord(IdempotencyAttempt, IdempotencyAnswer):
    """An answer under its key."""
