"""Access tokens: JSON Web Tokens in the profile of RFC 9068, with the care that RFC 8725 asks for.

A user's token has no client_id, which the profile wants: people log in here without a client.
"""

import base64
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import jwt
from aiohttp import web
from jwt.types import Options

from service.http.identity import Caller
from service.keyring import PublicKey, SigningKey, signing_key

_TYPE = "at+jwt"  # RFC 9068, section 2.1
_HEADER = {"alg", "kid", "typ"}
_OPTIONS: Options = {
    "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
    "strict_aud": True,
    "enforce_minimum_key_length": True,
    "verify_iat": False,  # it allows for no difference between clocks, and is checked here
}
_CLOCK_SKEW = 60  # seconds by which the clocks of two instances may differ
_MAX_REMEMBERED = 10_000


class InvalidToken(Exception):  # noqa: N818 -- RFC 6750 calls the state that
    """A token that proves nothing. The message says why, for the log and for nobody else."""


class Tokens:
    """The access tokens of the service, to be signed and checked.

    Args:
        secret: the key of HS256, at least 32 bytes; empty where there is none, and HS256 is not accepted.
        keys: as `read_keys` returns them. From the time of the first on they sign, and the secret only verifies what
            it signed before.
        issuer, audience: who signs, and for whom.
        ttl: how long a token lives, in seconds.

    Attributes:
        public_keys: the JWKs (RFC 7517) that others verify tokens with, now and once the next keys sign.
    """

    def __init__(self, secret: str, keys: Sequence[SigningKey], issuer: str, audience: str, *, ttl: int) -> None:
        self.ttl = ttl
        self._secret = secret
        # Names the secret without giving it away, so that it can be told from another.
        digest = hashlib.sha256(b"kid:" + secret.encode()).digest()
        self._secret_id = base64.urlsafe_b64encode(digest[:9]).decode()
        self._keys = keys
        self.public_keys = [key.jwk for key in keys]
        self._issuer = issuer
        self._audience = audience
        # A key is good for one algorithm. A token names its key, and has no say in how it is checked (RFC 8725,
        # section 3.1).
        self._verifying: dict[str, tuple[str, PublicKey | str]] = {key.id: (key.algorithm, key.public) for key in keys}
        if secret:
            self._verifying[self._secret_id] = "HS256", secret
        self._jwt = jwt.PyJWT(_OPTIONS)
        # To check a signature is costly, and a token that was right stays right until it expires.
        self._remembered: dict[str, tuple[Caller, float]] = {}

    def issue(self, user_id: UUID, session_id: UUID) -> str:
        """Return a new access token for a user, which names the session that it ends with."""
        return self._sign({"sub": str(user_id), "sid": str(session_id)})

    def issue_to_client(self, client_id: UUID, scopes: Iterable[str]) -> str:
        """Return a new access token for a service client, limited to these scopes (RFC 9068, section 2.2.3)."""
        return self._sign({"sub": str(client_id), "client_id": str(client_id), "scope": " ".join(sorted(scopes))})

    def verify(self, token: str) -> Caller:
        """Return the caller that a token was issued to.

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

    def _sign(self, claims: Mapping[str, str]) -> str:
        now = int(time.time())
        times = {"iat": now, "exp": now + self.ttl}
        complete = {"iss": self._issuer, "aud": self._audience, **claims, **times, "jti": str(uuid4())}
        key = signing_key(self._keys, now)
        if key is None and self._secret:
            return self._jwt.encode(complete, self._secret, "HS256", headers={"typ": _TYPE, "kid": self._secret_id})
        key = key or self._keys[0]  # whose time is to come, but there is nothing else to sign with
        return self._jwt.encode(complete, key.private, key.algorithm, headers={"typ": _TYPE, "kid": key.id})

    def _check(self, token: str) -> tuple[Caller, float]:
        try:
            header = jwt.get_unverified_header(token)
            # Ours have these members and no other: nothing that brings a key along, and nothing critical.
            if header.keys() != _HEADER or header["typ"] != _TYPE or header["kid"] not in self._verifying:
                raise InvalidToken("the type or the key is another")
            algorithm, key = self._verifying[header["kid"]]
            claims = self._jwt.decode(token, key, [algorithm], issuer=self._issuer, audience=self._audience)
            if not isinstance(claims["exp"], int) or not isinstance(claims["iat"], int):
                raise InvalidToken("a time is no whole number")
            if claims["iat"] > time.time() + _CLOCK_SKEW:
                raise InvalidToken("it is from the future")
            return _caller(claims), claims["exp"]
        except (jwt.InvalidTokenError, ValueError) as error:
            raise InvalidToken(str(error)) from None


def _caller(claims: Mapping[str, Any]) -> Caller:
    """Return the caller that claims are about.

    Raises:
        ValueError: they are neither a user's nor a client's.
    """
    marks = claims.keys() & {"sid", "client_id", "scope"}
    if marks == {"sid"}:
        return Caller(UUID(claims["sub"]), session_id=UUID(str(claims["sid"])))
    if marks == {"client_id", "scope"} and claims["client_id"] == claims["sub"] and isinstance(claims["scope"], str):
        return Caller(UUID(claims["sub"]), scopes=frozenset(claims["scope"].split()))
    raise ValueError("it is neither a user's nor a client's")


TOKENS = web.AppKey("tokens", Tokens)
