"""OPTIONS and CORS: what a path can do, and which pages may read what it answers."""

import re
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.http.cors import share
from service.settings import Settings
from tests.conftest import PASSWORD, Answer, Api, Service, connected, started
from tests.http.raw import exchange, head, wire
from tests.sharing import NewDatabase, on_one_postgresql

pytestmark = on_one_postgresql

ORIGIN = "https://app.example.com"
FOREIGN = [
    "https://app.example.com.evil.example",
    "https://app.example.co",
    "https://evil-app.example.com",
    "https://example.com",
    "https://sub.app.example.com",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "http://app.example.com",
    "https://app.example.com:443",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://app.example.com.",
    "https://app.example.com https://evil.example",
    "https://app.example.com, https://app.example.com",
    "app.example.com",
    "null",
    "*",
    "",
]
EXPOSED = "ETag, Link, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
ACCEPTED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent, X-Request-Id"


def _paths(service: Service) -> dict[str, set[str]]:
    """Every path that has a route, with an x in the place of each parameter, and the methods of its routes."""
    paths: dict[str, set[str]] = {}
    for route in service.app.router.routes():
        assert route.resource
        path = re.sub(r"\{[^}]*\}", "x", route.resource.canonical)
        paths.setdefault(path, set()).add(route.method)
    assert len(paths) > 10
    return paths


def _preflight(origin: str, method: str = "PATCH") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }


def _cors(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}


async def test_options_of_every_path_names_its_methods_and_needs_no_token(service: Service, anybody: Api) -> None:
    paths = _paths(service)
    for path, methods in paths.items():
        answer = await anybody.send("OPTIONS", path)
        assert (answer.status, answer.text) == (204, ""), path
        assert answer.headers["Allow"] == ",".join(sorted(methods | {"OPTIONS"}))
        assert not {"Content-Length", "Content-Type"} & answer.headers.keys()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    print(f"paths {len(paths)}, each 204 with Allow")  # noqa: T201 -- the figure


async def test_options_names_just_the_methods_that_are_not_405(service: Service, alice: Api) -> None:
    for path in _paths(service):
        allowed = set((await alice.send("OPTIONS", path)).headers["Allow"].split(","))
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
            if (method, path) == ("DELETE", "/api/users/me"):
                continue  # it would end the test's user
            answer = await alice.send(method, path, allow_redirects=False)
            assert (answer.status == 405) is (method not in allowed), (method, path)
            if answer.status == 405:
                assert set(answer.headers["Allow"].split(",")) == allowed


async def test_a_path_of_two_resources_has_the_methods_of_both(anybody: Api) -> None:
    # A task whose id is "tasks", and the tasks of a user whose id is "tasks".
    answer = await anybody.send("OPTIONS", "/api/tasks/tasks")
    assert (answer.status, answer.headers["Allow"]) == (204, "DELETE,GET,HEAD,OPTIONS,PATCH,POST")


@pytest.mark.parametrize("path", ["/no/such/path", "/api/tasks/", "/API/tasks", "/%2A"])
async def test_options_of_a_path_that_is_none_is_404(service: Service, path: str) -> None:
    for fields in ({}, _preflight(ORIGIN)):
        answer = await exchange(service, head("OPTIONS", path, **fields))
        assert (answer.status, answer.code) == (404, "not_found")
        assert "Access-Control-Allow-Methods" not in answer.headers


async def test_options_of_the_service_as_a_whole_is_204(service: Service) -> None:
    async with wire(service) as connection:
        for _ in range(2):
            answer = await (await connection.send(head("OPTIONS", "*"))).answer()
            assert (answer.status, answer.text) == (204, "")


async def test_a_body_of_options_is_not_read(service: Service) -> None:
    async with wire(service) as connection:
        await connection.send(head("OPTIONS", "/api/tasks", Content_Length="1000000") + b"{")
        answer = await connection.answer()
    assert (answer.status, answer.headers["Connection"]) == (204, "close")


