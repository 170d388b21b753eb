"""What accounts look like on the wire."""

import unicodedata

from marshmallow import ValidationError, fields

from service.accounts.emails import canonical_email
from service.http.fields import Message, Schema, Text, Timestamp, length


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


class Registration(Schema):
    """What registers a person."""

    email = Email(required=True)
    password = Password(required=True, load_only=True, validate=length(8, 256))


class Login(Schema):
    """What logs a person in. No rule about length: a password that breaks it is just a wrong one."""

    email = Text(required=True)
    password = Password(required=True, load_only=True)


class User(Schema):
    """A user, as the user may see it."""

    id = fields.UUID()
    email = Text()
    created_at = Timestamp()
    updated_at = Timestamp()
