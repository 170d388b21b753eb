"""Bodies: whatever bytes come, the answer says what is wrong with them, and it is never a 500."""

import asyncio
import gzip
import json
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.dsn import Dsn
from service.http.problems import KINDS
from service.settings import Settings
from tests.conftest import Api, Service, started
from tests.http.raw import head, wire
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

JSON = {"Content-Type": "application/json"}

UNREADABLE = {
    "empty": b"",
    "white space": b" \r\n\t",
    "cut": b'{"title": "x"',
    "a trailing comma": b'{"title": "x",}',
    "two values": b'{"title": "x"} {}',
    "single quotes": b"{'title': 'x'}",
    "a comment": b'{"title": "x"} // no',
    "a byte order mark": b'\xef\xbb\xbf{"title": "x"}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"title": "x"}'.encode("utf-16-le"),
    "Latin-1": '{"title": "é"}'.encode("latin-1"),
    "bad UTF-8": b'{"title": "\xff"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"title": "\xf4\x90\x80\x80"}',
    "NaN": b'{"title": NaN}',
    "Infinity": b'{"title": Infinity}',
    "-Infinity": b'{"title": -Infinity}',
    "a raw NUL": b'{"title": "\x00"}',
    "a raw line break": b'{"title": "\n"}',
    "an unknown escape": rb'{"title": "\x41"}',
    "30,000 arrays": b'{"title": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "30,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "30,000 arrays that never end": b"[" * 30_000,
    "5,000 digits": b'{"title": ' + b"1" * 5_000 + b"}",
    "-5,000 digits": b'{"title": -' + b"1" * 5_000 + b"}",
    "a huge float": b'{"title": 1e999}',
    "a leading zero": b'{"title": 01}',
    # The same, where a lone surrogate makes another parser read it.
    "a surrogate and NaN": rb'{"title": "\ud800", "a": NaN}',
    "a surrogate and arrays": rb'{"title": "\ud800", "a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "a surrogate and digits": rb'{"title": "\ud800", "a": ' + b"1" * 5_000 + b"}",
    "a surrogate and a byte order mark": b'\xef\xbb\xbf{"title": "\\ud800"}',
    "a surrogate and bad UTF-8": b'{"title": "\\ud800", "a": "\xff"}',
}

INVALID: dict[str, tuple[bytes, set[str]]] = {
    "an array": (b'[{"title": "x"}]', {""}),
    "null": (b"null", {""}),
    "a string": (b'"title"', {""}),
    "a number": (b"1", {""}),
    "true": (b"true", {""}),
    "a lone surrogate": (rb'{"title": "\ud800"}', {"/title"}),
    "a lone low surrogate": (rb'{"title": "x", "description": "\udc00"}', {"/description"}),
    "a lone surrogate in a status": (rb'{"title": "x", "status": "\ud800"}', {"/status"}),
    "an array with a lone surrogate": (rb'["\ud800"]', {""}),
    "NUL": (rb'{"title": "a\u0000b"}', {"/title"}),
    "NUL in each text": (
        rb'{"title": "\u0000", "description": "\u0000", "status": "\u0000"}',
        {"/title", "/description", "/status"},
    ),
    "a large number": (b'{"title": 123456789012345678901234567890}', {"/title"}),
    "a large float": (b'{"title": 1e308}', {"/title"}),
    "a nested title": (b'{"title": {"title": "x"}}', {"/title"}),
    "a member without a name": (b'{"title": "x", "": 1}', {"/"}),
    "a member named _schema": (b'{"title": "x", "_schema": 1}', {"/_schema"}),
    "a member named NUL": (rb'{"title": "x", "\u0000": 1}', {"/\0"}),
    "duplicate members, the last of them wrong": (b'{"title": "x", "title": 1}', {"/title"}),
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_is_not_json_is_400(alice: Api, anybody: Api, what: str) -> None:
    task = await alice.new_task()
    for user, method, path in (
        (alice, "POST", "/api/tasks"),
        (alice, "PATCH", f"/api/tasks/{task['id']}"),
        (anybody, "POST", "/api/auth/login"),
    ):
        answer = await user.send(method, path, data=UNREADABLE[what], headers=JSON)
        assert (answer.status, answer.code) == (400, "invalid_json"), path
    assert (await alice.get("/api/tasks")).body["items"] == [task]


@pytest.mark.parametrize("what", INVALID)
async def test_what_breaks_the_schema_is_422(alice: Api, what: str) -> None:
    body, pointers = INVALID[what]
    answer = await alice.post("/api/tasks", data=body, headers=JSON)
    assert (answer.status, answer.code) == (422, "validation_error")
    assert {error["pointer"] for error in answer.body["errors"]} == pointers


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"a\udc00b", r"\udc00\ud800"])
async def test_a_member_whose_name_cannot_be_written_is_422_as_well(alice: Api, escape: str) -> None:
    body = b'{"title": "x", "%b": 1}' % escape.encode()
    answer = await alice.post("/api/tasks", data=body, headers=JSON)
    assert (answer.status, answer.code) == (422, "validation_error")
    assert [error["code"] for error in answer.body["errors"]] == ["unknown"]


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (rb'{"title": "\ud83c\udf31"}', "🌱"),
        ('{"title": "🌱"}'.encode(), "🌱"),
        (b'{"title": "one", "title": "two"}', "two"),
        (b'{"title": 1, "title": "two"}', "two"),
        (rb'{"\u0074itle": "\u0041"}', "A"),
        (b' \r\n{"title" : "x"}\t', "x"),
        (rb'{"title": "a surrogate"}', "a surrogate"),
    ],
)
async def test_what_is_json_is_read(alice: Api, body: bytes, title: str) -> None:
    answer = await alice.post("/api/tasks", data=body, headers=JSON)
    assert (answer.status, answer.body["title"]) == (201, title)


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('application/json; charset="UTF-8"', 201),
        ("application/json; charset=utf8", 201),
        ("application/json; charset=nope", 415),
        ("application/json; charset=latin-1", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=\x00", None),
        ("application/json; charset=hex", 415),
        ("application/problem+json", 415),
        ("application/jsonp", 415),
        ("application", 415),
        ("/", 415),
        ("*/*", 415),
        ("", 415),
    ],
    ids=ascii,
)
async def test_json_comes_with_its_media_type_and_in_utf_8(
    service: Service, alice: Api, media_type: str, status: int | None
) -> None:
    body = b'{"title": "x"}'
    request = head("POST", "/api/tasks", alice, Content_Type=media_type, Content_Length=str(len(body)))
    async with wire(service) as connection:
        answer = await (await connection.send(request + body)).answer()
    assert answer.status == (status or 400)
    if status == 415:
        assert answer.code == "unsupported_media_type"
        assert answer.headers["Accept-Post"] == "application/json"


