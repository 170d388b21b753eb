"""The token endpoint: the client credentials grant, as RFC 6749 has it and as a client library asks for it."""

import asyncio
import base64
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import aiohttp
import pytest
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]  # it has no types
from structlog.testing import capture_logs

from service.accounts.clients import create_client
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.http.problems import KINDS
from service.settings import Settings
from tests.conftest import Answer, Api, Service, started
from tests.http.raw import head, wire
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

PATH = "/api/auth/token"
GRANT = {"grant_type": "client_credentials"}
FORM = "application/x-www-form-urlencoded"
ERROR_BODY = {"error", "error_description"}


@dataclass(frozen=True, slots=True)
class Client:
    """A service client, and how it shows who it is."""

    id: str
    secret: str

    @property
    def basic(self) -> dict[str, str]:
        return basic(self.id, self.secret)

    @property
    def form(self) -> dict[str, str]:
        return {"client_id": self.id, "client_secret": self.secret}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"}


async def new_client(service: Service, *scopes: str) -> Client:
    row, secret = await create_client(service.app[DATABASE], f"client {uuid4().hex[:8]}.", scopes)
    return Client(str(row["id"]), secret)


@pytest.fixture(scope="module")
async def client(service: Service) -> Client:
    """A client with both scopes."""
    return await new_client(service, "tasks:write", "tasks:read")


@pytest.fixture
async def reader(service: Service) -> Client:
    """A client with the scope tasks:read alone."""
    return await new_client(service, "tasks:read")


async def _ask(api: Api, form: dict[str, str], **headers: str) -> Answer:
    return await api.post(PATH, data=GRANT | form, headers=headers)


def _assert_error(answer: Answer, status: int, error: str) -> None:
    assert (answer.status, answer.body["error"]) == (status, error), answer.text
    assert answer.body.keys() == ERROR_BODY
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    # RFC 6749, section 5.2: the characters that a description may hold.
    assert all(" " <= sign <= "~" and sign not in '"\\' for sign in answer.body["error_description"])
    challenge = 'Bearer, Basic realm="task-service"' if status == 401 else None
    assert answer.headers.get("WWW-Authenticate") == challenge


@pytest.mark.parametrize("way", ["basic", "form"])
async def test_a_client_gets_a_token_that_works(anybody: Api, alice: Api, client: Client, way: str) -> None:
    answer = await (_ask(anybody, {}, **client.basic) if way == "basic" else _ask(anybody, client.form))
    assert answer.status == 200, answer.text
    assert answer.body.keys() == {"access_token", "token_type", "expires_in", "scope"}  # and no refresh token
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 900)
    assert answer.body["scope"] == "tasks:read tasks:write"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    api = replace(anybody, token=answer.body["access_token"])
    assert (await api.post(f"/api/{alice.user_id}/tasks", {"title": "x"})).status == 201


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_library_gets_a_token_and_calls_with_it(
    service: Service, alice: Api, client: Client, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "true")  # the loopback has no TLS

    def call() -> tuple[dict[str, Any], Any]:
        with OAuth2Session(client.id, client.secret, method, scope="tasks:write") as session:
            token = session.fetch_token(service.url + PATH, grant_type="client_credentials")
            return dict(token), session.post(f"{service.url}/api/{alice.user_id}/tasks", json={"title": "from authlib"})

    token, created = await asyncio.to_thread(call)
    assert token["scope"] == "tasks:write"
    assert created.status_code == 201, created.text
    assert (await alice.get("/api/tasks")).body["items"] == [created.json()]


async def test_a_token_may_be_limited_to_some_of_the_scopes(anybody: Api, alice: Api, client: Client) -> None:
    for asked in ("tasks:read", "tasks:write", "tasks:read tasks:write", "tasks:write tasks:read"):
        answer = await _ask(anybody, {"scope": asked}, **client.basic)
        assert answer.body["scope"] == " ".join(sorted(asked.split()))
    only_read = (await _ask(anybody, {"scope": "tasks:read"}, **client.basic)).body["access_token"]
    refused = await replace(anybody, token=only_read).post(f"/api/{alice.user_id}/tasks", {"title": "x"})
    assert (refused.status, refused.code) == (403, "insufficient_scope")


async def test_a_users_token_that_is_sent_along_is_no_matter(anybody: Api, alice: Api, client: Client) -> None:
    assert (await _ask(anybody, client.form, Authorization=f"Bearer {alice.token}")).status == 200


