"""Request bodies and query strings: read within their bounds, and checked against a schema."""

import asyncio
import json
from collections import Counter
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qsl

import orjson
from aiohttp import hdrs, web
from marshmallow import ValidationError

from service.http.app_keys import READ_TIMEOUT
from service.http.problems import Problem, invalid
from service.schemas.fields import Message, Schema

JSON = ("application/json",)
MERGE_PATCH = ("application/merge-patch+json", "application/json")  # RFC 7396
FORM = ("application/x-www-form-urlencoded",)
_ACCEPT = {hdrs.METH_POST: "Accept-Post", hdrs.METH_PATCH: "Accept-Patch"}  # RFC 5789, section 3.1, for the latter


async def read_body(request: web.Request, schema: Schema, media_types: tuple[str, ...] = JSON) -> dict[str, Any]:
    """Read a JSON object and load it with a schema.

    Raises:
        Problem: `unsupported_media_type`, `payload_too_large`, `request_timeout`, `invalid_json`, or
            `validation_error` with every fault at once.
    """
    _check_media_type(request, media_types)
    value = _parse(await read_bytes(request))
    if not isinstance(value, dict):
        raise invalid("", "Must be a JSON object.", "type")
    try:
        return schema.load(value)  # type: ignore[no-any-return]  # marshmallow's own
    except ValidationError as error:
        raise Problem("validation_error", faults=_faults(error, "pointer")) from None


async def read_bytes(request: web.Request) -> bytes:
    """Read the body as it was sent, once; to read it again costs nothing.

    Raises:
        Problem: `payload_too_large`, `request_timeout`, or `bad_request` when it breaks off.
    """
    if (request.content_length or 0) > request.client_max_size:
        raise _too_large(request)
    try:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(request.app[READ_TIMEOUT]):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(request) from None
    except TimeoutError:
        raise Problem("request_timeout") from None
    except web.RequestPayloadError:
        raise Problem("bad_request", "The body does not match its headers, or broke off.") from None


def read_query(request: web.Request, schema: Schema) -> dict[str, Any]:
    """Load the query string with a schema.

    Raises:
        Problem: `validation_error` naming every parameter that is unknown, repeated or wrong.
    """
    # As in a body, what is not UTF-8 becomes lone surrogates, which no field accepts; request.query would replace it.
    query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, errors="surrogateescape")
    return _load_parameters(query, schema)


async def read_form(request: web.Request, schema: Schema) -> dict[str, Any]:
    """Read a form and load it with a schema, as OAuth has it (RFC 6749, section 3.2).

    A parameter without a value counts as absent, and one that is unknown is ignored.

    Raises:
        Problem: as `read_body` does, but `validation_error` names parameters.
    """
    _check_media_type(request, FORM)
    body = (await read_bytes(request)).decode(errors="surrogateescape")
    form = parse_qsl(body, errors="surrogateescape")
    return _load_parameters([(name, value) for name, value in form if name in schema.fields], schema)


def _load_parameters(given: list[tuple[str, str]], schema: Schema) -> dict[str, Any]:
    times = Counter(name for name, _ in given)
    repeated = sorted(name for name in times if times[name] > 1)
    faults = [{"parameter": _storable(name), "detail": "Must be given once.", "code": "repeated"} for name in repeated]
    asked: dict[str, Any] = {}
    try:
        asked = schema.load({name: value for name, value in given if times[name] == 1})
    except ValidationError as error:
        faults += _faults(error, "parameter")
    if faults:
        raise Problem("validation_error", faults=faults)
    return asked


def _check_media_type(request: web.Request, media_types: tuple[str, ...]) -> None:
    headers = {_ACCEPT[request.method]: ", ".join(media_types)}
    if request.content_type not in media_types:
        raise Problem("unsupported_media_type", f"Send {' or '.join(media_types)}.", headers=headers)
    try:
        charset = (request.charset or "utf-8").lower()
    except (ValueError, LookupError):
        charset = "unknown"
    if charset not in {"utf-8", "utf8"}:
        raise Problem("unsupported_media_type", "Send the body in UTF-8 (RFC 8259, section 8.1).", headers=headers)
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding != "identity":
        headers[hdrs.ACCEPT_ENCODING] = "identity"  # RFC 9110, section 12.5.3
        raise Problem("unsupported_media_type", "A body must be sent without Content-Encoding.", headers=headers)


def _too_large(request: web.Request) -> Problem:
    return Problem("payload_too_large", f"A body may have at most {request.client_max_size} bytes.")


def _parse(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # orjson refuses a lone surrogate, which JSON allows and which a schema has to name: the standard library's
        # parser reads it.
        if "surrogate" not in str(error):
            raise Problem("invalid_json", f"{_sentence(error)}.") from None
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("invalid_json", f"{_sentence(error)}.") from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _faults(error: ValidationError, location: Literal["pointer", "parameter"]) -> list[dict[str, str]]:
    """Flatten marshmallow's messages, which are `{member: [message, …]}` for the flat schemas here."""
    faults = []
    members: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]  # marshmallow's own
    for name, messages in members.items():
        place = _storable(name) if location == "parameter" else _pointer(name)
        for message in messages:
            code = message.code if isinstance(message, Message) else "invalid"
            faults.append({location: place, "detail": str(message), "code": code})
    return faults


def _pointer(member: str) -> str:
    """Return the JSON pointer of a member (RFC 6901, section 3)."""
    return "/" + _storable(member).replace("~", "~0").replace("/", "~1")


def _storable(name: str) -> str:
    """Return a name with what UTF-8 cannot hold spelled out."""
    return name.encode(errors="backslashreplace").decode()