async def test_head_of_every_path_mirrors_get_without_a_body(service: Service, alice: Api) -> None:
    paths = [path for path, methods in _paths(service).items() if "GET" in methods]
    for path in paths:
        got = await alice.get(path, allow_redirects=False)
        headed = await alice.send("HEAD", path, allow_redirects=False)
        assert (headed.status, headed.text) == (got.status, ""), path
        assert headed.headers.get("Content-Type") == got.headers.get("Content-Type")
        # Of an answer without a body, HEAD may leave out that it is empty.
        assert headed.headers.keys() ^ got.headers.keys() <= (set() if got.text else {"Content-Length"})
    print(f"paths {len(paths)}, HEAD like GET")  # noqa: T201 -- the figure


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "PUT"])
async def test_a_preflight_of_an_allowed_origin_says_what_may_be_sent(
    service: Service, anybody: Api, method: str
) -> None:
    for path, methods in _paths(service).items():
        answer = await anybody.send("OPTIONS", path, headers=_preflight(ORIGIN, method))
        allowed = ",".join(sorted(methods | {"OPTIONS"}))
        assert (answer.status, answer.text, answer.headers["Allow"]) == (204, "", allowed)
        assert answer.headers["Vary"] == "Origin"
        assert _cors(answer) == {
            "Access-Control-Allow-Origin": ORIGIN,
            "Access-Control-Expose-Headers": EXPOSED,
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": ACCEPTED,
            "Access-Control-Max-Age": "600",
        }


