"""The caller of a request, and the owner of the tasks that it is about."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from aiohttp import web

from service.http.problems import Problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HandlerT = TypeVar("HandlerT", bound=Handler)

_PUBLIC = "is_public"


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of an access token: a user in a session, or a service client.

    Attributes:
        id: the id of the user or the client.
        session_id: the id of the user's session; None for a client.
        scopes: what a client may do; empty for a user, who may do everything with what is the user's.
    """

    id: UUID
    session_id: UUID | None = None
    scopes: frozenset[str] = frozenset()

    @property
    def is_client(self) -> bool:
        """True if this is a service client and no user."""
        return self.session_id is None

    @property
    def revocable_id(self) -> UUID:
        """The id whose revocation stops the token: of the session, or of the client."""
        return self.session_id or self.id


CALLER = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> UUID:
    """Return the id of the user or the client that is calling."""
    return request[CALLER].id


def owner(request: web.Request) -> UUID:
    """Return the id of the user whose tasks the request is about: the caller, or for a client whom the path names.

    Raises:
        Problem: `not_found`, when the path names no user or, to a user, somebody else.
    """
    if request[CALLER].is_client:
        # It may call nothing but the alias (service.http.oauth_scopes), whose path names somebody.
        return path_uuid(request, "user_id")
    user_id = caller(request)
    if "user_id" in request.match_info and path_uuid(request, "user_id") != user_id:
        raise Problem("not_found")
    return user_id


def account_gone() -> Problem:
    """Make the problem for a request about a user who is gone; a client gets to read `not_found` in its place."""
    return Problem("invalid_token", "The account that the token was issued to no longer exists.")


def path_uuid(request: web.Request, name: str) -> UUID:
    """Read a UUID in the path.

    Raises:
        Problem: `not_found`; what is no UUID is the id of nothing.
    """
    text = request.match_info[name]
    with suppress(ValueError):
        # UUID() reads more spellings than one; a thing has one address.
        if str(value := UUID(text)) == text.lower():
            return value
    raise Problem("not_found")


def public(handler: HandlerT) -> HandlerT:
    """Mark a handler as open to everybody; all others need an access token, so that none is forgotten."""
    setattr(handler, _PUBLIC, True)
    return handler


def is_public(handler: Handler) -> bool:
    """Tell whether a handler is open to everybody."""
    return getattr(handler, _PUBLIC, False)
