"""Isolation: every route, and whoever may not be there. The routes are those that serve; none can be forgotten."""

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from service.accounts.clients import create_client, revoke_client
from service.app import openapi
from service.http.app_keys import DATABASE
from service.http.identity import is_public
from tests.conftest import PASSWORD, Answer, Api, Service
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import NewUser, on_one_postgresql

pytestmark = on_one_postgresql

# What is meant to be open, and to whom; all else is for users alone. Not read from the service, since it judges that.
PUBLIC = {
    "POST /api/auth/login",
    "POST /api/auth/logout",
    "POST /api/auth/refresh",
    "POST /api/auth/register",
    "POST /api/auth/token",
}
FOR_CLIENTS = {
    "GET /api/{user_id}/tasks": {"tasks:read"},
    "HEAD /api/{user_id}/tasks": {"tasks:read"},
    "POST /api/{user_id}/tasks": {"tasks:write"},
    "GET /api/{user_id}/tasks/{id}": {"tasks:read"},
    "HEAD /api/{user_id}/tasks/{id}": {"tasks:read"},
    "PATCH /api/{user_id}/tasks/{id}": {"tasks:write"},
    "DELETE /api/{user_id}/tasks/{id}": {"tasks:write"},
    "GET /api/task-statuses": {"tasks:read", "tasks:write"},
    "HEAD /api/task-statuses": {"tasks:read", "tasks:write"},
}
SCOPES: list[set[str]] = [{"tasks:read"}, {"tasks:write"}, {"tasks:read", "tasks:write"}]
DOCUMENT = openapi()


def _routes() -> list[str]:
    """Every method of every path below /api, HEAD too."""
    described = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    described += [("HEAD", path) for method, path in described if method == "GET"]
    return sorted(f"{method} {path}" for method, path in described if path.startswith("/api/"))


ROUTES = _routes()
PROTECTED = [route for route in ROUTES if route not in PUBLIC]


async def _send(api: Api, route: str, user_id: str | None, task_id: object) -> Answer:
    """Send a request about a user's task, with the document's own example as its body."""
    method, template = route.split(" ")
    path = re.sub(r"{(\w+)}", lambda found: str({"user_id": user_id, "id": task_id}[found[1]]), template)
    body: Any = None
    if method != "HEAD" and (described := DOCUMENT["paths"][template][method.lower()].get("requestBody")):
        body = next(iter(described["content"].values()))["example"]
    return await api.send(method, path, body)


async def _new_client(service: Service, anybody: Api, scopes: set[str]) -> tuple[str, Api]:
    """Make a service client and let it get a token: its id, and the caller."""
    client, secret = await create_client(service.app[DATABASE], f"client {uuid4().hex}", scopes)
    form = {"grant_type": "client_credentials", "client_id": str(client["id"]), "client_secret": secret}
    answer = await anybody.post("/api/auth/token", data=form)
    assert answer.status == 200, answer.text
    return str(client["id"]), replace(anybody, token=answer.body["access_token"])


