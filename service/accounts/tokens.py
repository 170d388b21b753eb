"""Access tokens: JSON Web Tokens in the profile of RFC 9068, with the care that RFC 8725 asks for."""

import base64
import hashlib
import time
from uuid import UUID, uuid4

import jwt
from aiohttp import web

from service.http.identity import Caller

_ALGORITHM = "HS256"  # pinned: a token does not choose how it is checked (RFC 8725, section 3.1)
_TYPE = "at+jwt"  # RFC 9068, section 2.1
_CLAIMS = ["iss", "aud", "sub", "iat", "exp", "jti"]
_MAX_REMEMBERED = 10_000


class InvalidToken(Exception):  # noqa: N818 -- RFC 6750 calls the state that
    """A token that proves nothing. The message says why, for the log and for nobody else."""


class Tokens:
    """Signs access tokens and checks them.

    Args:
        secret: the key of HS256, at least 32 bytes.
        issuer, audience: who signs, and for whom.
        ttl: how long a token lives, in seconds.
    """

    def __init__(self, secret: str, issuer: str, audience: str, ttl: int) -> None:
        self.ttl = ttl
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        # Names the key without giving it away, so that keys can be told apart when they are changed.
        digest = hashlib.sha256(b"kid:" + secret.encode()).digest()
        self._key_id = base64.urlsafe_b64encode(digest[:9]).decode()
        # Checking a signature costs more than the rest of a small request; what was checked stays right until it
        # expires.
        self._remembered: dict[str, tuple[Caller, float]] = {}

    def issue(self, user_id: UUID) -> str:
        """Return a new access token for a user."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "iat": now,
            "exp": now + self.ttl,
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM, headers={"typ": _TYPE, "kid": self._key_id})

    def verify(self, token: str) -> Caller:
        """Return whom a token was issued to.

        Raises:
            InvalidToken: it is malformed, expired, not yet valid, or not one of ours.
        """
        if (known := self._remembered.get(token)) and known[1] > time.time():
            return known[0]
        caller, expires_at = self._check(token)
        if len(self._remembered) >= _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]  # the oldest
        self._remembered[token] = caller, expires_at
        return caller

    def _check(self, token: str) -> tuple[Caller, float]:
        try:
            parts = jwt.decode_complete(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": _CLAIMS},
            )
            caller = Caller(UUID(parts["payload"]["sub"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise InvalidToken(str(error)) from None
        if parts["header"].get("typ") != _TYPE or parts["header"].get("kid") != self._key_id:
            raise InvalidToken("the type or the key is another")
        return caller, parts["payload"]["exp"]


TOKENS = web.AppKey("tokens", Tokens)
