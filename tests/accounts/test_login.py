"""Logging in: a token for the right password, and otherwise one answer that tells nothing, in the same time."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from threading import Event
from time import perf_counter, process_time

import aiohttp
import asyncpg
import bcrypt
import jwt
import pytest

from service.accounts import passwords
from service.accounts.passwords import PASSWORDS
from service.dsn import Dsn
from service.settings import Settings
from tests.benchmarks import logins
from tests.conftest import PASSWORD, Answer, Api, Service, started
from tests.processes import PRODUCTION, folder, serving
from tests.sharing import on_one_postgresql

__all__ = ["folder"]

pytestmark = on_one_postgresql

_GREATEST_GAP = 0.05


async def _log_in(api: Api, email: str = "alice@example.com", password: str = PASSWORD) -> Answer:
    return await api.post("/api/auth/login", {"email": email, "password": password})


async def test_the_right_password_gets_a_token(alice: Api, anybody: Api, settings: Settings) -> None:
    answer = await _log_in(anybody)
    assert answer.status == 200
    assert answer.body.keys() >= {"access_token", "token_type", "expires_in"}
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == settings.access_token_ttl
    assert answer.headers["Cache-Control"] == "no-store"
    me = await replace(anybody, token=answer.body["access_token"]).get("/api/users/me")
    assert me.body["id"] == alice.user_id


async def test_each_log_in_gets_a_token_of_its_own(alice: Api, anybody: Api) -> None:
    tokens = [(await _log_in(anybody)).body["access_token"] for _ in range(3)]
    ids = {jwt.decode(token, options={"verify_signature": False})["jti"] for token in [*tokens, alice.token]}
    assert len(ids) == 4


async def test_a_log_in_that_fails_tells_nothing(alice: Api, anybody: Api) -> None:
    attempts = [
        ("alice@example.com", "wrong password"),
        ("alice@example.com", ""),
        ("alice@example.com", "x" * 1000),
        ("alice@example.com", PASSWORD.upper()),
        ("nobody@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("", ""),
        ("a@" + "b" * 400, PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ]
    answers = [await _log_in(anybody, email, password) for email, password in attempts]
    for answer in answers:
        assert (answer.status, answer.code) == (401, "invalid_credentials")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    bodies = [{**answer.body, "request_id": None} for answer in answers]
    assert all(body == bodies[0] for body in bodies)
    told = [
        {k: v for k, v in answer.headers.items() if k.lower() not in {"x-request-id", "date"}} for answer in answers
    ]
    assert all(headers == told[0] for headers in told)
    assert (await alice.get("/api/users/me")).status == 200


async def test_a_log_in_that_is_malformed_is_refused_by_name(anybody: Api) -> None:
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({}, ["/email", "/password"]),
        ({"email": "alice@example.com"}, ["/password"]),
        ({"email": None, "password": None}, ["/email", "/password"]),
        ({"email": 1, "password": ["p"]}, ["/email", "/password"]),
        ({"email": "a\0", "password": "\ud800"}, ["/email", "/password"]),
        ({"email": "a@example.com", "password": "p", "remember": True}, ["/remember"]),
    ]
    for body, pointers in cases:
        answer = await anybody.post("/api/auth/login", body)
        assert (answer.status, answer.code) == (422, "validation_error")
        assert sorted(fault["pointer"] for fault in answer.body["errors"]) == pointers


def _gap(figures: dict[str, list[float]]) -> float:
    """Return by what part the greatest of the medians is above the least."""
    medians = [median(values) for values in figures.values()]
    return max(medians) / min(medians) - 1


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(
    settings: Settings, dsn: Dsn, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine, the threads that stand back would have hardly any time at all.
    monkeypatch.setattr(os, "nice", lambda _: 0)
    async with started(replace(settings, bcrypt_cost=5), dsn) as service, aiohttp.ClientSession() as session:
        await Api(session, service.url).new_user("old@example.com")  # whose hash costs less than those of now
        await Api(session, service.url).new_user("unreadable@example.com")
        await connection.execute(
            "UPDATE users SET password_hash = 'unreadable' WHERE email = $1", "unreadable@example.com"
        )
    async with started(replace(settings, bcrypt_cost=9), dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        await api.new_user("known@example.com")
        emails = deque(
            ["known@example.com", "old@example.com", "unreadable@example.com", "nobody@example.com", "nobody"]
        )
        times: dict[str, list[float]] = {email: [] for email in emails}
        work: dict[str, list[float]] = {email: [] for email in emails}
        until = perf_counter() + 30
        while perf_counter() < until or len(times["nobody"]) < 8:
            for email in emails:
                begun, begun_work = perf_counter(), process_time()
                assert (await _log_in(api, email, "wrong password")).status == 401
                work[email].append(process_time() - begun_work)
                times[email].append(perf_counter() - begun)
            emails.rotate()
            if len(times["nobody"]) >= 12 and max(_gap(times), _gap(work)) < _GREATEST_GAP:
                break
    told = ", ".join(f"{email} {median(taken) * 1000:.1f}" for email, taken in sorted(times.items()))
    print(  # noqa: T201 -- the guarantee's figure
        f"medians of {len(times['nobody'])} log-ins each, in ms: {told};"
        f" at most {_gap(times):.1%} apart, and {_gap(work):.1%} in processor time"
    )
    assert min(map(median, work.values())) > 0.01  # a hash was computed
    assert _gap(work) < _GREATEST_GAP
    # Where others take the processor away, time says nothing.
    is_busy = sum(map(median, times.values())) > 1.25 * sum(map(median, work.values()))
    assert _gap(times) < _GREATEST_GAP or is_busy


@contextmanager
def _busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Keep every thread of the executor busy while the block runs; gives how many may be pending."""
    freed, checking = Event(), bcrypt.checkpw

    def check_later(password: bytes, hashed: bytes) -> bool:
        freed.wait(30)
        return checking(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", check_later)
    try:
        yield passwords._THREADS + passwords._MAX_WAITING  # noqa: SLF001 -- the limit is nobody else's business
    finally:
        freed.set()
        monkeypatch.undo()


async def test_a_flood_of_log_ins_is_shed_and_the_rest_of_the_service_answers(
    service: Service, alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        flood = Api(session, service.url)
        with _busy(monkeypatch) as limit:
            waiting = [asyncio.create_task(_log_in(flood)) for _ in range(limit + 10)]
            shed = []
            for next_answer in asyncio.as_completed(waiting, timeout=10):
                shed.append(await next_answer)
                if len(shed) == 10:
                    break
            assert all(answer.code == "overloaded" for answer in shed)
            assert all(answer.status == 503 and answer.headers["Retry-After"].isdigit() for answer in shed)
            refused = await flood.post("/api/auth/register", {"email": "bob@example.com", "password": PASSWORD})
            assert (refused.status, refused.code) == (503, "overloaded")
            begun = perf_counter()
            assert (await flood.get("/health/live")).status == 200
            assert (await alice.get("/api/users/me")).status == 200
            print(f"{limit} log-ins pending, 10 shed; two other requests took {perf_counter() - begun:.3f} s")  # noqa: T201 -- the guarantee's figure
        answers = await asyncio.gather(*waiting)
        assert sorted(answer.status for answer in answers) == [200] * limit + [503] * 10
        assert (await _log_in(flood)).status == 200


async def test_a_flood_of_log_ins_keeps_nobody_else_waiting(dsn: Dsn, folder: Path) -> None:
    # Of a lower cost than usual, so that those in the queue do not keep the test waiting at the end.
    variables = PRODUCTION | logins.SETTINGS | {"BCRYPT_COST": "10", "DATABASE_URL": dsn.libpq_url}
    async with serving(folder, **variables) as service:
        statuses, times = await logins.measure(service.url, clients=logins.CLIENTS, seconds=2)
    figures = [f"{path} {quantiles(taken, n=100)[98]:.0f} ms" for path, taken in times.items()]
    print(f"p99 in a flood of log-ins: {', '.join(figures)}; checked {statuses[401]}, shed {statuses[503]}")  # noqa: T201 -- the guarantee's figure
    assert statuses.keys() <= {401, 503}
    assert statuses[503]
    # That of those who wait for all the log-ins would be several seconds.
    assert all(quantiles(taken, n=100)[98] < 1500 for taken in times.values())


async def test_a_text_that_is_slow_to_normalise_keeps_nobody_waiting(anybody: Api, alice: Api) -> None:
    # Marks in the wrong order, which NFKC sorts, as many as a body can hold.
    marks = "a" + "\u0300" * 15_000 + "\u0316" * 15_000
    requests: list[tuple[str, dict[str, str], int]] = [
        ("/api/auth/login", {"email": marks, "password": "x"}, 401),
        ("/api/auth/login", {"email": marks + "@example.com", "password": "x"}, 401),
        ("/api/auth/login", {"email": "alice@example.com", "password": marks}, 401),
        ("/api/auth/register", {"email": marks, "password": PASSWORD}, 422),
        ("/api/auth/register", {"email": "a@" + marks, "password": PASSWORD}, 422),
        ("/api/auth/register", {"email": "bob@example.com", "password": marks}, 422),
        ("/api/users/me/password", {"current_password": marks, "new_password": PASSWORD + "!"}, 422),
        ("/api/users/me/password", {"current_password": PASSWORD, "new_password": marks}, 422),
    ]
    work = []
    for path, body, status in requests:
        begun = process_time()
        data = json.dumps(body, ensure_ascii=False).encode()
        answer = await alice.post(path, data=data, headers={"Content-Type": "application/json"})
        work.append(process_time() - begun)
        assert answer.status == status, answer.text
    print(f"{len(requests)} bodies of 60 kB of marks: the slowest took {max(work) * 1000:.0f} ms of the processor")  # noqa: T201 -- the guarantee's figure
    assert max(work) < 0.5
    assert (await _log_in(anybody)).status == 200


async def test_a_caller_who_leaves_frees_the_place_in_the_queue(service: Service) -> None:
    hasher = service.app[PASSWORDS]
    tasks = [asyncio.create_task(hasher.hash("password")) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    limit = passwords._THREADS + passwords._MAX_WAITING  # noqa: SLF001 -- the limit is nobody else's business
    hashes = await asyncio.gather(*(hasher.hash("password") for _ in range(limit)))
    assert len(set(hashes)) == limit