def _told(answer: Answer) -> Any:
    """Return all that an answer tells, header fields too, but for the request that it belongs to."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in {"x-request-id", "date"}}
    return *answer.told, headers


async def test_the_routes_that_are_open_are_those_that_are_meant_to_be(service: Service) -> None:
    open_ = {
        f"{route.method} {route.resource.canonical}"
        for route in service.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/") and is_public(route.handler)
    }
    assert open_ == PUBLIC


async def test_the_document_shows_the_scopes_of_every_route(anybody: Api) -> None:
    assert (await anybody.get("/openapi.json")).body == DOCUMENT
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            shown = [scope for way in operation["security"] for scope in way.get("service_client", [])]
            assert set(shown) == FOR_CLIENTS.get(f"{method.upper()} {path}", set()), (method, path)
    flow = DOCUMENT["components"]["securitySchemes"]["service_client"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/api/auth/token"
    assert flow["scopes"].keys() == {"tasks:read", "tasks:write"}


@pytest.mark.parametrize("route", PROTECTED)
async def test_nobody_comes_in_without_a_token(route: str, alice: Api, anybody: Api) -> None:
    task = await alice.new_task()
    answer = await _send(anybody, route, alice.user_id, task["id"])
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert route.startswith("HEAD") or answer.code == "unauthenticated"
    assert (await alice.get("/api/tasks")).body["items"] == [task]


@pytest.mark.parametrize("route", PROTECTED)
async def test_nobody_comes_in_with_a_token_that_has_been_stopped(
    route: str, service: Service, alice: Api, new_user: NewUser, anybody: Api
) -> None:
    task = await alice.new_task()
    deleted, logged_out = await new_user(), await new_user()
    me = await logged_out.get("/api/users/me")
    login = await anybody.post("/api/auth/login", {"email": me.body["email"], "password": PASSWORD})
    await anybody.post("/api/auth/logout", {"refresh_token": login.body["refresh_token"]})
    assert (await deleted.delete("/api/users/me")).status == 204
    client_id, revoked = await _new_client(service, anybody, {"tasks:read", "tasks:write"})
    await revoke_client(service.app[DATABASE], client_id)
    while (await revoked.get("/api/task-statuses")).status != 401:
        pass  # it is announced
    for caller in (deleted, replace(logged_out, token=login.body["access_token"]), revoked):
        answer = await _send(caller, route, alice.user_id, task["id"])
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert (await alice.get("/api/tasks")).body["items"] == [task]


@pytest.mark.parametrize("route", PROTECTED)
async def test_a_user_comes_to_what_is_the_users_own_and_to_nothing_else(route: str, alice: Api, bob: Api) -> None:
    task = await alice.new_task("Alice's own")
    there = await _send(bob, route, alice.user_id, task["id"])
    if "{" in route:
        never_was = await _send(bob, route, str(uuid4()), uuid4())
        assert there.status == 404
        assert _told(there) == _told(never_was)
    for trace in (str(alice.user_id), task["id"], "Alice's own"):
        assert trace not in there.text.replace(str(there.body.get("instance") if there.body else ""), "")
    assert (await alice.get("/api/tasks")).body["items"] == [task]
    assert (await _send(alice, route, alice.user_id, task["id"])).status < 300


@pytest.mark.parametrize("scopes", SCOPES, ids=lambda scopes: " ".join(sorted(scopes)))
async def test_a_client_comes_where_its_scope_lets_it_and_nowhere_else(
    scopes: set[str], service: Service, new_user: NewUser, anybody: Api
) -> None:
    _, client = await _new_client(service, anybody, scopes)
    let_in = []
    for route in PROTECTED:
        user = await new_user()
        task = await user.new_task()
        answer = await _send(client, route, user.user_id, task["id"])
        needed = FOR_CLIENTS.get(route, set())
        if needed & scopes:
            assert answer.status < 300, (route, answer.text)
            let_in.append(route)
            continue
        assert answer.status == 403, route
        assert route.startswith("HEAD") or answer.code == "insufficient_scope"
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer error="insufficient_scope"')
        assert ('scope="' in challenge) is bool(needed)
        # Before it is looked whether there is such a user, so that it is told nothing about that.
        assert _told(answer) == _told(await _send(client, route, str(uuid4()), uuid4()))
        assert (await user.get("/api/tasks")).body["items"] == [task]
    print(  # noqa: T201 -- the guarantee's figure
        f"{len(PROTECTED)} routes x a client of {' '.join(sorted(scopes))}: {len(let_in)} let in, the rest 403"
    )


async def test_a_client_finds_no_task_by_another_users_path(
    service: Service, alice: Api, bob: Api, anybody: Api
) -> None:
    _, client = await _new_client(service, anybody, {"tasks:read", "tasks:write"})
    task = await alice.new_task()
    for route in (route for route in FOR_CLIENTS if "{id}" in route):
        wrong = await _send(client, route, bob.user_id, task["id"])
        assert wrong.status == 404, route
        assert _told(wrong) == _told(await _send(client, route, str(uuid4()), uuid4()))
    assert (await alice.get("/api/tasks")).body["items"] == [task]
