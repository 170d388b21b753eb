"""Logs: every event a line, written by a thread that nobody waits for, and never a secret among them."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import structlog

from service import logs
from service.dsn import Dsn
from service.logs import writing
from service.settings import Settings
from tests.conftest import Api, started
from tests.http.raw import exchange, head
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """Put back the root logger, which pytest listens to as well."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_is_json_and_all_are_written_at_the_end() -> None:
    stream = io.StringIO()
    with writing("info", "json", stream):
        log = structlog.get_logger()
        for number in range(5000):
            log.info("counted", number=number)
    events = _events(stream)
    assert [event["number"] for event in events] == list(range(5000))
    assert all(event["event"] == "counted" and event["level"] == "info" for event in events)
    assert all(event["timestamp"].endswith("Z") for event in events)


def test_the_console_style_is_for_people() -> None:
    stream = io.StringIO()
    with writing("info", "console", stream):
        structlog.get_logger().info("request", path="/api/tasks", status=200)
    (line,) = stream.getvalue().splitlines()
    assert "request" in line
    assert "path=/api/tasks" in line
    assert "\x1b" not in line  # no colours where it is no terminal


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_written(level: str, written: list[str]) -> None:
    stream = io.StringIO()
    with writing(level, "json", stream):
        for name in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(), name)("said")
            getattr(logging.getLogger("library"), name)("said")
    events = _events(stream)
    assert [event["level"] for event in events] == [name for name in written for _ in range(2)]


def test_what_a_library_says_arrives_too() -> None:
    stream = io.StringIO()
    with writing("info", "json", stream):
        logging.getLogger("library").warning("%s of %d", "two", 3)
        logging.getLogger("library").warning("100% done")
        logging.getLogger("library").critical("the end")
    told = [(event["logger"], event["level"], event["event"]) for event in _events(stream)]
    assert told == [
        ("library", "warning", "two of 3"),
        ("library", "warning", "100% done"),
        ("library", "critical", "the end"),
    ]


def test_a_level_of_a_librarys_own_harms_nobody() -> None:
    stream = io.StringIO()
    with writing("info", "json", stream):
        logging.getLogger("library").log(25, "between info and warning")
    (event,) = _events(stream)
    assert event["event"] == "between info and warning"


def test_an_exception_is_text_without_the_values_of_variables() -> None:
    stream = io.StringIO()

    def fail(password: str) -> None:
        raise ValueError(f"no good: {len(password)}")

    with writing("info", "json", stream):
        try:
            fail(_CANARY)
        except ValueError as error:
            structlog.get_logger().error("failed", exc_info=error)
            logging.getLogger("library").exception("failed")
    ours, theirs = _events(stream)
    for event in (ours, theirs):
        assert event["level"] == "error"
        assert "ValueError: no good: 11" in event["exception"]
        assert "Traceback" in event["exception"]
    assert _CANARY not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_value_silences_the_log(style: str) -> None:
    stream = io.StringIO()
    odd: list[object] = ["\ud800", "\0\n\x1b[31m", 2**70, float("nan"), b"\xff", {1: 2}, object(), {3}]
    with writing("info", style, stream):
        for value in odd:
            structlog.get_logger().info("odd", value=value)
        structlog.get_logger().info("after")
    lines = stream.getvalue().splitlines()
    assert any("after" in line for line in lines)
    if style == "json":
        assert sum(json.loads(line)["event"] == "odd" for line in lines) == len(odd)


