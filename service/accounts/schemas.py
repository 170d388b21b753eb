"""What accounts look like on the wire."""

import unicodedata

from marshmallow import ValidationError, fields

from service.accounts.emails import canonical_email
from service.http.fields import Message, Representation, Schema, Text, Timestamp, about, length


class Email(Text):
    """An email address, loaded in its canonical form."""

    def clean(self, value: str) -> str:
        """Canonicalise the address, or say why it is none."""
        try:
            return canonical_email(value)
        except ValueError as error:
            raise ValidationError(Message(str(error), "email")) from None


class Password(Text):
    """A password, loaded in NFKC so that it is the same however a keyboard composes it. It counts whole."""

    def clean(self, value: str) -> str:
        """Normalise the password."""
        return unicodedata.normalize("NFKC", value)


_EMAIL = about(
    "At most 255 characters in its canonical form: NFKC, lower case, the domain in ASCII.", "me@example.com"
) | {"format": "email"}
_PASSWORD = about("8 to 256 characters after NFKC; any of them, and they count whole.", "correct horse battery staple")
_TIME = "2026-11-22T09:30:00.123456Z"


class Registration(Schema):
    """What registers a person."""

    email = Email(required=True, metadata=_EMAIL)
    password = Password(required=True, load_only=True, validate=length(8, 256), metadata=_PASSWORD)


class Login(Schema):
    """What logs a person in. No rule about length: a password that breaks it is just a wrong one."""

    email = Text(required=True, metadata=_EMAIL)
    password = Password(required=True, load_only=True, metadata=_PASSWORD)


class AccessToken(Representation):
    """What a log-in gives, in the terms of RFC 6749, section 5.1."""

    access_token = Text(metadata=about("Goes into `Authorization: Bearer`.", "eyJhbGciOiJIUzI1NiJ9…"))
    token_type = Text(metadata=about("How to send it.", "Bearer"))
    expires_in = fields.Integer(metadata=about("For how many seconds it is good.", 900))


class User(Representation):
    """A user, as the user may see it."""

    id = fields.UUID(metadata=about("Names the user for good.", "0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90"))
    email = Text(metadata=_EMAIL)
    created_at = Timestamp(metadata=about("When the account was made.", _TIME))
    updated_at = Timestamp(metadata=about("When it last changed.", _TIME))
