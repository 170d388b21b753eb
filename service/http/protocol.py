"""The HTTP protocol, with problems for what never reaches a middleware: unreadable, slow or over-demanding requests."""

import asyncio
from typing import Any, cast

import structlog
from aiohttp import hdrs, web

from service.http.middlewares import choose_request_id, mark
from service.http.problems import Problem, problem_of, problem_response

log = structlog.get_logger()


class Protocol(web.RequestHandler):
    """One connection. aiohttp's own answers to faults are text/plain; here they are problems like any other.

    Args:
        server: aiohttp's, which counts the connections.
        head_timeout: seconds in which the head of a request must arrive, from its first byte on.
        options: those of `aiohttp.web.RequestHandler`.
    """

    __slots__ = ("_head_timeout", "_head_timer")

    def __init__(self, server: web.Server, *, head_timeout: float, **options: Any) -> None:  # noqa: ANN401 -- aiohttp's
        super().__init__(server, **options)
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """True if a request is here whose answer has not been sent; else the next request is waited for."""
        return self._waiter is None or self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and set or stop the clock of a head that is not complete."""
        super().data_received(data)
        # These bytes have completed no head: there was none yet, or aiohttp still waits for the next.
        if self._request_count == 0 or not self.is_busy:
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self._head_timeout, self._refuse_slow_head)
        elif self._head_timer is not None:
            self._stop_clock()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the clock as well."""
        self._stop_clock()
        super().connection_lost(exc)

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
        elif isinstance(exc, UnicodeEncodeError) and hdrs.EXPECT in request.headers:
            # aiohttp's answer to an unmet Expect quotes it, and fails at bytes that are no UTF-8.
            problem = Problem("expectation_failed")
        else:
            problem = problem_of(exc or RuntimeError(message or "the request handler failed"))
        response = _answer(problem, request.path, request.headers.get("X-Request-Id"))
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; an exception of the framework, as for `Expect`, becomes a problem first."""
        if isinstance(resp, web.HTTPException):
            resp = _answer(problem_of(resp), request.path, request.headers.get("X-Request-Id"))
        return await super().finish_response(request, resp, start_time)

    def _refuse_slow_head(self) -> None:
        # There is no request yet, so nothing of aiohttp's can answer it.
        if self.transport is not None:
            response = _answer(Problem("request_timeout"), path="", given_id=None)
            log.info("slow head", request_id=response.headers["X-Request-Id"])
            body = cast(bytes, response.body)
            fields = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
            lines = ["HTTP/1.1 408 Request Timeout", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
            self.transport.write("\r\n".join(lines).encode() + body)
        self.force_close()

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _answer(problem: Problem, path: str, given_id: str | None) -> web.Response:
    request_id = choose_request_id(given_id)
    response = problem_response(problem, instance=path, request_id=request_id)
    mark(response, request_id)
    return response


def protocol_factory(server: web.Server, **options: Any) -> Any:  # noqa: ANN401 -- what aiohttp's own takes and gives
    """Return a factory that makes a `Protocol` for each connection of a listening socket."""
    loop = asyncio.get_running_loop()
    return lambda: Protocol(server, loop=loop, **options)
