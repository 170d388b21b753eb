"""Authentication: a route that is not public answers only callers with an access token (RFC 6750) that allows it."""

from aiohttp import hdrs, web

from service.accounts.revocations import REVOCATIONS
from service.accounts.tokens import TOKENS, InvalidToken
from service.http.identity import CALLER, Caller, Handler, is_public
from service.http.oauth_scopes import check_scope
from service.http.problems import Problem


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the caller of a request, or refuse it. What the router refuses is passed on: there is nothing to protect.

    Raises:
        Problem: `unauthenticated`, `invalid_token`, or `insufficient_scope`.
    """
    match = request.match_info
    if match.http_exception is None and not is_public(match.handler):
        caller = request[CALLER] = _identify(request)
        if caller.is_client:
            check_scope(request, caller)
    return await handler(request)


def _identify(request: web.Request) -> Caller:
    """Return the caller that the token was issued to, without asking the database."""
    try:
        caller = request.app[TOKENS].verify(_bearer_token(request))
    except InvalidToken:
        raise Problem("invalid_token") from None
    if caller.revocable_id in request.app[REVOCATIONS]:
        raise Problem("invalid_token")
    return caller


def _bearer_token(request: web.Request) -> str:
    lines = request.headers.getall(hdrs.AUTHORIZATION, ())
    if not lines:
        raise Problem("unauthenticated")
    if len(lines) > 1:
        raise Problem("invalid_token", "Send one Authorization header.")
    scheme, _, token = lines[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Problem("unauthenticated", "Send the access token as Authorization: Bearer <access_token>.")
    return token.strip()
