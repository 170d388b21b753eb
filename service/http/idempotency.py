"""Idempotency-Key: a write that is sent again happens once (draft-ietf-httpapi-idempotency-key-header).

The record of an answer is added in the transaction of the write itself, so that there is never one without the other,
whatever fails and whenever. What is refused or fails leaves no record, and its key can be used again.
"""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from hashlib import sha256
from typing import TypeAlias

from aiohttp import web
from multidict import istr

from service.database.queries import queries
from service.http.app_keys import DATABASE, EXECUTOR
from service.http.bodies import read_bytes
from service.http.identity import account_gone, caller, owner, path_uuid
from service.http.problems import Problem
from service.http.replies import Record

Write: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]

_HEADER = istr("Idempotency-Key")
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_STRING = re.compile(r'"((?:[^"\\]|\\["\\])*+)"')  # RFC 9651, section 3.3.3
_ESCAPED = re.compile(r"\\(.)")


def retriable(handler: Write) -> Write:
    """Let a write be sent again with its Idempotency-Key: it happens once, and is answered as it was the first time.

    A write without the header is left alone. One with it runs in a transaction, which `executor(request)` then is; the
    handler must answer with success, in JSON or without a body, and raise whatever it refuses.

    Raises:
        Problem: `invalid_idempotency_key`; `idempotency_in_progress`, while the first request with the key is being
            answered; `idempotency_key_reused`, when that was another request; what `account_gone` or `read_bytes` says.
    """

    @wraps(handler)
    async def write_once(request: web.Request) -> web.Response:
        if _HEADER not in request.headers:
            return await handler(request)
        key = {"caller_id": caller(request), "key": read_key(request)}
        fingerprint = await _fingerprint(request)  # before the transaction, which no slow body shall keep open
        async with request.app[DATABASE].transaction() as connection:
            lock = await queries.lock_idempotency_key(connection, **key, user_id=owner(request))
            # A statement of its own: one that locked as well would see the database as it was before it had the lock,
            # and miss what was committed until then.
            record = await queries.get_idempotency_record(connection, **key)
            if record is not None:
                return _replay(record, fingerprint)
            if not lock["is_held"]:
                raise Problem("idempotency_in_progress")
            if not lock["has_user"]:
                raise account_gone()
            request[EXECUTOR] = connection
            response = await handler(request)
            await queries.create_idempotency_record(
                connection,
                **key,
                user_id=owner(request),
                fingerprint=fingerprint,
                status=response.status,
                location=response.headers.get("Location"),
                etag=response.headers.get("ETag"),
                body=response.body,
            )
        return response

    return write_once


def read_key(request: web.Request) -> str:
    """Return the key in the one Idempotency-Key line, which may be quoted (RFC 9651, section 3.3.3) or bare.

    Raises:
        Problem: `invalid_idempotency_key`.
    """
    value, *others = request.headers.getall(_HEADER)
    key = value
    if value.startswith('"'):
        string = _STRING.fullmatch(value)
        key = _ESCAPED.sub(r"\1", string[1]) if string else ""
    if others or not _KEY.fullmatch(key):
        raise Problem("invalid_idempotency_key")
    return key


async def _fingerprint(request: web.Request) -> bytes:
    """Digest what makes a request the same: its method, its task or collection (not its path) and its body.

    If-Match is no part of it: a change that is sent again after it succeeded names a version that is past.
    """
    task = path_uuid(request, "id") if "id" in request.match_info else ""
    subject = f"{request.method} {owner(request)} {task}\n"
    return sha256(subject.encode() + await read_bytes(request)).digest()


def _replay(record: Record, fingerprint: bytes) -> web.Response:
    if record["fingerprint"] != fingerprint:
        raise Problem("idempotency_key_reused")
    headers = {"Idempotency-Replayed": "true"}
    headers |= {name: record[name.lower()] for name in ("Location", "ETag") if record[name.lower()] is not None}
    content_type = "application/json" if record["body"] is not None else None
    return web.Response(status=record["status"], headers=headers, body=record["body"], content_type=content_type)
