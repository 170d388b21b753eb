"""The HTTP protocol with problems for what never reaches a middleware: unreadable requests and unmet expectations."""

import asyncio
from typing import Any

import structlog
from aiohttp import web

from service.http.middlewares import choose_request_id, mark
from service.http.problems import Problem, problem_of, problem_response

log = structlog.get_logger()


class Protocol(web.RequestHandler):
    """One connection. aiohttp's own answers to faults are text/plain; here they are problems like any other."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be parsed (400), or that broke the framework (500), and close."""
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun; the fault can no longer be told.")
        if status == web.HTTPBadRequest.status_code:
            # Without aiohttp's message, which quotes the bytes: they may hold a token.
            log.info("bad request", remote=request.remote)
            problem = Problem("bad_request")
        else:
            problem = problem_of(exc or RuntimeError(message or "the request handler failed"))
        response = _answer(problem, request)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; an exception of the framework, as for `Expect`, becomes a problem first."""
        if isinstance(resp, web.HTTPException):
            resp = _answer(problem_of(resp), request)
        return await super().finish_response(request, resp, start_time)


def _answer(problem: Problem, request: web.BaseRequest) -> web.Response:
    request_id = choose_request_id(request.headers.get("X-Request-Id"))
    response = problem_response(problem, instance=request.path, request_id=request_id)
    mark(response, request_id)
    return response


def protocol_factory(server: web.Server, **options: Any) -> Any:  # noqa: ANN401 -- what aiohttp's own takes and gives
    """Return what makes a `Protocol` for each connection of a listening socket."""
    loop = asyncio.get_running_loop()
    return lambda: Protocol(server, loop=loop, **options)
