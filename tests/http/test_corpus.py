"""The corpus of hostile input: whatever arrives, wherever, it is no fault of the service."""

import gzip
from collections import Counter

import pytest

from service.http.problems import KINDS
from tests.conftest import Api, Service
from tests.http.raw import head, wire
from tests.http.test_bodies import INVALID, UNREADABLE
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_JSON = {"Content_Type": "application/json"}
_BOMB = gzip.compress(b'{"title": "' + b"x" * 20_000_000 + b'"}')
# Readable, or on the edge of it; what is unreadable, or breaks the schema for a title, is in test_bodies.
_READABLE = {
    "an empty object": b"{}",
    "a text": b'{"title": "x"}',
    "duplicate members": b'{"title": 1, "title": null, "title": "two"}',
    "a thousand members": b"{%b}" % b",".join(b'"member%d": 1' % number for number in range(1000)),
    "a thousand arrays": b'{"title": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "a float without end": b'{"title": 0.%b}' % (b"1" * 5000),
    "1e400": b'{"title": 1e400}',
    "-1e400": b'{"title": -1e400}',
    "1e-400": b'{"title": 1e-400}',
    "2**63": b'{"title": 9223372036854775808}',
    "2**64": b'{"title": 18446744073709551616}',
    "a long text": b'{"title": "%b"}' % (b"x" * 60_000),
    "a long text of four bytes": b'{"title": "%b"}' % ("\U0001f331" * 15_000).encode(),
    "combining characters": b'{"title": "%b"}' % ("e" + "\u0301" * 15_000).encode(),
    "a non-character": b'{"title": "\xef\xbf\xbf"}',
    "a surrogate pair": rb'{"title": "\ud83c\udf31"}',
    "two high surrogates": rb'{"title": "\ud83c\ud83c"}',
    "control characters": rb'{"title": "\u0001\u001f\u007f\u0085\u2028\ufeff\u202e\u200b\u0300"}',
    "SQL": b'{"title": "\'; DROP TABLE tasks; --"}',
    "a format": b'{"title": "%s %(x)s {0} :title $1"}',
    "an address": b'{"title": "x@\xc3\xa9.example"}',
    "an address without end": b'{"title": "%b@%b.example"}' % (b"x" * 30_000, b"y." * 10_000),
    "bytes of a gzip": _BOMB,
}
# With a body that could be read.
_ODD_FIELDS = [
    *(
        {"Content_Type": f"application/json; charset={name}"}
        for name in ("nope", "hex", "utf-16", "", '"', "utf-8\xff")
    ),
    *(
        {"Content_Type": name}
        for name in ("", "/", "*/*", "application", "text/plain", "application/json;", ";;;", "x" * 5000)
    ),
    {"Content_Type": "application/json; charset=utf-8; charset=nope"},
    {"Content_Type": 'application/json; charset="utf-8'},
    {"Content_Type": "application/json; charset*=utf-8''nope"},
    {"Content_Type": "multipart/form-data; boundary=x"},
    {"Content_Type": "application/x-www-form-urlencoded"},
    {},
    *(
        {**_JSON, "Content_Encoding": name}
        for name in ("gzip", "deflate", "br", "zstd", "identity", "", "nope", "gzip, gzip")
    ),
    {**_JSON, "Expect": "100-continue"},
    {**_JSON, "Expect": "tea"},
    {**_JSON, "If_Match": '"' * 5000},
    {**_JSON, "Idempotency_Key": "\xff" * 300},
    {**_JSON, "Cookie": "\xff=;;="},
    {**_JSON, "Origin": "\xff", "traceparent": "\xff", "X_Request_Id": "\xff"},
    {**_JSON, "Accept": "\xff", "Accept_Charset": "nope", "Accept_Encoding": "nope", "Range": "bytes=-1"},
]
# Where it is sent; for each member that the hostile value is put in, what makes the rest of the object whole.
_TASK = {"title": "", "description": '"title": "x", ', "status": '"title": "x", ', "completed": '"title": "x", '}
_LOGIN = {"email": '"password": "correct horse battery", ', "password": '"email": "corpus@example.com", '}
_TARGETS = {
    "POST a task": ("POST", "/api/tasks", _TASK),
    "PATCH a task": ("PATCH", "/api/tasks/{id}", _TASK),
    "register": ("POST", "/api/auth/register", _LOGIN),
    "log in": ("POST", "/api/auth/login", _LOGIN),
}


def _put(body: bytes, member: str, rest: str) -> bytes:
    """Write a body about `title` as one about another member."""
    return body.replace(b'{"title"', f'{{{rest}"{member}"'.encode()).replace(b'"title"', f'"{member}"'.encode())


@pytest.mark.parametrize("target", _TARGETS)
async def test_no_input_of_the_corpus_is_a_500(service: Service, alice: Api, target: str) -> None:
    method, path, members = _TARGETS[target]
    path = path.replace("{id}", (await alice.new_task())["id"])
    bodies = [*UNREADABLE.values(), *(body for body, _ in INVALID.values()), *_READABLE.values()]
    cases = [(_JSON, _put(body, member, rest)) for body in bodies for member, rest in members.items()]
    cases += [(fields, body) for fields in _ODD_FIELDS for body in (b"{}", b"", _BOMB)]
    statuses: Counter[int] = Counter()
    for fields, body in cases:
        async with wire(service) as connection:
            await connection.send(head(method, path, alice, **fields, Content_Length=str(len(body))) + body)
            answer = await connection.answer()
            if answer.status == 100:
                answer = await connection.answer()
        assert answer.status < 500, (fields, body[:80])
        assert answer.status < 300 or answer.code in KINDS
        statuses[answer.status] += 1
    print(f"cases {statuses.total()}, 5xx = 0, by status {dict(sorted(statuses.items()))}")  # noqa: T201 -- the guarantee's figure
    assert {400, 415, 417, 422} <= statuses.keys()
    assert {200, 201, 401} & statuses.keys()  # and some of it goes all the way
