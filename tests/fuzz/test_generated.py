"""Hypothesis against the service: bodies, queries, cursors and headers that nobody would write down."""

import json
import operator
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_from_bytes

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.http.app_keys import DATABASE
from service.http.problems import KINDS
from tests.conftest import Answer, Api, Service
from tests.http.raw import head, wire
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

settings = hypothesis_settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # examples are small as they are, and each try costs an answer
    suppress_health_check=[HealthCheck.too_slow],  # the machine's pace is not what is tested
)

JSON = {"Content-Type": "application/json"}
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
DONE = {"incomplete": False, "in_progress": False, "complete": True}
Statuses = Counter[int]

# Astral characters, NUL and lone surrogates included.
_text = st.text(st.characters())
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(["title", "description", "status", "completed", "email", "password", "id", "version"])
_storable = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
_title = _storable.filter(lambda text: text != "" and not text.isspace())
_state = st.one_of(
    st.fixed_dictionaries({}, optional={"status": st.sampled_from([*DONE])}),
    st.fixed_dictionaries({"completed": st.booleans()}),
    st.sampled_from([{"status": status, "completed": done} for status, done in DONE.items()]),
)
_description = st.none() | _storable
_draft = st.builds(
    operator.or_, st.fixed_dictionaries({"title": _title}, optional={"description": _description}), _state
)
_change = st.builds(
    operator.or_, st.fixed_dictionaries({}, optional={"title": _title, "description": _description}), _state
)


def _near(original: bytes) -> st.SearchStrategy[bytes]:
    """Make bytes that differ from others in one place."""
    return st.builds(
        lambda at, cut, new: original[:at] + new + original[at + cut :],
        st.integers(0, len(original)),
        st.integers(0, 3),
        st.binary(max_size=3),
    )


_bodies = st.one_of(
    st.binary(),
    st.one_of(_values, st.dictionaries(_names | _text, _values, max_size=6), _draft).map(
        lambda value: json.dumps(value).encode()
    ),
    _near(rb'{"title": "\ud83c\udf31", "description": null, "status": "complete", "completed": true}'),
    _near(b'{"email": "someone@example.com", "password": "correct horse battery staple"}'),
)


@pytest.fixture(scope="module")
async def answers(service: Service) -> AsyncIterator[Statuses]:
    """A count of the answers that the tests got; in the end the service must be as it was in the beginning."""
    answers: Statuses = Counter()
    yield answers
    async with aiohttp.ClientSession() as session:
        alive = await Api(session, service.url).get("/health/live")
    faults = sum(number for status, number in answers.items() if status >= 500)
    lost = service.app[DATABASE].status().checked_out
    print(  # noqa: T201 -- the guarantee's figure
        f"requests {answers.total()}, by status {dict(sorted(answers.items()))}, 5xx {faults}, lost connections {lost}"
    )
    assert (alive.status, faults, lost) == (200, 0, 0)


@pytest.fixture(scope="module")
async def somebody(service: Service) -> AsyncIterator[Api]:
    """A user for all of them: what one test leaves behind is nothing to another."""
    async with aiohttp.ClientSession() as session:
        yield await Api(session, service.url).new_user("somebody@example.com")


@pytest.fixture(scope="module")
async def cursor(service: Service) -> AsyncIterator[tuple[Api, str]]:
    """A user with two tasks, and what leads from the first page of one to the second."""
    async with aiohttp.ClientSession() as session:
        user = await Api(session, service.url).new_user("reader@example.com")
        for title in ("one", "two"):
            await user.new_task(title)
        yield user, (await user.get("/api/tasks?limit=1")).body["next_cursor"]


def _check(answer: Answer, answers: Statuses) -> None:
    """See that an answer is one that the contract knows, and count it."""
    answers[answer.status] += 1
    if answer.status < 300 or answer.status == 304:
        return
    kind = KINDS[answer.code]
    assert (answer.status, answer.body["status"]) == (kind.status, kind.status)
    assert answer.status < 500
    assert answer.body.keys() - {"errors"} == MEMBERS
    assert answer.headers["X-Request-Id"] == answer.body["request_id"]
    assert {*kind.headers} <= answer.headers.keys()
    assert (kind.code == "validation_error") is ("errors" in answer.body)
    for fault in answer.body.get("errors", []):
        assert fault.keys() - {"parameter", "pointer"} == {"code", "detail"}
        assert ("parameter" in fault) is not ("pointer" in fault)
        assert fault.get("pointer", "") == "" or fault["pointer"].startswith("/")


async def _exchange(service: Service, request: bytes, *, with_body: bool = True) -> Answer:
    """Send a request as it is, and read the answer; a 100 (Continue) comes before it."""
    async with wire(service) as connection:
        answer = await (await connection.send(request)).answer(with_body=with_body)
        return await connection.answer(with_body=with_body) if answer.status == 100 else answer


@settings
@given(_bodies, st.sampled_from(["/api/tasks", "/api/auth/register", "/api/auth/login"]), _change)
async def test_any_body_is_accepted_or_told_what_is_wrong(
    somebody: Api, answers: Statuses, body: bytes, path: str, change: dict[str, Any]
) -> None:
    answer = await somebody.post(path, data=body, headers=JSON)
    _check(answer, answers)
    if answer.status == 201 and path == "/api/tasks":
        task = f"/api/tasks/{answer.body['id']}"
        _check(await somebody.patch(task, data=body, headers=JSON), answers)
        changed = await somebody.patch(task, change)
        assert changed.status == 200, changed.text