async def test_a_body_without_a_media_type_is_415(service: Service, alice: Api) -> None:
    async with wire(service) as connection:
        answer = await (await connection.send(head("POST", "/api/tasks", alice, Content_Length="2") + b"{}")).answer()
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "nope"])
async def test_a_compressed_body_is_refused_unread(service: Service, alice: Api, encoding: str) -> None:
    bomb = gzip.compress(b'{"title": "' + b"x" * 20_000_000 + b'"}')
    assert len(bomb) < 65536
    fields = {"Content_Type": "application/json", "Content_Encoding": encoding, "Content_Length": str(len(bomb))}
    async with wire(service) as connection:
        answer = await (await connection.send(head("POST", "/api/tasks", alice, **fields) + bomb)).answer()
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(
    service: Service, alice: Api, settings: Settings
) -> None:
    fits = b'{"title": "x"}'.ljust(settings.max_body_bytes)
    assert (await alice.post("/api/tasks", data=fits, headers=JSON)).status == 201
    for size, framing in ((len(fits) + 1, "length"), (len(fits) + 1, "chunks"), (10**15, "length")):
        async with wire(service) as connection:
            fields = {"Content_Type": "application/json"}
            fields |= {"Content_Length": str(size)} if framing == "length" else {"Transfer_Encoding": "chunked"}
            await connection.send(head("POST", "/api/tasks", alice, **fields))
            if framing == "chunks":
                await connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (size, fits + b" "))
            # Where the length is announced, no body is waited for.
            answer = await connection.answer()
        assert (answer.status, answer.code) == (413, "payload_too_large")
    assert len((await alice.get("/api/tasks")).body["items"]) == 1


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_that_does_not_arrive_in_time_is_408(
    settings: Settings, shared_dsn: Dsn, alice: Api, framing: str
) -> None:
    fields = {"Content_Type": "application/json"}
    fields |= {"Content_Length": "1000"} if framing == "length" else {"Transfer_Encoding": "chunked"}
    drop = b"x" if framing == "length" else b"1\r\nx\r\n"
    async with started(replace(settings, read_timeout=0.3), shared_dsn) as service, wire(service) as connection:
        began = time.perf_counter()
        await connection.send(head("POST", "/api/tasks", alice, **fields))

        async def drip() -> None:
            # Each byte comes in time; the whole does not.
            while True:
                await connection.send(drop)
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        answer = await connection.answer()
        took = time.perf_counter() - began
        dripping.cancel()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert answer.headers["Connection"] == "close"
    assert 0.3 <= took < 2


