"""The schemas of accounts on the wire."""

from marshmallow import EXCLUDE, ValidationError, fields

from service.accounts.emails import canonical_email
from service.accounts.passwords import is_common
from service.accounts.unicode import nfkc
from service.schemas.fields import Message, Representation, Schema, Text, Timestamp, about, length
from service.schemas.shared_rows import USER_EXAMPLE


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
        return nfkc(value)


class NewPassword(Password):
    """A password that is to be set, and so none of the common ones."""

    def clean(self, value: str) -> str:
        """Normalise the password, or refuse a common one, without repeating it."""
        password = super().clean(value)
        if is_common(password):
            raise ValidationError(Message("Is too common a password.", "common"))
        return password


_EMAIL = about(
    "At most 255 characters in its canonical form: NFKC, lower case, the domain in ASCII.", "me@example.com"
) | {"format": "email"}
_PASSWORD = about("8 to 256 characters after NFKC, of any kind; every one counts.", "correct horse battery staple")
_NEW_PASSWORD = about(
    "8 to 256 characters after NFKC, of any kind; every one counts. The most common passwords are refused.",
    "correct horse battery staple",
)
_REFRESH_TOKEN = about("Prolongs the session, once; the answer has the next one.", "tsr_5wTnZ2hQ…")
_SCOPE = "tasks:read"
_CLIENT_ID = "2f0c8d0e-6b0a-4f6e-8f57-4b115d1c9c1e"
_TIME = "2026-11-22T09:30:00.123456Z"


class Registration(Schema):
    """A registration."""

    email = Email(required=True, metadata=_EMAIL)
    password = NewPassword(required=True, load_only=True, validate=length(8, 256), metadata=_NEW_PASSWORD)


class Login(Schema):
    """A log-in. There is no rule about length: a password that breaks it is just a wrong one."""

    email = Text(required=True, metadata=_EMAIL)
    password = Password(required=True, load_only=True, metadata=_PASSWORD)


class RefreshTokenHolder(Schema):
    """A refresh token, sent to prolong its session or to end it."""

    refresh_token = Text(required=True, load_only=True, metadata=_REFRESH_TOKEN)


class PasswordChange(Schema):
    """A change of password. The current one is under no rule: one that breaks it is just a wrong one."""

    current_password = Password(required=True, load_only=True, metadata=_PASSWORD)
    new_password = NewPassword(required=True, load_only=True, validate=length(8, 256), metadata=_NEW_PASSWORD)


class TokenPair(Representation):
    """The tokens that a log-in or a refresh gives, in the terms of RFC 6749, section 5.1."""

    access_token = Text(metadata=about("Is sent as `Authorization: Bearer <access_token>`.", "eyJhbGciOiJIUzI1NiJ9…"))
    token_type = Text(metadata=about("The way to send it.", "Bearer"))
    expires_in = fields.Integer(metadata=about("For how many seconds the access token is good.", 900))
    refresh_token = Text(metadata=_REFRESH_TOKEN)


class User(Representation):
    """A user, as the user may see it."""

    id = fields.UUID(metadata=about("The id of the user; it never changes.", USER_EXAMPLE))
    email = Text(metadata=_EMAIL)
    created_at = Timestamp(metadata=about("When the account was created.", _TIME))
    updated_at = Timestamp(metadata=about("When the account last changed.", _TIME))


class TokenRequest(Schema):
    """A service client's request for a token (RFC 6749, section 4.4.2); any other parameter is ignored."""

    grant_type = Text(required=True, metadata=about("`client_credentials`, and no other.", "client_credentials"))
    scope = Text(
        metadata=about("The scopes that are wanted, separated by spaces; by default all that the client has.", _SCOPE)
    )
    client_id = Text(metadata=about("The client's id, where it is not sent by HTTP Basic.", _CLIENT_ID))
    client_secret = Text(
        load_only=True, metadata=about("The client's secret, where it is not sent by HTTP Basic.", "tsc_9mTq1yJb…")
    )

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE


class ClientToken(Representation):
    """The access token of a service client (RFC 6749, section 5.1)."""

    access_token = Text(metadata=about("Is sent as `Authorization: Bearer <access_token>`.", "eyJhbGciOiJIUzI1NiJ9…"))
    token_type = Text(metadata=about("The way to send it.", "Bearer"))
    expires_in = fields.Integer(metadata=about("For how many seconds it is good; then ask again.", 900))
    scope = Text(metadata=about("The scopes that the token has.", _SCOPE))


class OAuthError(Representation):
    """The reason why a client gets no token (RFC 6749, section 5.2)."""

    error = Text(metadata=about("The code of the error.", "invalid_client"))
    error_description = Text(metadata=about("What is wrong with this request.", "Send a valid secret of the client."))
