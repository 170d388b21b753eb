"""Who is calling: set by the authentication middleware, read by handlers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HandlerT = TypeVar("_HandlerT", bound=Handler)

_PUBLIC = "is_public"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user that an access token was issued to."""

    user_id: UUID


CALLER = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> UUID:
    """Return the id of the user who is calling."""
    return request[CALLER].user_id


def public(handler: _HandlerT) -> _HandlerT:
    """Mark a handler as open to everybody; all others need an access token, so that none is forgotten."""
    setattr(handler, _PUBLIC, True)
    return handler


def is_public(handler: Handler) -> bool:
    """Tell whether a handler is open to everybody."""
    return getattr(handler, _PUBLIC, False)
