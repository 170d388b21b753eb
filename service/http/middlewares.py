"""The outermost middleware: a request id, an answer for every fault, one log line."""

import re
from collections.abc import Sequence
from random import getrandbits
from time import perf_counter

from aiohttp import hdrs, web
from multidict import istr

from service.http.app_keys import CORS_ORIGINS, DRAINING, REFUSING
from service.http.cors import share
from service.http.identity import CALLER, Handler
from service.http.metrics import METRICS
from service.http.problems import Problem, problem_of, problem_response
from service.logs import REQUEST, log_request

_REQUEST_ID = istr("X-Request-Id")
_TRACEPARENT = istr("traceparent")
_CONTENT_TYPE_OPTIONS = istr("X-Content-Type-Options")
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
# Neither id is all zeros; there is no version ff, and only a version after 00 may have more at the end.
_TRACE = re.compile(r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request, whatever happens, then log and count it."""
    started = perf_counter()
    app, headers = request.app, request.headers
    draining = app[DRAINING]
    request_id = choose_request_id(headers.get(_REQUEST_ID))
    names = {"request_id": request_id}
    if _TRACEPARENT in headers:
        names |= read_trace(headers.getall(_TRACEPARENT))
    REQUEST.set(names)
    try:
        if draining.is_set() and app[REFUSING].is_set() and is_refused_late(request.path):
            raise Problem("draining")  # noqa: TRY301 -- it becomes an answer as any other does
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 -- what cannot be explained is logged there, and is a 500
        response = _explain(request, error, request_id)
    mark(response, request_id)
    if origins := app[CORS_ORIGINS]:
        share(request, response, origins)
    if draining.is_set() or not request.content.is_eof():
        # No more requests here; after a body that was refused half-way, none could be told from its rest.
        response.force_close()
    seconds = perf_counter() - started
    app[METRICS].count(request, response.status, seconds)
    caller = request.get(CALLER)
    log_request(
        {
            **names,
            "method": request.method,
            "path": request.path,
            "status": response.status,
            "ms": round(seconds * 1000, 2),
            "user_id": str(caller.id) if caller and not caller.is_client else None,
            "client_id": str(caller.id) if caller and caller.is_client else None,
        }
    )
    return response


def choose_request_id(given: str | None) -> str:
    """Keep the caller's request id if it is well-formed; make one otherwise."""
    return given if given and _WELL_FORMED_ID.fullmatch(given) else f"{getrandbits(128):032x}"


def read_trace(lines: Sequence[str]) -> dict[str, str]:
    """Return the trace of a `traceparent` and the caller's span in it; nothing unless there is one, well-formed.

    W3C Trace Context, section 3.2.2; of a version to come, what it has in common with this one (section 3.2.4).
    """
    match = _TRACE.fullmatch(lines[0]) if len(lines) == 1 else None
    return {"trace_id": match[1], "parent_id": match[2]} if match else {}


def is_refused_late(path: str) -> bool:
    """Tell whether a request that comes late in a drain is refused; what operators ask is answered to the end."""
    return not path.startswith("/health/")


def mark(response: web.StreamResponse, request_id: str) -> None:
    """Set the header fields that every answer has."""
    response.headers[_REQUEST_ID] = request_id
    response.headers[_CONTENT_TYPE_OPTIONS] = "nosniff"
    response.headers[hdrs.SERVER] = "task-service"  # and not which versions it is made of


def _explain(request: web.Request, error: Exception, request_id: str) -> web.Response:
    """Answer with a problem, unless what the router refused is OPTIONS (RFC 9110, section 9.3.7).

    The router has no routes for OPTIONS, so it says which methods the path has; `*` is the service as a whole.
    """
    problem = problem_of(error)
    if problem.kind.code == "invalid_token" and (known := request.get(CALLER)) and known.is_client:
        # Its token has been accepted; it is the user in the path who is gone.
        problem = Problem("not_found")
    is_resource = isinstance(error, web.HTTPMethodNotAllowed) or (
        isinstance(error, web.HTTPNotFound) and request.path == "*"
    )
    if request.method == hdrs.METH_OPTIONS and is_resource:
        return web.Response(status=204, headers=problem.headers)
    return problem_response(problem, instance=request.path, request_id=request_id)