class _Stalled(io.StringIO):
    """A stream whose reader has stopped reading, until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.freed, self.entered = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.freed.wait(30)
        return super().write(text)


def test_a_reader_that_stalls_costs_events_and_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MAX_WAITING", 100)
    stream = _Stalled()
    with writing("info", "json", stream):
        log = structlog.get_logger()
        log.info("first")
        assert stream.entered.wait(10)
        for number in range(150):
            log.info("later", number=number)
        stream.freed.set()
    events = _events(stream)
    assert [event["event"] for event in events[:2]] == ["first", "later"]
    assert [event["number"] for event in events if event["event"] == "later"] == list(range(100))
    assert "50" in json.dumps([event for event in events if event["event"] not in {"first", "later"}])


def test_closing_waits_for_a_stalled_reader_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_CLOSE_SECONDS", 0.05)
    stream = _Stalled()
    with writing("info", "json", stream):
        structlog.get_logger().info("first")
    assert stream.getvalue() == ""
    stream.freed.set()


async def test_a_request_is_one_line_that_says_what_happened(dsn: Dsn, settings: Settings) -> None:
    stream = io.StringIO()
    with writing("info", "json", stream):
        async with started(settings, dsn) as service, aiohttp.ClientSession() as session:
            api = await Api(session, service.url).new_user("alice@example.com")
            await api.get("/api/tasks", headers={"X-Request-Id": "request-0001"})
            await Api(session, service.url).get("/api/nowhere", headers={"X-Request-Id": "request-0002"})
    requests = {event["request_id"]: event for event in _events(stream) if event["event"] == "request"}
    assert len(requests) == 4
    mine, nobodys = requests["request-0001"], requests["request-0002"]
    assert (mine["method"], mine["path"], mine["status"], mine["user_id"]) == ("GET", "/api/tasks", 200, api.user_id)
    assert 0 < mine["ms"] < 5000
    assert (nobodys["path"], nobodys["status"], nobodys["user_id"]) == ("/api/nowhere", 404, None)
    assert [event["event"] for event in _events(stream)][-2:] == ["draining", "stopped"]


_TRACE_ID, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_GOOD_TRACEPARENTS = [
    f"00-{_TRACE_ID}-{_SPAN}-01",
    f"00-{_TRACE_ID}-{_SPAN}-00",
    f"00-{_TRACE_ID}-{_SPAN}-ff",
    f"  00-{_TRACE_ID}-{_SPAN}-03  ",
    f"01-{_TRACE_ID}-{_SPAN}-01",  # of a version to come, what it has in common with this one
    f"cc-{_TRACE_ID}-{_SPAN}-01-what-the-future-will-be-like",
    f"fe-{_TRACE_ID}-{_SPAN}-01-",
]
_BAD_TRACEPARENTS = [
    "",
    "00",
    f"00-{_TRACE_ID}-{_SPAN}",
    f"00-{_TRACE_ID}-{_SPAN}-",
    f"00-{_TRACE_ID}-{_SPAN}-1",
    f"00-{_TRACE_ID}-{_SPAN}-0x",
    f"00-{_TRACE_ID}-{_SPAN}-01-more",
    f"00-{_TRACE_ID}-{_SPAN}-01-",
    f"00-{_TRACE_ID}-{_SPAN}-011",
    f"01-{_TRACE_ID}-{_SPAN}-011",
    f"01-{_TRACE_ID}-{_SPAN}-01.more",
    f"ff-{_TRACE_ID}-{_SPAN}-01",
    f"0-{_TRACE_ID}-{_SPAN}-01",
    f"0x-{_TRACE_ID}-{_SPAN}-01",
    f"000-{_TRACE_ID}-{_SPAN}-01",
    f"00-{'0' * 32}-{_SPAN}-01",
    f"00-{_TRACE_ID}-{'0' * 16}-01",
    f"00-{_TRACE_ID[1:]}-{_SPAN}-01",
    f"00-{_TRACE_ID}a-{_SPAN}-01",
    f"00-{_TRACE_ID}-{_SPAN[1:]}-01",
    f"00-{_TRACE_ID.upper()}-{_SPAN}-01",
    f"00-{_TRACE_ID}-{_SPAN.upper()}-01",
    f"00-{'g' * 32}-{_SPAN}-01",
    f"00-{chr(0xB2) * 32}-{_SPAN}-01",
    f"00_{_TRACE_ID}_{_SPAN}_01",
    f"00-{_TRACE_ID}-{_SPAN}-01,00-{_TRACE_ID}-{_SPAN}-01",
    f'"00-{_TRACE_ID}-{_SPAN}-01"',
    "x" * 5000,
]


async def test_a_trace_is_continued_in_every_event_of_its_request(dsn: Dsn, settings: Settings) -> None:
    stream = io.StringIO()
    with writing("debug", "json", stream):
        async with started(replace(settings, debug=True), dsn) as service, aiohttp.ClientSession() as session:
            api = await Api(session, service.url).new_user("alice@example.com")
            for number, value in enumerate(_GOOD_TRACEPARENTS):
                await api.get("/api/tasks", headers={"traceparent": value, "X-Request-Id": f"traced-{number}"})
            await api.get("/no/such/path", headers={"TRACEPARENT": _GOOD_TRACEPARENTS[0], "X-Request-Id": "traced-404"})
            # Nothing of it is left for the next request of the connection.
            await api.get("/api/tasks", headers={"X-Request-Id": "untraced"})
    traced = [event for event in _events(stream) if str(event.get("request_id")).startswith("traced-")]
    statements = [event for event in traced if event["event"] == "statement"]
    assert len(statements) == len(_GOOD_TRACEPARENTS)
    assert len(traced) == 2 * len(_GOOD_TRACEPARENTS) + 1
    assert {(event["trace_id"], event["parent_id"]) for event in traced} == {(_TRACE_ID, _SPAN)}
    for event in _events(stream):
        assert event in traced or not {"trace_id", "parent_id"} & event.keys()
    print(f"{len(traced)} events of {len(_GOOD_TRACEPARENTS) + 1} traced requests carry the trace")  # noqa: T201 -- the figure


async def test_a_malformed_trace_is_ignored(dsn: Dsn, settings: Settings) -> None:
    stream = io.StringIO()
    with writing("info", "json", stream):
        async with started(settings, dsn) as service:
            for value in _BAD_TRACEPARENTS:
                answer = await exchange(service, head("GET", "/health/live", traceparent=value))
                assert answer.status == 200
            good = {"traceparent": _GOOD_TRACEPARENTS[0], "Traceparent": _GOOD_TRACEPARENTS[1]}
            assert (await exchange(service, head("GET", "/health/live", **good))).status == 200  # which of the two?
    requests = [event for event in _events(stream) if event["event"] == "request"]
    assert len(requests) == len(_BAD_TRACEPARENTS) + 1
    assert not [event for event in requests if {"trace_id", "parent_id"} & event.keys()]


async def test_no_secret_is_logged_whatever_is_asked(dsn: Dsn, settings: Settings) -> None:
    stream = io.StringIO()
    settings = replace(settings, debug=True, jwt_secret=_CANARY + "j" * 40, password_pepper=_CANARY + "p" * 40)
    login = {"email": "alice@example.com", "password": f"{_CANARY}-password"}
    with writing("debug", "json", stream):
        async with (
            started(settings, dsn) as service,
            aiohttp.ClientSession() as session,
        ):
            anybody = Api(session, service.url)
            user_id = (await anybody.post("/api/auth/register", login)).body["id"]
            token = (await anybody.post("/api/auth/login", login)).body["access_token"]
            alice = Api(session, service.url, token, user_id)
            statuses = [
                (await anybody.post("/api/auth/register", login)).status,
                (await anybody.post("/api/auth/login", {**login, "password": f"{_CANARY}-wrong"})).status,
                (await anybody.post("/api/auth/login", {**login, _CANARY: _CANARY})).status,
                (await anybody.post("/api/auth/login", data=f"{{{_CANARY}", headers=_JSON)).status,
                (await alice.post("/api/tasks", {"title": _CANARY, "description": _CANARY})).status,
                (await alice.get(f"/api/tasks?limit={_CANARY}&access_token={_CANARY}")).status,
                (await anybody.get(f"/api/users/me?token={_CANARY}")).status,
                (await anybody.get("/api/users/me", headers={"Authorization": f"Bearer {_CANARY}"})).status,
                (await anybody.get("/api/users/me", headers={"Authorization": f"Basic {_CANARY}"})).status,
                (await alice.get("/api/users/me", headers={"Cookie": _CANARY, "X-Api-Key": _CANARY})).status,
            ]
    assert statuses == [409, 401, 422, 400, 201, 422, 401, 401, 401, 200]
    written = stream.getvalue()
    assert written.count('"event":"statement"') >= 5
    assert user_id in written
    print(f"{len(written.splitlines())} lines hold no canary")  # noqa: T201 -- the guarantee's figure
    for secret in (_CANARY, token, token.rpartition(".")[2], "alice@example.com", "$2b$", dsn.password or "-"):
        assert secret not in written


_JSON = {"Content-Type": "application/json"}