async def test_a_parameter_that_is_unknown_or_empty_is_as_none(anybody: Api, client: Client) -> None:
    # RFC 6749, section 3.2.
    for form in ({"scope": ""}, {"audience": "\0"}, {"client_id": "", "client_secret": ""}):
        assert (await _ask(anybody, form, **client.basic)).status == 200
    same_id = await _ask(anybody, {"client_id": client.id}, **client.basic)
    assert same_id.status == 200


async def test_the_parts_of_basic_are_encoded_as_in_a_form(anybody: Api, client: Client) -> None:
    escaped = "".join(f"%{ord(sign):02X}" for sign in client.secret)
    assert (await _ask(anybody, {}, **basic(quote_plus(client.id), escaped))).status == 200
    assert (await _ask(anybody, {}, Authorization="bAsIc  " + client.basic["Authorization"][6:])).status == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type", "invalid_request"),
        ("scope=tasks:read", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=tasks:read&scope=tasks:read", "invalid_request"),
        ("grant_type=client_credentials&scope=%FF", "invalid_request"),
        ("grant_type=client_credentials&scope=%00", "invalid_request"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=CLIENT_CREDENTIALS", "unsupported_grant_type"),
        ("grant_type=client_credentials+", "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=x", "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=tasks:write", "invalid_scope"),
        ("grant_type=client_credentials&scope=tasks:read+tasks:write", "invalid_scope"),
        ("grant_type=client_credentials&scope=tasks:read++tasks:read", "invalid_scope"),
        ("grant_type=client_credentials&scope=+", "invalid_scope"),
        ("grant_type=client_credentials&scope=tasks:read%0A", "invalid_scope"),
        ("grant_type=client_credentials&scope=TASKS:READ", "invalid_scope"),
        ("grant_type=client_credentials&scope=openid", "invalid_scope"),
    ],
)
async def test_what_is_unclear_or_not_to_be_had_is_400(anybody: Api, reader: Client, body: str, error: str) -> None:
    answer = await anybody.post(PATH, data=body, headers={"Content-Type": FORM, **reader.basic})
    _assert_error(answer, 400, error)


async def test_one_way_to_authenticate_is_enough(service: Service, anybody: Api, client: Client) -> None:
    for form in (client.form, {"client_secret": client.secret}, {"client_id": str(uuid4())}):
        _assert_error(await _ask(anybody, form, **client.basic), 400, "invalid_request")
    body = b"grant_type=client_credentials"
    lines = f"Authorization: {client.basic['Authorization']}\r\n".encode() * 2
    start = head("POST", PATH, Content_Type=FORM, Content_Length=str(len(body)))
    async with wire(service) as connection:
        await connection.send(start.removesuffix(b"\r\n") + lines + b"\r\n" + body)
        _assert_error(await connection.answer(), 400, "invalid_request")


async def test_who_is_no_client_is_401_and_learns_nothing_more(
    anybody: Api, alice: Api, client: Client, reader: Client
) -> None:
    wrong = [
        ({}, {}),
        ({"client_id": client.id}, {}),
        ({"client_secret": client.secret}, {}),
        (client.form | {"client_secret": reader.secret}, {}),
        (client.form | {"client_secret": client.secret[:-1]}, {}),
        (client.form | {"client_secret": client.secret + " "}, {}),
        (client.form | {"client_id": str(uuid4())}, {}),
        (client.form | {"client_id": alice.user_id or ""}, {}),
        (client.form | {"client_id": "no-uuid"}, {}),
        (client.form | {"client_id": "' OR true --"}, {}),
        ({}, basic(client.id, reader.secret)),
        ({}, basic(client.id, "")),
        ({}, basic("", client.secret)),
        ({}, basic("caf\xe9", "%FF")),
        ({}, {"Authorization": "Basic"}),
        ({}, {"Authorization": "Basic !"}),
        ({}, {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()}),
        ({}, {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}),
        ({}, {"Authorization": f"Bearer {alice.token}"}),
        ({}, {"Authorization": "Digest username=x"}),
        ({}, {"Authorization": ""}),
    ]
    answers = [await _ask(anybody, form, **headers) for form, headers in wrong]
    for answer in answers:
        _assert_error(answer, 401, "invalid_client")
    assert len({answer.text for answer in answers}) == 1


