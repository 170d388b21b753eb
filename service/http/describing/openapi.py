"""The OpenAPI 3.1 document, made from the routes, their schemas and the registry of problems that serve requests."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow.fields import Field

from service import __version__
from service.http.bodies import FORM
from service.http.describing.components import (
    DESCRIPTION,
    EVERY_ANSWER,
    EVERY_REQUEST,
    HEADERS,
    LICENCE,
    PARAMETERS,
    SCHEMAS,
    SECURITY,
    TAGS,
    Json,
)
from service.http.identity import is_public
from service.http.middlewares import is_refused_late
from service.http.oauth_scopes import scopes_of
from service.http.operations import Answer, operation_of
from service.http.problems import KINDS, Kind
from service.schemas.fields import QueryInteger, Representation, Schema, Text

_PROBLEM_TYPE: Final = "application/problem+json"
# The problems that any request may meet, whatever it asks for.
_ALWAYS: Final = ("bad_request", "expectation_failed", "internal_error", "request_timeout")
_WITH_A_BODY: Final = ("payload_too_large", "unsupported_media_type")
_WITH_JSON: Final = ("invalid_json", "validation_error")
# The problems that a header field may be answered with.
_BY_HEADER: Final = {
    "Idempotency-Key": (
        "idempotency_in_progress",
        "idempotency_key_reused",
        "invalid_idempotency_key",
        "payload_too_large",  # the body counts as part of the request, also where nothing else reads it
    ),
    "If-Match": ("invalid_precondition", "precondition_failed", "precondition_required"),
    "If-None-Match": ("invalid_precondition",),
}


def document(routes: Iterable[web.RouteDef]) -> Json:
    """Describe routes.

    Args:
        routes: each with a handler that is marked by `operation`.

    Returns:
        An OpenAPI 3.1 document, as JSON would hold it.
    """
    plugin = _Plugin(schema_name_resolver=lambda schema: type(schema).__name__)
    spec = APISpec(
        title="Task service",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": DESCRIPTION, "license": LICENCE},
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    for name, scheme in SECURITY.items():
        spec.components.security_scheme(name, scheme)
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, parameter in PARAMETERS.items():
        spec.components.parameter(name, "header", parameter)
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema)
    paths: dict[str, Json] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, spec, plugin.converter)
    for path, operations in paths.items():
        spec.path(path=path, operations=operations)
    return spec.to_dict()


def refusals(route: web.RouteDef) -> list[Kind]:
    """Return the problems that a route may answer with: what follows from its parts, and what its operation adds."""
    promised = operation_of(route.handler)
    codes = {*_ALWAYS, *promised.refusals}
    if not is_public(route.handler):
        codes |= {"unauthenticated", "invalid_token", "insufficient_scope"}
    if is_refused_late(route.path):
        codes.add("draining")
    if promised.asks_database:
        codes |= {"database_unavailable", "overloaded"}
    if promised.body is not None:
        codes.update(_WITH_A_BODY)
        if promised.media_types != FORM:
            codes.update(_WITH_JSON)
    if promised.query is not None:
        codes.add("validation_error")
    if _path_names(route):
        codes.add("not_found")
    for name in promised.headers:
        codes.update(_BY_HEADER.get(name, ()))
    return [kind for code, kind in KINDS.items() if code in codes]


class _Converter(OpenAPIConverter):
    """The converter of apispec, which also knows our fields, and that an answer has all of its members."""

    def field2property(self, field: Field[Any]) -> Json:
        described: Json = super().field2property(field)
        if isinstance(field, Text) and not isinstance(field.parent, Representation):
            described.setdefault("pattern", field.pattern)
        elif isinstance(field, QueryInteger):
            described |= {"minimum": field.minimum, "maximum": field.maximum}
        return described

    def schema2jsonschema(self, schema: Schema) -> Json:
        described: Json = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]  # apispec's own
        described["description"] = inspect.cleandoc(type(schema).__doc__ or "")
        if isinstance(schema, Representation):
            described["required"] = list(described["properties"])
        return described

    def reference(self, schema: Schema) -> Json:
        """Return a reference to a schema, which is described once."""
        described: Json = self.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]  # apispec's own
        return described


class _Plugin(MarshmallowPlugin):
    Converter = _Converter
    converter: _Converter


def _operation(route: web.RouteDef, spec: APISpec, converter: _Converter) -> Json:
    promised = operation_of(route.handler)
    summary, _, more = inspect.cleandoc(route.handler.__doc__ or "").partition("\n")
    described: Json = {
        "operationId": _operation_id(route.handler.__name__, route),
        "summary": summary,
        "tags": [_tag(route)],
        "security": _security(route),
        "parameters": _parameters(route, converter),
        "responses": _responses(route, spec, converter),
    }
    if more.strip():
        described["description"] = more.strip()
    if promised.body is not None:
        body = {"schema": converter.reference(promised.body), "example": _example(promised.body)}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(promised.media_types, body)}
    return described


def _security(route: web.RouteDef) -> list[Json]:
    """Say who may call a route: nobody in particular, or a user, or else a client with any one of its scopes."""
    if is_public(route.handler):
        return []
    scopes = scopes_of(route.method, route.path)
    return [{"access_token": []}, *({"service_client": [scope]} for scope in scopes)]


def _path_names(route: web.RouteDef) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)


def _is_alias(route: web.RouteDef) -> bool:
    return "user_id" in _path_names(route)


def _operation_id(handler_name: str, route: web.RouteDef) -> str:
    """Name an operation after its handler; on the alias, whose handlers are the same, it needs a name of its own."""
    return f"{handler_name}_of_user" if _is_alias(route) else handler_name


def _tag(route: web.RouteDef) -> str:
    """Name the feature that a route belongs to, which is the folder of its handler."""
    feature: str = route.handler.__module__.split(".")[1]
    if _is_alias(route):
        return "tasks of a user"
    return "documentation" if feature == "http" else feature


def _parameters(route: web.RouteDef, converter: _Converter) -> list[Json | str]:
    described: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if name.endswith("id") else {"type": "string"},
        }
        for name in _path_names(route)
    ]
    promised = operation_of(route.handler)
    if promised.query is not None:
        described += converter.schema2parameters(promised.query, location="query")
    # apispec makes references of names.
    return [*described, *promised.headers, *EVERY_REQUEST]


def _responses(route: web.RouteDef, spec: APISpec, converter: _Converter) -> Json:
    promised = operation_of(route.handler)
    responses: Json = {str(answer.status): _answer(route, answer, converter) for answer in promised.answers}
    by_status: dict[int, list[Kind]] = defaultdict(list)
    for kind in refusals(route):
        by_status[kind.status].append(kind)
    for status, kinds in sorted(by_status.items()):
        name, refused = _refused(kinds, route.method)
        if answer := responses.get(str(status)):
            # An answer and a problem of one status are told apart by their media types.
            answer["description"] = f"{answer['description']}\n\n{refused['description']}"
            answer["content"] |= refused["content"]
            continue
        if name not in spec.components.responses:
            spec.components.response(name, refused)
        responses[str(status)] = name
    return responses


def _answer(route: web.RouteDef, answer: Answer, converter: _Converter) -> Json:
    replayed = ("Idempotency-Replayed",) if "Idempotency-Key" in operation_of(route.handler).headers else ()
    described: Json = {
        "description": answer.meaning or HTTPStatus(answer.status).phrase,
        "headers": _headers(*answer.headers, *replayed),
    }
    if answer.media_type is not None:
        kind = "object" if answer.media_type == "application/json" else "string"
        described["content"] = {answer.media_type: {"schema": {"type": kind}}}
    if answer.schema is not None:
        item, example = converter.reference(answer.schema), _example(answer.schema)
        content = {"schema": item, "example": example}
        if answer.shape != "one":
            content = _collection(item, example, has_pages=answer.shape == "page")
        described["content"] = {"application/json": content}
    if answer.links:
        described["links"] = {name: _link(route, name) for name in answer.links}
    return described


def _collection(item: Json, example: Json, *, has_pages: bool) -> Json:
    properties: Json = {"items": {"type": "array", "items": item}}
    shown: Json = {"items": [example]}
    if has_pages:
        described = "What to send as `cursor` for the next page; null on the last one."
        properties["next_cursor"] = {"type": ["string", "null"], "description": described}
        shown["next_cursor"] = None
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"schema": schema, "example": shown}


def _link(route: web.RouteDef, handler_name: str) -> Json:
    """Describe how the id in an answer leads to another operation on the same thing."""
    owner = {"user_id": "$request.path.user_id"} if _is_alias(route) else {}
    return {
        "operationId": _operation_id(handler_name, route),
        "parameters": {**owner, "id": "$response.body#/id"},
    }


def _refused(kinds: list[Kind], method: str) -> tuple[str, Json]:
    """Describe what refusals of one status have in common, and name the description."""
    name = "-".join(kind.code for kind in kinds)
    headers = {header for kind in kinds for header in kind.headers}
    if name == "unsupported_media_type":
        accept = f"Accept-{method.capitalize()}"
        headers.add(accept)
        name += f"-{accept}"
    problem = "ValidationProblem" if name == "validation_error" else "Problem"
    schema = {
        "allOf": [{"$ref": f"#/components/schemas/{problem}"}],
        "properties": {
            "status": {"const": int(kinds[0].status)},
            "code": {"enum": [kind.code for kind in kinds]},
        },
    }
    examples = {kind.code: {"value": _problem_example(kind)} for kind in kinds}
    described = {
        "description": "\n".join(f"- `{kind.code}`: {kind.meaning}" for kind in kinds),
        "headers": _headers(*headers),
        "content": {_PROBLEM_TYPE: {"schema": schema, "examples": examples}},
    }
    return name, described


def _problem_example(kind: Kind) -> Json:
    shown: Json = {
        "type": kind.type,
        "title": kind.title,
        "status": int(kind.status),
        "detail": kind.meaning,
        "instance": "/api/tasks",
        "code": kind.code,
        "request_id": HEADERS["X-Request-Id"]["example"],
    }
    if kind.code == "validation_error":
        shown["errors"] = [{"pointer": "/title", "detail": "Must be given.", "code": "required"}]
    return shown


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted({*names, *EVERY_ANSWER})}


@cache
def _example(schema: Schema) -> Json:
    """Put the examples of a schema's fields together."""
    return {name: field.metadata["examples"][0] for name, field in schema.fields.items()}
