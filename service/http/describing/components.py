"""The parts of the OpenAPI document that it says once and refers to: header fields, parameters, problems, security."""

from typing import Any, Final

from service.http.oauth_scopes import SCOPES

Json = dict[str, Any]

DESCRIPTION: Final = """\
Keeps users' tasks. JSON in and out, UTF-8, `snake_case`; times in RFC 3339, UTC, with `Z`.

- **Every refusal is a problem** (RFC 9457) with a `code`; its `type` can be fetched and says what to do.
- **Every write can be retried**: send an `Idempotency-Key`, and the same one again when no answer came.
- **No update is lost**: send the `ETag` of the task that you changed as `If-Match`.
- HEAD mirrors GET. OPTIONS is 204 with `Allow`. A path that is none is 404, a method that a path has not is 405.
"""

LICENCE: Final = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}

TAGS: Final = {
    "accounts": "Registering, logging in, and the account itself.",
    "tasks": "What users want done.",
    "tasks of a user": "The same tasks by the path that names their owner.",
    "health": "What operators and load balancers ask.",
    "documentation": "The contract, and what each problem means.",
}

SECURITY: Final[dict[str, Json]] = {
    "access_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of a log-in (RFC 6750).",
    },
    "service_client": {
        "type": "oauth2",
        "description": "The `access_token` of a service client (RFC 6749), which is sent in the same way.",
        "flows": {"clientCredentials": {"tokenUrl": "/api/auth/token", "scopes": SCOPES}},
    },
}


def _header(description: str, example: str, **schema: Any) -> Json:  # noqa: ANN401 -- JSON Schema's keywords
    return {
        "description": description,
        "required": True,
        "schema": {"type": "string", **schema},
        "example": example,
    }


def _parameter(name: str, description: str, example: str, **schema: Any) -> Json:  # noqa: ANN401 -- the same
    return {
        "name": name,
        "in": "header",
        "description": description,
        # No `example` beside the schema: a form would fill it in, and send it.
        "schema": {"type": "string", "examples": [example], **schema},
    }


_REQUEST_ID: Final = r"^[A-Za-z0-9._-]{8,128}$"

HEADERS: Final[dict[str, Json]] = {
    "Accept-Patch": _header("What a PATCH may be sent as (RFC 5789).", "application/merge-patch+json"),
    "Accept-Post": _header("What a POST may be sent as.", "application/json"),
    "Allow": _header("The methods that the path has.", "GET,HEAD,OPTIONS"),
    "Cache-Control": _header("Whether the answer may be kept.", "no-store"),
    "ETag": _header("The version of the task, quoted (RFC 9110).", '"3"', pattern=r'^"[1-9][0-9]*"$'),
    "Idempotency-Replayed": _header("The answer is that of an earlier request with this key.", "true", const="true")
    | {"required": False},
    "Link": _header("Where the next page is (RFC 8288), while there is one.", '</api/tasks?cursor=AAZ>; rel="next"')
    | {"required": False},
    "Location": _header("Where to find what was made, or what was asked for.", "/api/users/me", format="uri-reference"),
    "Pragma": _header("Says `no-store` to caches of long ago (RFC 6749).", "no-cache", const="no-cache"),
    "Retry-After": _header("Seconds to wait before trying again.", "1", pattern=r"^[0-9]+$"),
    "WWW-Authenticate": _header("How to authenticate (RFC 6750).", "Bearer", pattern=r"^Bearer"),
    "X-Content-Type-Options": _header("Always `nosniff`.", "nosniff", const="nosniff"),
    "X-Request-Id": _header("Names the request in the logs.", "7f3c9a52b1d84e60", pattern=_REQUEST_ID),
}
EVERY_ANSWER: Final = ("X-Content-Type-Options", "X-Request-Id")

PARAMETERS: Final[dict[str, Json]] = {
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "Makes the write safe to repeat for 24 hours: 1 to 255 printable ASCII characters, quoted or bare.",
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
        # A value that begins with a quote is a string of RFC 9651, section 3.3.3.
        pattern=r'^(?:[!#-~](?:[ -~]{0,253}[!-~])?|"(?:[ !#-\[\]-~]|\\["\\]){1,255}")$',
    ),
    "If-Match": _parameter(
        "If-Match", "Change the task only if it has one of these entity tags; `*` is any (RFC 9110).", '"3"'
    ),
    "If-None-Match": _parameter(
        "If-None-Match", "Answer 304 if the task still has one of these entity tags (RFC 9110).", '"3"'
    ),
    "X-Request-Id": _parameter(
        "X-Request-Id",
        f"Names the request in the logs, if it matches `{_REQUEST_ID}`; any other is replaced.",
        "7f3c9a52b1d84e60",
    ),
    "traceparent": _parameter(
        "traceparent",
        "The trace that the request belongs to (W3C Trace Context); the logs continue it.",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
}
EVERY_REQUEST: Final = ("X-Request-Id", "traceparent")

_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Can be fetched; says what to do."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong with this request."},
        "instance": {"type": "string", "description": "The path of the request."},
        "code": {"type": "string", "description": "The code, for programs."},
        "request_id": {"type": "string", "pattern": _REQUEST_ID},
    },
}
_FAULT: Final[Json] = {
    "type": "object",
    "description": "One thing that is wrong: a member of the body, or a parameter of the query string.",
    "required": ["detail", "code"],
    "properties": {
        "pointer": {"type": "string", "format": "json-pointer", "description": "A pointer into the body (RFC 6901)."},
        "parameter": {"type": "string"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "oneOf": [{"required": ["pointer"]}, {"required": ["parameter"]}],
}
_VALIDATION_PROBLEM: Final[Json] = {
    "description": "A refusal that names everything that is wrong at once.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}],
    "required": ["errors"],
    "properties": {"errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Fault"}}},
}
SCHEMAS: Final[dict[str, Json]] = {
    "Fault": _FAULT,
    "Problem": _PROBLEM,
    "ValidationProblem": _VALIDATION_PROBLEM,
}
