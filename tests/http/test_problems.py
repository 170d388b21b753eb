"""Problems: every refusal is one, whoever refuses, and looks as RFC 9457 and the contract say."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from service.accounts.tokens import TOKENS
from service.database.queries import queries
from service.dsn import Dsn
from service.http.app_keys import DATABASE, DRAINING, REFUSING
from service.http.problems import KINDS
from service.settings import Settings
from tests.conftest import PASSWORD, Answer, Api, Service, connected, started
from tests.http.raw import exchange, head, wire
from tests.sharing import NewDatabase, on_one_postgresql

pytestmark = on_one_postgresql

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
REQUEST_ID = "the-caller.chose_this-1"
ANY_ID = {"X-Request-Id": REQUEST_ID}


@dataclass(frozen=True, slots=True)
class World:
    """The fixtures that a refusal may need."""

    alice: Api
    service: Service
    connection: asyncpg.Connection
    settings: Settings
    dsn: Dsn
    new_database: NewDatabase


@pytest.fixture
def world(  # noqa: PLR0913, PLR0917 -- it is a bundle of fixtures
    alice: Api,
    service: Service,
    connection: asyncpg.Connection,
    settings: Settings,
    shared_dsn: Dsn,
    new_database: NewDatabase,
) -> World:
    """Everything at once."""
    return World(alice, service, connection, settings, shared_dsn, new_database)


Producer = Callable[[World], Awaitable[Answer]]


async def _send(world: World, method: str, path: str, body: object = None, **headers: str) -> Answer:
    fields = ANY_ID | {name.replace("_", "-"): value for name, value in headers.items()}
    return await world.alice.send(method, path, body, headers=fields)


async def _bad_request(world: World) -> Answer:
    return await exchange(world.service, b"GET / HTTP/9.9\r\n\r\n")


async def _invalid_json(world: World) -> Answer:
    headers = ANY_ID | {"Content-Type": "application/json"}
    return await world.alice.post("/api/tasks", data=b"{", headers=headers)


async def _invalid_precondition(world: World) -> Answer:
    task = await world.alice.new_task()
    return await _send(world, "DELETE", f"/api/tasks/{task['id']}", If_Match="1")


async def _invalid_idempotency_key(world: World) -> Answer:
    return await _send(world, "POST", "/api/tasks", {"title": "x"}, Idempotency_Key='"')


async def _unauthenticated(world: World) -> Answer:
    return await replace(world.alice, token=None).get("/api/tasks", headers=ANY_ID)


async def _invalid_token(world: World) -> Answer:
    return await replace(world.alice, token="not.a.token").get("/api/tasks", headers=ANY_ID)


async def _invalid_credentials(world: World) -> Answer:
    return await _send(world, "POST", "/api/auth/login", {"email": "nobody@example.com", "password": PASSWORD})


async def _invalid_refresh_token(world: World) -> Answer:
    return await _send(world, "POST", "/api/auth/refresh", {"refresh_token": "x"})


async def _too_many_requests(world: World) -> Answer:
    login = {"email": "guessed@example.com", "password": PASSWORD}
    async with started(replace(world.settings, login_failures_per_account=1), world.dsn) as service:
        guesser = Api(world.alice.session, service.url)
        assert (await guesser.post("/api/auth/login", login)).status == 401
        return await guesser.post("/api/auth/login", login, headers=ANY_ID)


async def _insufficient_scope(world: World) -> Answer:
    client = replace(world.alice, token=world.service.app[TOKENS].issue_to_client(uuid4(), ["tasks:read"]))
    return await client.get("/api/tasks", headers=ANY_ID)


async def _not_found(world: World) -> Answer:
    return await _send(world, "GET", "/no/such/path")


async def _method_not_allowed(world: World) -> Answer:
    return await _send(world, "PUT", "/api/tasks")


async def _request_timeout(world: World) -> Answer:
    async with started(replace(world.settings, read_timeout=0.1), world.dsn) as service:
        fields = {"Content_Type": "application/json", "Content_Length": "10", "X_Request_Id": REQUEST_ID}
        return await exchange(service, head("POST", "/api/auth/login", **fields) + b"{")


async def _email_taken(world: World) -> Answer:
    me = await world.alice.get("/api/users/me")
    return await _send(world, "POST", "/api/auth/register", {"email": me.body["email"], "password": PASSWORD})


async def _idempotency_in_progress(world: World) -> Answer:
    async with world.connection.transaction():
        await queries.lock_idempotency_key(
            world.connection, caller_id=world.alice.user_id, key="x", user_id=world.alice.user_id
        )
        return await _send(world, "POST", "/api/tasks", {"title": "x"}, Idempotency_Key="x")


async def _precondition_failed(world: World) -> Answer:
    task = await world.alice.new_task()
    return await _send(world, "DELETE", f"/api/tasks/{task['id']}", If_Match='"2"')


async def _payload_too_large(world: World) -> Answer:
    return await _send(world, "POST", "/api/tasks", {"title": "x" * world.settings.max_body_bytes})


async def _unsupported_media_type(world: World) -> Answer:
    return await world.alice.post("/api/tasks", data=b"{}", headers=ANY_ID | {"Content-Type": "text/plain"})


async def _expectation_failed(world: World) -> Answer:
    return await exchange(world.service, head("GET", "/health/live", Expect="tea", X_Request_Id=REQUEST_ID))


async def _validation_error(world: World) -> Answer:
    return await _send(world, "POST", "/api/tasks", {})


async def _idempotency_key_reused(world: World) -> Answer:
    await _send(world, "POST", "/api/tasks", {"title": "x"}, Idempotency_Key="x")
    return await _send(world, "POST", "/api/tasks", {"title": "y"}, Idempotency_Key="x")


async def _internal_error(world: World) -> Answer:
    # A database that lacks what the code needs, where readiness was not heeded.
    async with (
        world.new_database() as dsn,
        started(world.settings, dsn) as service,
        connected(dsn) as connection,
        aiohttp.ClientSession() as session,
    ):
        user = await Api(session, service.url).new_user("alice@example.com")
        await connection.execute("ALTER TABLE tasks DROP COLUMN description")
        return await user.get("/api/tasks", headers=ANY_ID)


async def _database_unavailable(world: World) -> Answer:
    async with world.connection.transaction():
        await world.connection.execute("LOCK TABLE tasks")
        request = asyncio.create_task(_send(world, "GET", "/api/tasks"))
        terminated = False
        while not terminated:
            terminated = await world.connection.fetchval(
                """
                SELECT coalesce(bool_and(pg_terminate_backend(pid)), false)
                FROM pg_locks
                WHERE NOT granted AND relation = 'tasks'::regclass
                """
            )
        return await request


async def _precondition_required(world: World) -> Answer:
    task = await world.alice.new_task()
    async with started(replace(world.settings, require_if_match=True), world.dsn) as service:
        request = head("DELETE", f"/api/tasks/{task['id']}", world.alice, X_Request_Id=REQUEST_ID)
        return await exchange(service, request)


async def _draining(world: World) -> Answer:
    async with started(world.settings, world.dsn) as service:
        for state in (DRAINING, REFUSING):  # tests/test_draining.py gets there as SIGTERM does
            service.app[state].set()
        return await exchange(service, head("GET", "/api/tasks", world.alice, X_Request_Id=REQUEST_ID))


async def _overloaded(world: World) -> Answer:
    settings = replace(world.settings, pool_size=1, pool_max_overflow=0, pool_timeout=0.1)
    async with started(settings, world.dsn) as service, service.app[DATABASE].connection():
        return await exchange(service, head("GET", "/api/tasks", world.alice, X_Request_Id=REQUEST_ID))


PRODUCERS: dict[str, Producer] = {
    "bad_request": _bad_request,
    "invalid_json": _invalid_json,
    "invalid_precondition": _invalid_precondition,
    "invalid_idempotency_key": _invalid_idempotency_key,
    "unauthenticated": _unauthenticated,
    "invalid_token": _invalid_token,
    "invalid_credentials": _invalid_credentials,
    "invalid_refresh_token": _invalid_refresh_token,
    "insufficient_scope": _insufficient_scope,
    "not_found": _not_found,
    "method_not_allowed": _method_not_allowed,
    "request_timeout": _request_timeout,
    "email_taken": _email_taken,
    "idempotency_in_progress": _idempotency_in_progress,
    "precondition_failed": _precondition_failed,
    "precondition_required": _precondition_required,
    "payload_too_large": _payload_too_large,
    "unsupported_media_type": _unsupported_media_type,
    "expectation_failed": _expectation_failed,
    "validation_error": _validation_error,
    "idempotency_key_reused": _idempotency_key_reused,
    "too_many_requests": _too_many_requests,
    "internal_error": _internal_error,
    "database_unavailable": _database_unavailable,
    "overloaded": _overloaded,
    "draining": _draining,
}
# The header fields that a code never comes without.
FIELDS = {
    "unauthenticated": {"WWW-Authenticate": "Bearer"},
    "invalid_token": {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    "invalid_credentials": {"WWW-Authenticate": "Bearer"},
    "invalid_refresh_token": {"WWW-Authenticate": "Bearer"},
    "insufficient_scope": {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    "method_not_allowed": {"Allow": "GET,HEAD,OPTIONS,POST"},
    "idempotency_in_progress": {"Retry-After": "1"},
    "precondition_failed": {"ETag": '"1"'},
    "unsupported_media_type": {"Accept-Post": "application/json"},
    "database_unavailable": {"Retry-After": "1"},
    "overloaded": {"Retry-After": "1"},
    "draining": {"Retry-After": "1"},
}


def test_every_code_has_a_request_that_produces_it() -> None:
    assert PRODUCERS.keys() == KINDS.keys()


@pytest.mark.parametrize("code", PRODUCERS)
async def test_a_refusal_is_a_problem(code: str, world: World) -> None:
    answer = await PRODUCERS[code](world)
    kind = KINDS[code]
    assert answer.code == code, answer.text
    assert answer.status == kind.status == answer.body["status"]
    assert answer.body.keys() == MEMBERS | ({"errors"} if code == "validation_error" else set())
    assert (answer.body["type"], answer.body["title"]) == (kind.type, kind.title)
    assert answer.body["detail"]
    assert answer.body["instance"].startswith("/")
    if code != "bad_request":  # what cannot be parsed has no request id that could be kept
        assert answer.body["request_id"] == REQUEST_ID
    assert answer.headers["X-Request-Id"] == answer.body["request_id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    fields = FIELDS.get(code, {})
    assert {name: answer.headers.get(name) for name in fields} == fields
    if kind.status >= 500:
        # The meaning of the kind, and not a word about the occurrence.
        assert answer.body["detail"] == kind.meaning


def test_the_kinds_are_consistent() -> None:
    for code, kind in KINDS.items():
        assert kind.code == code
        assert kind.type == f"/problems/{code}"
        assert all((kind.title, kind.meaning, kind.remedy))
        assert 400 <= kind.status < 600


GOOD_IDS = ["12345678", "x" * 128, "A.b_c-9z", "00000000-0000-0000-0000-000000000000"]
BAD_IDS = ["", "1234567", "x" * 129, "with space", "semi;colon", "12345678\xa0", "\xe9" * 8, '"12345678"', "1234567/8"]
REQUESTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "a success": ("GET", "/health/live", {}),
    "no content": ("HEAD", "/health/live", {}),
    "a refusal by a handler": ("GET", "/api/tasks", {}),
    "a refusal by the router": ("GET", "/no/such/path", {}),
    "a refusal by the framework": ("GET", "/health/live", {"Expect": "tea"}),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_well_formed_request_id_is_kept_and_any_other_replaced(service: Service, what: str) -> None:
    method, path, fields = REQUESTS[what]
    seen = set()
    async with wire(service) as connection:
        for id_ in [*GOOD_IDS, *BAD_IDS]:
            await connection.send(head(method, path, X_Request_Id=id_, **fields))
            answer = await connection.answer(with_body=method != "HEAD")
            given = answer.headers["X-Request-Id"]
            assert (given == id_) is (id_ in GOOD_IDS), ascii(id_)
            assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", given)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if answer.body and "request_id" in answer.body:
                assert answer.body["request_id"] == given
            seen.add(given)
    assert len(seen) == len(GOOD_IDS) + len(BAD_IDS)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/tasks", "GET,HEAD,OPTIONS,POST"),
        ("/api/tasks/x", "DELETE,GET,HEAD,OPTIONS,PATCH"),
        ("/api/task-statuses", "GET,HEAD,OPTIONS"),
        ("/api/auth/register", "OPTIONS,POST"),
        ("/api/auth/login", "OPTIONS,POST"),
        ("/api/users/me", "GET,HEAD,OPTIONS"),
        ("/health/live", "GET,HEAD,OPTIONS"),
    ],
)
async def test_a_method_that_a_path_has_not_is_refused_with_those_that_it_has(
    anybody: Api, path: str, allowed: str
) -> None:
    for method in ("PUT", "TRACE", "PURGE"):
        answer = await anybody.send(method, path)
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert set(allowed.split(",")) <= set(answer.headers["Allow"].split(","))
        assert method not in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/tasks/", "/api/tasks/x/y", "/API/tasks", "/health", "//api/tasks", "/a?q=1#f"]
)
async def test_a_path_that_is_none_is_a_problem(service: Service, path: str) -> None:
    answer = await exchange(service, head("GET", path))
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.body["instance"] == path.split("?", maxsplit=1)[0]


@pytest.mark.parametrize(
    "path", ["%00", "%ff", "%ed%a0%80", "%", "%zz", "%2e%2e", "%2f", "a%0d%0ab", "\\", "%F0%9F%8C%B1"]
)
async def test_a_path_that_cannot_be_decoded_is_no_fault_of_the_service(
    service: Service, alice: Api, path: str
) -> None:
    for place in (f"/{path}", f"/api/tasks/{path}", f"/{path}/api/tasks"):
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            async with wire(service) as connection:
                await connection.send(head(method, place, alice))
                answer = await connection.answer(with_body=method != "HEAD")
            assert answer.status in {400, 404, 405, 415}, place
            assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "request_",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"BREW /tea HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # a TLS client
    ],
    ids=lambda request: ascii(request)[2:42],
)
async def test_what_is_not_http_is_a_problem_and_ends_the_connection(service: Service, request_: bytes) -> None:
    async with wire(service) as connection:
        answer = await (await connection.send(request_)).answer()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.body["request_id"] == answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await connection.rest() == b""


@pytest.mark.parametrize("expectation", ["200-ok", "\xe9\xff", "100-continue, tea"])
async def test_an_unmet_expectation_is_a_problem(service: Service, expectation: str) -> None:
    answer = await exchange(service, head("GET", "/health/live", Expect=expectation))
    assert (answer.status, answer.code) == (417, "expectation_failed")


async def test_a_body_that_waits_for_100_continue_is_read(service: Service, alice: Api) -> None:
    body = b'{"title": "x"}'
    fields = {"Content_Type": "application/json", "Content_Length": str(len(body)), "Expect": "100-continue"}
    async with wire(service) as connection:
        await connection.send(head("POST", "/api/tasks", alice, **fields))
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await (await connection.send(body)).answer()).status == 201


@pytest.mark.parametrize(
    "path", ["/health/live", "/api/tasks", "/api/task-statuses", "/api/users/me", "/no/such", "task"]
)
async def test_head_mirrors_get_without_a_body(service: Service, alice: Api, path: str) -> None:
    task = await alice.new_task()
    path = f"/api/tasks/{task['id']}" if path == "task" else path
    async with wire(service) as connection:
        got = await (await connection.send(head("GET", path, alice, X_Request_Id=REQUEST_ID))).answer()
        await connection.send(head("HEAD", path, alice, X_Request_Id=REQUEST_ID))
        headed = await connection.answer(with_body=False)
        # A body would come before this answer, and not be one.
        assert (await (await connection.send(head("GET", "/health/live"))).answer()).body == {"status": "ok"}
    assert headed.status == got.status
    unmoved = {name: value for name, value in got.headers.items() if name != "Date"}
    assert {name: value for name, value in headed.headers.items() if name != "Date"} == unmoved


async def test_head_of_a_copy_that_is_current_is_304(alice: Api) -> None:
    task = await alice.new_task()
    answer = await alice.send("HEAD", f"/api/tasks/{task['id']}", headers={"If-None-Match": '"1"'})
    assert (answer.status, answer.headers["ETag"]) == (304, '"1"')


async def test_the_type_of_every_problem_leads_to_what_it_means(anybody: Api) -> None:
    for kind in KINDS.values():
        page = await anybody.get(kind.type)
        assert page.status == 200
        assert page.body == {
            "type": kind.type,
            "code": kind.code,
            "status": kind.status,
            "title": kind.title,
            "meaning": kind.meaning,
            "remedy": kind.remedy,
            "headers": list(kind.headers),
        }


async def test_a_code_that_no_problem_has_is_404(anybody: Api) -> None:
    answer = await anybody.get("/problems/nope")
    assert (answer.status, answer.code) == (404, "not_found")