@settings
@given(_draft, _change)
async def test_a_task_is_what_was_sent(
    somebody: Api, answers: Statuses, draft: dict[str, Any], change: dict[str, Any]
) -> None:
    created = await somebody.post("/api/tasks", draft)
    _check(created, answers)
    assert created.status == 201, created.text
    path = created.headers["Location"]
    assert (await somebody.get(path)).body == created.body
    changed = await somebody.patch(path, change, headers={"If-Match": created.headers["ETag"]})
    _check(changed, answers)
    task = created.body
    begin = {} if "status" in draft else {"completed": False}
    for sent, got in (({"description": None, **begin, **draft}, task), (change, changed.body)):
        assert got == {**got, **sent}
        assert got["completed"] is DONE[got["status"]] is (got["completed_at"] is not None)
    unchanged = {"id", "user_id", "created_at", "title", "description"} - change.keys()
    assert all(changed.body[name] == task[name] for name in unchanged)
    assert changed.headers["ETag"] == f'"{changed.body["version"]}"'


_parameters = st.sampled_from(
    [b"status", b"completed", b"created_after", b"created_before", b"q", b"sort", b"limit", b"cursor", b"offset"]
)
_plausible = st.sampled_from(
    [b"complete", b"true", b"2026-11-22T09:30:00Z", b"2026-11-22T09:30:00+01:00", b"plants", b"created_at", b"10"]
)
_arguments = st.one_of(
    _plausible, _plausible.flatmap(_near), st.binary(), _text.map(lambda text: text.encode("utf-8", "surrogatepass"))
)
# As it must be written, and as it must not.
_written = st.one_of(
    _arguments.map(lambda argument: quote_from_bytes(argument).encode()),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)).map(str.encode),
)


@settings
@given(st.lists(st.tuples(_parameters | _written, _written), max_size=4))
async def test_any_query_is_answered_or_told_what_is_wrong(
    service: Service, somebody: Api, answers: Statuses, query: list[tuple[bytes, bytes]]
) -> None:
    written = b"&".join(name + b"=" + value for name, value in query)
    answer = await _exchange(service, head("GET", f"/api/tasks?{written.decode()}", somebody))
    _check(answer, answers)
    assert answer.status in {200, 422}, written
    assert all("parameter" in fault for fault in answer.body.get("errors", []))


@settings
@given(st.data())
async def test_a_cursor_is_taken_only_as_it_was_given(
    cursor: tuple[Api, str], answers: Statuses, data: st.DataObject
) -> None:
    user, given_cursor = cursor
    tried = data.draw(_near(given_cursor.encode()) | st.binary(max_size=60))
    answer = await user.get(f"/api/tasks?limit=1&cursor={quote_from_bytes(tried)}")
    _check(answer, answers)
    if tried == given_cursor.encode():
        assert [task["title"] for task in answer.body["items"]] == ["one"]
    else:
        assert answer.status == 422
        assert [fault["parameter"] for fault in answer.body["errors"]] == ["cursor"]


_FIELDS = {
    "Accept": "application/json;q=0.5, */*",
    "Accept-Encoding": "gzip, identity;q=0",
    "Access-Control-Request-Method": "PATCH",
    "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "Connection": "keep-alive, Upgrade",
    "Content-Encoding": "identity",
    "Content-Type": 'application/json; charset="utf-8"',
    "Cookie": "a=b; c",
    "Expect": "100-continue",
    "Forwarded": 'for="[::1]";proto=https',
    "Host": "localhost:8000",
    "Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    "If-Match": 'W/"1", "2"',
    "If-Modified-Since": "Sun, 22 Nov 2026 09:30:00 GMT",
    "If-None-Match": '"1", *',
    "Origin": "https://app.example.com",
    "Range": "bytes=0-1,-5",
    "Upgrade": "websocket",
    "X-Request-Id": "7f3c9a52b1d84e60",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
# Whatever a line can hold.
_line = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=300).map(
    lambda text: text.encode("latin-1")
)
_fields = st.sampled_from([*_FIELDS]).flatmap(
    lambda name: st.tuples(
        st.just(name.encode()), _line | st.just(_FIELDS[name].encode()) | _near(_FIELDS[name].encode())
    )
)
_methods = st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"])


@settings
@given(_methods, st.sampled_from(["/api/tasks", "/api/tasks/{id}"]), st.lists(_fields, min_size=1, max_size=4))
@example("POST", "/api/tasks", [(b"Expect", b"100-continue")])
async def test_any_header_is_heeded_or_told_what_is_wrong(  # noqa: PLR0913, PLR0917 -- three fixtures, three values
    service: Service, somebody: Api, answers: Statuses, method: str, path: str, fields: list[tuple[bytes, bytes]]
) -> None:
    body = b'{"title": "x"}'
    usual = [
        (b"Authorization", f"Bearer {somebody.token}".encode()),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", str(len(body)).encode()),
    ]
    names = {name for name, _ in fields}
    lines = [name + b": " + value for name, value in [*(field for field in usual if field[0] not in names), *fields]]
    start = head(method, path.format(id=(await somebody.new_task())["id"])).removesuffix(b"\r\n")
    request = start + b"\r\n".join([*lines, b"", body])
    answer = await _exchange(service, request, with_body=method != "HEAD")
    if method == "HEAD":
        assert answer.status < 500
        answers[answer.status] += 1
    else:
        _check(answer, answers)