async def test_options_of_a_page_that_is_no_preflight_says_nothing_of_methods(anybody: Api) -> None:
    answer = await anybody.send("OPTIONS", "/api/tasks", headers={"Origin": ORIGIN})
    assert answer.status == 204
    assert _cors(answer).keys() == {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers"}


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_origin_is_served_and_its_page_reads_nothing(service: Service, alice: Api, origin: str) -> None:
    for method, fields, status in (
        ("OPTIONS", _preflight(origin), 204),
        ("GET", {"Origin": origin}, 200),
        ("PUT", {"Origin": origin}, 405),
    ):
        fields_ = {name.replace("-", "_"): value for name, value in fields.items()}
        answer = await exchange(service, head(method, "/api/tasks", alice, **fields_))
        assert answer.status == status
        assert _cors(answer) == {}
        assert answer.headers["Vary"] == "Origin"


async def test_every_answer_can_be_read_by_a_page_of_an_allowed_origin(alice: Api, anybody: Api) -> None:
    path = f"/api/tasks/{(await alice.new_task())['id']}"
    json = {"Content-Type": "application/json"}
    answers = {
        200: await alice.get(path, headers={"Origin": ORIGIN}),
        201: await alice.post("/api/tasks", {"title": "x"}, headers={"Origin": ORIGIN}),
        304: await alice.get(path, headers={"Origin": ORIGIN, "If-None-Match": '"1"'}),
        400: await alice.post("/api/tasks", data=b"{", headers={"Origin": ORIGIN, **json}),
        401: await anybody.get("/api/tasks", headers={"Origin": ORIGIN}),
        404: await alice.get("/no/such/path", headers={"Origin": ORIGIN}),
        405: await alice.send("PUT", "/api/tasks", headers={"Origin": ORIGIN}),
        412: await alice.delete(path, headers={"Origin": ORIGIN, "If-Match": '"7"'}),
        413: await alice.post("/api/tasks", {"title": "x" * 99_999}, headers={"Origin": ORIGIN}),
        415: await alice.post("/api/tasks", data=b"{}", headers={"Origin": ORIGIN}),
        422: await alice.post("/api/tasks", {}, headers={"Origin": ORIGIN}),
        204: await alice.delete(path, headers={"Origin": ORIGIN}),
    }
    for status, answer in answers.items():
        assert answer.status == status
        assert _cors(answer) == {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Expose-Headers": EXPOSED}
        assert answer.headers["Vary"] == "Origin"
        assert status < 400 or answer.code


async def test_a_fault_of_the_service_can_be_read_by_a_page_as_well(
    settings: Settings, new_database: NewDatabase
) -> None:
    settings = replace(settings, pool_size=1, pool_max_overflow=0, pool_timeout=0.1)
    async with (
        new_database() as dsn,
        started(settings, dsn) as service,
        connected(dsn) as connection,
        aiohttp.ClientSession() as session,
    ):
        user = await Api(session, service.url).new_user("alice@example.com")
        async with service.app[DATABASE].connection():
            overloaded = await user.get("/api/tasks", headers={"Origin": ORIGIN})
        await connection.execute("ALTER TABLE tasks DROP COLUMN description")
        broken = await user.get("/api/tasks", headers={"Origin": ORIGIN})
    assert [answer.code for answer in (overloaded, broken)] == ["overloaded", "internal_error"]
    for answer in (overloaded, broken):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Vary"] == "Origin"


async def test_every_answer_varies_by_origin_with_and_without_one(alice: Api, anybody: Api) -> None:
    for user, method, path in (
        (alice, "GET", "/api/tasks"),
        (anybody, "GET", "/api/tasks"),
        (anybody, "GET", "/health/live"),
        (anybody, "HEAD", "/health/live"),
        (anybody, "OPTIONS", "/api/tasks"),
        (anybody, "GET", "/no/such/path"),
        (anybody, "PUT", "/api/tasks"),
    ):
        for fields in ({}, {"Origin": ORIGIN}, {"Origin": "https://evil.example"}):
            answer = await user.send(method, path, headers=fields)
            assert answer.headers.getall("Vary") == ["Origin"]
            assert bool(_cors(answer)) is (fields.get("Origin") == ORIGIN)


@pytest.mark.parametrize(("before", "after"), [(None, "Origin"), ("Accept-Encoding", "Accept-Encoding, Origin")])
def test_what_an_answer_varies_by_besides_is_kept(before: str | None, after: str) -> None:
    response = web.Response(headers={"Vary": before} if before else {})
    share(make_mocked_request("GET", "/"), response, frozenset({ORIGIN}))
    assert response.headers.getall("Vary") == [after]


async def test_each_of_several_origins_is_named_alone(settings: Settings, shared_dsn: Dsn) -> None:
    origins = {ORIGIN, "http://localhost:5173", "https://[2001:db8::1]:8443"}
    async with started(replace(settings, cors_origins=frozenset(origins)), shared_dsn) as service:
        for origin in origins:
            answer = await exchange(service, head("GET", "/health/live", Origin=origin))
            assert answer.headers["Access-Control-Allow-Origin"] == origin
        answer = await exchange(service, head("GET", "/health/live", Origin="https://evil.example"))
        assert _cors(answer) == {}


async def test_without_configured_origins_nothing_is_said_of_them(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(replace(settings, cors_origins=frozenset()), shared_dsn) as service:
        for origin in (ORIGIN, "null", "*", ""):
            for method, fields in (("GET", {"Origin": origin}), ("OPTIONS", _preflight(origin))):
                fields_ = {name.replace("-", "_"): value for name, value in fields.items()}
                answer = await exchange(service, head(method, "/health/live", **fields_))
                assert answer.status in {200, 204}
                assert _cors(answer) == {}
                assert "Vary" not in answer.headers


async def test_a_page_can_do_all_that_the_contract_has(alice: Api, anybody: Api) -> None:
    """Walk through what a browser would do: each request is preflighted, and what the page needs is exposed."""

    async def fetch(method: str, path: str, body: object = None, **headers: str) -> Answer:
        allowed = await anybody.send("OPTIONS", path, headers=_preflight(ORIGIN, method))
        assert method in allowed.headers["Access-Control-Allow-Methods"].split(",")
        names = {name.strip().lower() for name in allowed.headers["Access-Control-Allow-Headers"].split(",")}
        assert {"authorization", "content-type"} | {name.lower() for name in headers} <= names
        answer = await alice.send(method, path, body, headers={"Origin": ORIGIN, **headers})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        return answer

    assert (await fetch("POST", "/api/auth/login", {"email": "x@example.com", "password": PASSWORD})).status == 401
    created = await fetch("POST", "/api/tasks", {"title": "x"})
    exposed = {name.strip() for name in created.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"Location", "ETag", "X-Request-Id"} <= exposed & created.headers.keys()
    path = created.headers["Location"]
    changed = await fetch("PATCH", path, {"title": "y"}, **{"If-Match": created.headers["ETag"]})
    assert changed.status == 200
    assert (await fetch("GET", path, **{"If-None-Match": changed.headers["ETag"]})).status == 304
    await fetch("POST", "/api/tasks", {"title": "z"})
    page = await fetch("GET", "/api/tasks?limit=1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    assert page.headers["Link"]
    assert "Link" in exposed
    assert (await fetch("DELETE", path, **{"X-Request-Id": "a-page-0001"})).status == 204