async def test_a_head_that_does_not_arrive_in_time_is_408(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(replace(settings, read_timeout=0.1), shared_dsn) as service:
        for earlier in (0, 1):  # It may be the first of its connection or another.
            async with wire(service) as connection:
                for _ in range(earlier):
                    assert (await (await connection.send(head("GET", "/health/live"))).answer()).status == 200
                await connection.send(b"GET /health/live HTTP/1.1\r\nHost:")
                async with asyncio.timeout(0.5):
                    answer = await connection.answer()
            assert (answer.status, answer.code) == (408, "request_timeout")
            assert answer.headers["X-Request-Id"] == answer.body["request_id"]


async def test_a_head_in_pieces_that_arrives_in_time_is_answered(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(replace(settings, read_timeout=5.0), shared_dsn) as service, wire(service) as connection:
        for _ in range(2):  # The clock of the first head does not run on into the second.
            for piece in (b"GET /health/live ", b"HTTP/1.1\r\nHost: ", b"x\r\n\r\n"):
                await connection.send(piece)
            assert (await connection.answer()).status == 200


async def test_a_body_that_breaks_off_makes_no_task(service: Service, alice: Api) -> None:
    async with wire(service) as connection:
        fields = {"Content_Type": "application/json", "Content_Length": "1000"}
        await connection.send(head("POST", "/api/tasks", alice, **fields) + b'{"title": "x"}')
    assert (await alice.get("/api/tasks")).body["items"] == []


async def test_chunks_that_are_none_are_400(service: Service, alice: Api) -> None:
    async with wire(service) as connection:
        fields = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
        await connection.send(head("POST", "/api/tasks", alice, **fields))
        answer = await (await connection.send(b"zz\r\n")).answer()
    assert (answer.status, answer.code) == (400, "bad_request")


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_members = st.sampled_from(["title", "description", "status", "completed", "email", "password", "id", "\ud800"])
_documents = st.one_of(
    _values,
    st.dictionaries(_members, _values, max_size=5),
    st.fixed_dictionaries(
        {"title": st.text(min_size=1, max_size=300)}, optional={"status": st.text(), "description": st.text()}
    ),
    st.fixed_dictionaries({"email": st.emails() | st.text(), "password": st.text(min_size=6, max_size=300)}),
)


def _cut(document: object, tail: int) -> bytes:
    """Write JSON, surrogates and NaN included, and lose some of its end."""
    text = json.dumps(document)
    return text[: len(text) - tail].encode()


_bodies = st.binary() | st.builds(_cut, _documents, st.just(0) | st.integers(0, 5))


async def test_no_bytes_are_a_500(alice: Api, anybody: Api) -> None:
    task = await alice.new_task()
    bodies: list[bytes] = []

    # Hypothesis calls a function, which cannot await: it makes the bodies here, and they are sent below.
    @hypothesis_settings(max_examples=120, database=None, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(_bodies)
    def collect(body: bytes) -> None:
        bodies.append(body)

    collect()
    targets = (
        (alice, "POST", "/api/tasks"),
        (alice, "PATCH", f"/api/tasks/{task['id']}"),
        (anybody, "POST", "/api/auth/register"),
        (anybody, "POST", "/api/auth/login"),
    )
    statuses: Counter[int] = Counter()
    for body in bodies:
        for user, method, path in targets:
            answer = await user.send(method, path, data=body, headers=JSON)
            assert answer.status in {200, 201} or answer.code in KINDS
            assert answer.status < 500, (path, body)
            statuses[answer.status] += 1
    print(  # noqa: T201 -- the guarantee's figure
        f"\nbodies {len(bodies)}, requests {statuses.total()}, by status {dict(statuses)}, 5xx 0"
    )
    assert {400, 422} <= statuses.keys()
