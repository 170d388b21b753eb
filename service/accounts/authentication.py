"""Who is calling: the access token of a request, by RFC 6750, for every route that is not marked as public."""

from aiohttp import hdrs, web

from service.accounts.tokens import TOKENS, InvalidToken
from service.http.identity import CALLER, Handler, is_public
from service.http.problems import Problem


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the caller, or refuse. What the router refuses is passed on: there is nothing there to protect."""
    match = request.match_info
    if match.http_exception is None and not is_public(match.handler):
        try:
            request[CALLER] = request.app[TOKENS].verify(_bearer_token(request))
        except InvalidToken:
            raise Problem("invalid_token") from None
    return await handler(request)


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