async def test_what_is_no_form_is_refused_as_elsewhere(anybody: Api, client: Client, settings: Settings) -> None:
    for media_type in ("application/json", "text/plain", "multipart/form-data", f"{FORM}; charset=latin-1"):
        answer = await anybody.post(PATH, data=b"{}", headers={"Content-Type": media_type, **client.basic})
        assert (answer.status, answer.code, answer.headers["Accept-Post"]) == (415, "unsupported_media_type", FORM)
    large = await _ask(anybody, {"x": "y" * settings.max_body_bytes}, **client.basic)
    assert (large.status, large.code) == (413, "payload_too_large")
    got = await anybody.get(PATH)
    assert (got.status, got.headers["Allow"]) == (405, "OPTIONS,POST")


HOSTILE = {
    "nothing but &": b"&" * 60_000,
    "nothing but =": b"=" * 60_000,
    "60,000 parameters": b"a&" * 30_000,
    "30,000 scopes": b"grant_type=client_credentials&scope=" + b"a+" * 15_000,
    "a long secret": b"grant_type=client_credentials&client_id=%b&client_secret=" + b"x" * 60_000,
    "a long id": b"grant_type=client_credentials&client_secret=x&client_id=" + b"1" * 60_000,
    "a NUL in the id": b"grant_type=client_credentials&client_secret=x&client_id=%%00%b",
    "a NUL in the secret": b"grant_type=client_credentials&client_secret=%%00&client_id=%b",
    "a raw NUL": b"grant_type=client_credentials&client_secret=\0&client_id=%b",
    "bad UTF-8 in the secret": b"grant_type=client_credentials&client_secret=%%FF&client_id=%b",
    "raw bad UTF-8": b"grant_type=client_credentials&client_secret=\xff&client_id=%b",
    "bad UTF-8 in a name": b"%%FF=1&\xff=2&%%00&grant_type=client_credentials&client_id=%b",
    "a surrogate": b"grant_type=client_credentials&client_secret=%%ED%%A0%%80&client_id=%b",
    "no escape": b"grant_type=client_credentials&client_secret=%%zz%%&client_id=%b",
    "an emoji": "grant_type=client_credentials&client_secret=\U0001f331&client_id=%b".encode(),
    "digits of another script": b"grant_type=client_credentials&client_secret=x&client_id=" + "\u0661".encode() * 32,
    "a byte order mark": b"\xef\xbb\xbfgrant_type=client_credentials&client_id=%b",
    "JSON": b'{"grant_type": "client_credentials"}',
    "an array in the manner of PHP": b"grant_type[]=client_credentials",
    "another separator": b"grant_type=client_credentials;client_id=%b",
}
ODD_AUTHORIZATIONS = ["\xff", "Basic \xff", "Basic " + "A" * 5000, "Basic " + "=" * 100, "Basic OjpVVVVV", "  "]


async def test_no_hostile_form_is_a_500(service: Service, client: Client) -> None:
    cases: list[tuple[bytes, dict[str, str]]] = [
        (body.replace(b"%b", client.id.encode()).replace(b"%%", b"%"), {}) for body in HOSTILE.values()
    ]
    cases += [(body, client.basic) for body, _ in cases]
    cases += [(b"grant_type=client_credentials", {"Authorization": line}) for line in ODD_AUTHORIZATIONS]
    statuses: Counter[int] = Counter()
    for body, fields in cases:
        async with wire(service) as connection:
            start = head("POST", PATH, Content_Type=FORM, Content_Length=str(len(body)), **fields)
            answer = await (await connection.send(start + body)).answer()
        statuses[answer.status] += 1
        assert answer.status < 500, body[:80]
        assert answer.status == 200 or answer.body.keys() == ERROR_BODY or answer.code in KINDS
    print(f"forms {statuses.total()}, 5xx = 0, by status {dict(sorted(statuses.items()))}")  # noqa: T201 -- the guarantee's figure
    assert {200, 400, 401} <= statuses.keys()


async def test_a_token_costs_one_statement_and_using_it_none_more(
    settings: Settings,
    shared_dsn: Dsn,
    client: Client,
    alice: Api,
) -> None:
    settings = replace(settings, debug=True, pool_size=1, pool_max_overflow=0)
    async with started(settings, shared_dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        await _ask(api, {}, **client.basic)  # a connection learns the types of a statement once
        with capture_logs() as events:
            token = (await _ask(api, {}, **client.basic)).body["access_token"]
            await asyncio.sleep(0)  # asyncpg tells its query loggers in the loop's next turn
            task = await replace(api, token=token).post(f"/api/{alice.user_id}/tasks", {"title": "x"})
            await asyncio.sleep(0)
    assert task.status == 201
    statements = [event["name"] for event in events if event["event"] == "statement" and event["name"] != "session"]
    assert statements == ["get_client_of_secret", "create_task"]
