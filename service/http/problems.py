"""Problems: every refusal, as `application/problem+json` (RFC 9457), from one registry of codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import hdrs, web
from multidict import istr

from service.database import errors

log = structlog.get_logger()

_RETRY_AFTER = istr("Retry-After")


@dataclass(frozen=True, slots=True)
class Kind:
    """One code: what it means, and what the caller should do."""

    code: str
    status: HTTPStatus
    title: str
    meaning: str
    remedy: str
    headers: tuple[str, ...] = ()
    """The header fields that say what to do; each is in every such answer."""

    @property
    def type(self) -> str:
        """The URI of the kind, relative to the service; it can be fetched."""
        return f"/problems/{self.code}"


KINDS = {
    kind.code: kind
    for kind in (
        Kind(
            "bad_request",
            HTTPStatus.BAD_REQUEST,
            "Bad request",
            "The request is not well-formed HTTP.",
            "Check the request line and the headers; an HTTP library gets them right.",
        ),
        Kind(
            "invalid_json",
            HTTPStatus.BAD_REQUEST,
            "Unreadable JSON",
            "The body is not JSON in UTF-8: it is empty, malformed, nested too deeply, or holds NaN or a huge number.",
            "Send one JSON value in UTF-8, without a byte order mark.",
        ),
        Kind(
            "invalid_precondition",
            HTTPStatus.BAD_REQUEST,
            "Unreadable precondition",
            "If-Match or If-None-Match is neither * nor a list of entity tags.",
            'Send an ETag as it was received, quotes included: If-Match: "3".',
        ),
        Kind(
            "invalid_idempotency_key",
            HTTPStatus.BAD_REQUEST,
            "Unreadable idempotency key",
            "Idempotency-Key is not one key of 1 to 255 printable ASCII characters, quoted or bare.",
            'Send one key, such as a fresh UUID: Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".',
        ),
        Kind(
            "unauthenticated",
            HTTPStatus.UNAUTHORIZED,
            "Not authenticated",
            "The route needs an access token, and the request has none.",
            "Log in and send the token: Authorization: Bearer <access_token>.",
            headers=("WWW-Authenticate",),
        ),
        Kind(
            "invalid_token",
            HTTPStatus.UNAUTHORIZED,
            "Invalid token",
            "The access token is malformed, expired, revoked, or not from this service.",
            "Log in again and use the new token.",
            headers=("WWW-Authenticate",),
        ),
        Kind(
            "invalid_credentials",
            HTTPStatus.UNAUTHORIZED,
            "Wrong email or password",
            "No account has this email address and this password.",
            "Check both. The service does not say which of them is wrong.",
            headers=("WWW-Authenticate",),
        ),
        Kind(
            "invalid_refresh_token",
            HTTPStatus.UNAUTHORIZED,
            "Invalid refresh token",
            "The refresh token is malformed, expired, spent, or of a session that has ended.",
            "Log in again. A refresh token is good for one use; keep the new one that comes with the answer.",
            headers=("WWW-Authenticate",),
        ),
        Kind(
            "insufficient_scope",
            HTTPStatus.FORBIDDEN,
            "Insufficient scope",
            "The route is not open to service clients, or needs a scope that this client does not have.",
            "Ask for a client with that scope, and use /api/{user_id}/tasks: a client has no tasks of its own.",
            headers=("WWW-Authenticate",),
        ),
        Kind(
            "not_found",
            HTTPStatus.NOT_FOUND,
            "Not found",
            "There is nothing here, or it belongs to somebody else.",
            "Check the path and the id.",
        ),
        Kind(
            "method_not_allowed",
            HTTPStatus.METHOD_NOT_ALLOWED,
            "Method not allowed",
            "The path exists, but not for this method.",
            "Use one of the methods in Allow.",
            headers=("Allow",),
        ),
        Kind(
            "request_timeout",
            HTTPStatus.REQUEST_TIMEOUT,
            "Request timed out",
            "The request did not arrive in time.",
            "Send it again, faster or on a better connection.",
        ),
        Kind(
            "email_taken",
            HTTPStatus.CONFLICT,
            "Email address taken",
            "An account with this email address exists.",
            "Log in, or register another address.",
        ),
        Kind(
            "idempotency_in_progress",
            HTTPStatus.CONFLICT,
            "Still in progress",
            "The first request with this Idempotency-Key is still being answered.",
            "Send the same request again after Retry-After seconds; its answer will be that of the first.",
            headers=("Retry-After",),
        ),
        Kind(
            "precondition_failed",
            HTTPStatus.PRECONDITION_FAILED,
            "Precondition failed",
            "The task has changed: its version is not one of those in If-Match.",
            "Read the task again, make the change again, and send it with the new ETag.",
            headers=("ETag",),
        ),
        Kind(
            "payload_too_large",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "Payload too large",
            "The body is longer than the service accepts.",
            "Send a shorter body.",
        ),
        Kind(
            "unsupported_media_type",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type",
            "The Content-Type, its charset or the Content-Encoding is not one that this route reads.",
            "Send plain UTF-8 JSON, with a Content-Type listed in Accept-Post or Accept-Patch.",
        ),
        Kind(
            "expectation_failed",
            HTTPStatus.EXPECTATION_FAILED,
            "Expectation failed",
            "The service supports no expectation but 100-continue.",
            "Send the request without Expect.",
        ),
        Kind(
            "validation_error",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Validation failed",
            "The request can be read, but breaks the rules; `errors` names everything that is wrong.",
            "Correct each member or parameter that is named there.",
        ),
        Kind(
            "idempotency_key_reused",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Idempotency key reused",
            "The Idempotency-Key belongs to another request: another method, another task or another body.",
            "Send the request as it was at first, or take a fresh key for a new one.",
        ),
        Kind(
            "precondition_required",
            HTTPStatus.PRECONDITION_REQUIRED,
            "Precondition required",
            "This service changes and deletes a task only with If-Match, so that no update is lost.",
            'Read the task and send its ETag: If-Match: "3". To change whatever version is there, send *.',
        ),
        Kind(
            "too_many_requests",
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many requests",
            "Too many log-ins have failed recently, for this account or from this address.",
            "Wait for Retry-After seconds. The service does not say which of the two it is, nor if the account exists.",
            headers=("Retry-After",),
        ),
        Kind(
            "internal_error",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Internal error",
            "The service has a bug; it is logged with the request id.",
            "Report the request id.",
        ),
        Kind(
            "database_unavailable",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Database unavailable",
            "The database cannot be reached or did not answer in time; a write may or may not have happened.",
            "Try again after Retry-After seconds.",
            headers=("Retry-After",),
        ),
        Kind(
            "overloaded",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Overloaded",
            "There are more requests than the service can answer right now; nothing was done.",
            "Try again after Retry-After seconds.",
            headers=("Retry-After",),
        ),
        Kind(
            "draining",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Shutting down",
            "This instance is shutting down and takes no new requests; nothing was done.",
            "Try again after Retry-After seconds, on a new connection.",
            headers=("Retry-After",),
        ),
    )
}

# The codes of what aiohttp refuses by itself, by status.
_FRAMEWORK_CODES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.EXPECTATION_FAILED: "expectation_failed",
}


class Problem(Exception):  # noqa: N818 -- RFC 9457 calls it a problem
    """A refusal, to be raised by whatever finds the fault.

    Args:
        code: one of `KINDS`.
        detail: one sentence about this occurrence; the kind's meaning by default.
        headers: further header fields of the answer.
        faults: for `validation_error`, each with `detail`, `code` and either `pointer` or `parameter`.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        faults: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(code)
        self.kind = KINDS[code]
        self.detail = detail or self.kind.meaning
        self.headers = dict(headers or {})
        self.faults = faults
        if "Retry-After" in self.kind.headers:
            self.headers.setdefault(_RETRY_AFTER, "1")
        elif "WWW-Authenticate" in self.kind.headers:
            # RFC 6750, section 3.1: no error code where no token was sent.
            challenge = 'Bearer error="invalid_token"' if code == "invalid_token" else "Bearer"
            self.headers.setdefault(hdrs.WWW_AUTHENTICATE, challenge)


