"""The outermost middleware: a request id, an answer for every fault, one log line."""

import re
from random import getrandbits
from time import perf_counter

from aiohttp import hdrs, web
from multidict import istr

from service.http.identity import CALLER, Handler
from service.http.keys import DRAINING
from service.http.problems import problem_of, problem_response
from service.logs import REQUEST_ID, log_request

_REQUEST_ID = istr("X-Request-Id")
_CONTENT_TYPE_OPTIONS = istr("X-Content-Type-Options")
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request, whatever happens, and say so in the log."""
    started = perf_counter()
    request_id = choose_request_id(request.headers.get(_REQUEST_ID))
    REQUEST_ID.set(request_id)
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 -- what cannot be explained is logged there, and is a 500
        response = problem_response(problem_of(error), instance=request.path, request_id=request_id)
    mark(response, request_id)
    if request.app[DRAINING].is_set() or not request.content.is_eof():
        # No more requests here; after a body that was refused half-way, none could be told from its rest.
        response.force_close()
    caller = request.get(CALLER)
    log_request(
        request_id=request_id,
        method=request.method,
        path=request.path,
        status=response.status,
        ms=round((perf_counter() - started) * 1000, 2),
        user_id=str(caller.user_id) if caller else None,
    )
    return response


def choose_request_id(given: str | None) -> str:
    """Keep the caller's request id if it is well-formed; make one otherwise."""
    return given if given and _WELL_FORMED_ID.fullmatch(given) else f"{getrandbits(128):032x}"


def mark(response: web.StreamResponse, request_id: str) -> None:
    """Set the header fields that every answer has."""
    response.headers[_REQUEST_ID] = request_id
    response.headers[_CONTENT_TYPE_OPTIONS] = "nosniff"
    response.headers[hdrs.SERVER] = "task-service"  # and not which versions it is made of
