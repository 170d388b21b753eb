"""Who is calling, and whose tasks a request is about."""

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
    """The user that an access token was issued to."""

    user_id: UUID


CALLER = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> UUID:
    """Return the id of the user who is calling."""
    return request[CALLER].user_id


def owner(request: web.Request) -> UUID:
    """Return the id of the user whose tasks the request is about: the caller, whom the alias names in its path.

    Raises:
        Problem: `not_found`, when the path names somebody else.
    """
    user_id = caller(request)
    if "user_id" in request.match_info and path_uuid(request, "user_id") != user_id:
        raise Problem("not_found")
    return user_id


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