def problem_of(error: BaseException) -> Problem:
    """Say what an exception means for the caller: the one place where any of them becomes an answer."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException) and (code := _FRAMEWORK_CODES.get(error.status)):
        return Problem(code, headers=_allow(error))
    if isinstance(error, errors.Overloaded):
        return Problem("overloaded")
    if violation := errors.violation(error):
        is_about_member = violation.code == "validation_error"
        return (
            invalid(violation.pointer, violation.detail, violation.fault)
            if is_about_member
            else Problem(violation.code, violation.detail)
        )
    if errors.is_unavailable(error):
        log.warning("database unavailable", error=type(error).__name__, detail=str(error))
        return Problem("database_unavailable")
    log.error("internal error", exc_info=errors.without_rows(error))
    return Problem("internal_error")


def _allow(error: web.HTTPException) -> dict[str, str]:
    """Name the methods of a path; the router knows nothing of OPTIONS, which every path has."""
    if not isinstance(error, web.HTTPMethodNotAllowed):
        return {}
    return {"Allow": ",".join(sorted({*error.allowed_methods, hdrs.METH_OPTIONS}))}


def invalid(pointer: str, detail: str, code: str) -> Problem:
    """Make a `validation_error` about one member of the body, named by its JSON pointer (RFC 6901)."""
    return Problem("validation_error", faults=[{"pointer": pointer, "detail": detail, "code": code}])


def invalid_parameter(parameter: str, detail: str, code: str) -> Problem:
    """Make a `validation_error` about one parameter of the query string."""
    return Problem("validation_error", faults=[{"parameter": parameter, "detail": detail, "code": code}])


def problem_response(problem: Problem, *, instance: str, request_id: str) -> web.Response:
    """Render a problem for the request whose path is `instance`."""
    kind = problem.kind
    body: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": instance,
        "code": kind.code,
        "request_id": request_id,
    }
    if problem.faults is not None:
        body["errors"] = problem.faults
    return web.Response(
        body=orjson.dumps(body),
        status=kind.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )
