"""Sessions: a log-in begins one, refresh tokens prolong it, a log-out or a thief ends it (RFC 9700, section 4.14).

A session is a family of refresh tokens, of which one is live. To use it is to spend it: its successor takes its place.
A spent one that is used again has two holders, so the session ends. But for ten seconds it may just be that the answer
was lost, and the same successor is given once more. That is not kept: it is derived from the spent token, which only
its holder knows, and from a random salt, which only the database knows.
"""

import base64
import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final, Self
from uuid import UUID, uuid4

import structlog
from aiohttp import web

from service.accounts.revocations import Revocations
from service.accounts.tokens import Tokens
from service.database.queries import Executor, queries

log = structlog.get_logger()

_PREFIX: Final = "tsr_"  # so that a scanner for leaked secrets knows one when it sees it
_SECRET_BYTES = 32
_BYTES = 16 + 16 + _SECRET_BYTES

TokenPair = dict[str, Any]
"""An access token and a refresh token, as the schema of that name has them."""


class InvalidRefreshToken(Exception):  # noqa: N818 -- as InvalidToken
    """A refresh token that prolongs nothing."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token: whose it is, of which session, and 256 bits that nobody can guess."""

    user_id: UUID
    session_id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, user_id: UUID) -> Self:
        """Draw the first token of a new session."""
        return cls(UUID(bytes=user_id.bytes), uuid4(), token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token.

        Raises:
            ValueError: it is none.
        """
        raw = base64.urlsafe_b64decode(text.removeprefix(_PREFIX) + "==")
        token = cls(UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), raw[32:])
        # base64 reads more spellings than it writes; a token has one.
        if len(raw) != _BYTES or str(token) != text:
            raise ValueError("not a refresh token")
        return token

    def __str__(self) -> str:
        """Write it as its holder sends it."""
        raw = self.user_id.bytes + self.session_id.bytes + self.secret
        return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @property
    def hash(self) -> bytes:
        """The SHA-256 digest that is stored of it."""
        return sha256(str(self).encode()).digest()

    @property
    def key(self) -> dict[str, UUID]:
        """The key of its session, as parameters of a query."""
        return {"user_id": self.user_id, "id": self.session_id}

    def successor(self, salt: bytes) -> Self:
        """Return the token that takes its place."""
        return type(self)(self.user_id, self.session_id, hmac.digest(self.secret, salt, "sha256"))


class Sessions:
    """The sessions of users, to be begun, prolonged and ended.

    Args:
        tokens: the access tokens, to be signed.
        revocations: those that this process knows, to which ended sessions are added.
        ttl: for how many seconds a refresh token is good.
    """

    def __init__(self, tokens: Tokens, revocations: Revocations, ttl: int) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._ttls = {"refresh_ttl": ttl, "access_ttl": tokens.ttl}

    async def begin(self, executor: Executor, user_id: UUID, password_hash: str) -> TokenPair | None:
        """Begin a session; None if the user has another password by now than the one that was checked."""
        token = RefreshToken.new(user_id)
        begun = await queries.create_session(
            executor, **token.key, password_hash=password_hash, token_hash=token.hash, **self._ttls
        )
        return self._pair(token) if begun else None

    async def prolong(self, executor: Executor, text: str) -> TokenPair:
        """Spend a refresh token, and end its session when it was spent before.

        Raises:
            InvalidRefreshToken: it prolongs nothing.
        """
        token = _parse(text)
        salt = token_bytes(_SECRET_BYTES)
        successor = token.successor(salt)
        prolonged = await queries.update_session_token(
            executor,
            **token.key,
            token_hash=token.hash,
            successor_hash=successor.hash,
            successor_salt=salt,
            **self._ttls,
        )
        return self._pair(successor if prolonged else await self._successor_of_spent(executor, token))

    async def end(self, executor: Executor, text: str) -> None:
        """End the session that a refresh token is of; one that is of none ends none."""
        try:
            token = _parse(text)
        except InvalidRefreshToken:
            return
        # A refresh at the same moment makes a spent token of a live one, which only the next statement gets to see.
        for _ in range(2):
            ended = await queries.delete_session_of_token(executor, **token.key, token_hash=token.hash)
            if ended:
                self._revocations.add([ended])
                return

    async def _successor_of_spent(self, executor: Executor, token: RefreshToken) -> RefreshToken:
        spent = await queries.get_spent_refresh_token(
            executor, user_id=token.user_id, session_id=token.session_id, token_hash=token.hash
        )
        if spent is None:
            raise InvalidRefreshToken
        if not spent["is_fresh"]:
            ended = await queries.delete_session(executor, **token.key)
            if ended:
                self._revocations.add([ended])
            log.warning("refresh token reused", user_id=str(token.user_id), session_id=str(token.session_id))
            raise InvalidRefreshToken
        successor = token.successor(spent["successor_salt"])
        if successor.hash != spent["live_token_hash"]:
            raise InvalidRefreshToken  # the successor has been spent as well, so its answer was not lost
        return successor

    def _pair(self, token: RefreshToken) -> TokenPair:
        return {
            "access_token": self._tokens.issue(token.user_id, token.session_id),
            "token_type": "Bearer",
            "expires_in": self._tokens.ttl,
            "refresh_token": str(token),
        }


def _parse(text: str) -> RefreshToken:
    try:
        return RefreshToken.parse(text)
    except ValueError:
        raise InvalidRefreshToken from None


SESSIONS = web.AppKey("sessions", Sessions)
