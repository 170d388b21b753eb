"""CORS, by the Fetch standard: pages of the configured origins may call the service and read its answers.

Nothing is said of credentials: a token travels in Authorization, which a page sets by itself, and there are no cookies.
"""

from aiohttp import hdrs, web

_READABLE = "ETag, Link, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
_ACCEPTED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent, X-Request-Id"
_MAX_AGE_SECONDS = 600


def share(request: web.Request, response: web.StreamResponse, origins: frozenset[str]) -> None:
    """Let a page read an answer if its origin is one of these, and a preflight learn what it may send.

    Origins are compared byte by byte (Fetch, "CORS check"). Every answer depends on Origin, that to a request without
    it too: a cache must not give it to a page.

    Args:
        request: a preflight (Fetch, "CORS-preflight fetch") or any other.
        response: what is about to be sent.
        origins: those that are configured.
    """
    headers = response.headers
    vary = headers.get(hdrs.VARY)
    headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}" if vary else hdrs.ORIGIN
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin not in origins:
        return
    headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _READABLE
    is_preflight = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if is_preflight and hdrs.ALLOW in headers:
        headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = headers[hdrs.ALLOW]
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _ACCEPTED
        headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(_MAX_AGE_SECONDS)
