"""Nothing secret is logged: tests/canary.py finds what it must, and the service gives it nothing to find."""

import io
import json
import logging
import os
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import bcrypt
import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.accounts.clients import create_client
from service.accounts.sessions import RefreshToken
from service.database import embedded
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.logs import writing
from service.settings import Settings
from tests.canary import MARK, SECRETS_OF_POSTGRESQL, findings
from tests.conftest import PASSWORD, Api, connected, started
from tests.http.raw import head, wire
from tests.sharing import on_one_postgresql

_JWT = jwt.encode({"sub": str(uuid4())}, "k" * 32, "HS256")
_REFRESH_TOKEN = str(RefreshToken.new(uuid4()))
_CLIENT_SECRET = "tsc_" + secrets.token_urlsafe(32)
_PEM = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
_BASIC = "Basic " + b64encode(b"a client:a secret").decode()

_KINDS = {
    "a marked secret": [MARK, f"{MARK}-secret", f"{MARK}-secret".upper(), PASSWORD, PASSWORD.title()],
    "a JSON Web Token": [_JWT],
    "a refresh token": [_REFRESH_TOKEN],
    "a client secret": [_CLIENT_SECRET],
    "a password hash": [bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode()],
    "a private key": [_PEM.splitlines()[0], _PEM.replace("\n", "\\n")],
    "a database password": [f"{scheme}://owner:password@db/tasks" for scheme in ("postgres", "postgresql+psycopg")],
    "credentials": [
        "Authorization: x",
        "'Authorization': 'token x'",
        "(b'authorization', b'x')",
        "Bearer 01234567",
        _BASIC,
    ],
}
_AROUND = [
    "{}",
    "before {} after",
    '{{"event":"request","path":"/api/{}","status":404}}',
    "{{'password': '{}'}}",
    "\x1b[1m{}\x1b[0m",
]
_INNOCENT = [
    '{"event":"request","method":"POST","path":"/api/auth/token","user_id":"0b0fcf8f-6b1b-4e6d-8f3c-0d7f3a3d6a52"}',
    'WWW-Authenticate: Bearer error="invalid_token", Basic realm="task-service"',
    "unauthenticated: no Authorization header, neither Basic nor Bearer",
    "The database at 127.0.0.1:5432/tasks cannot be used: postgresql://127.0.0.1:5432/tasks",
    "a password, a tsr_, a tsc_ and an eyJ",
]


@pytest.mark.parametrize("kind", _KINDS)
def test_a_secret_is_found_wherever_it_stands_and_is_not_shown(kind: str) -> None:
    for secret in _KINDS[kind]:
        for around in _AROUND:
            (finding,) = findings(f"nothing here\n{around.format(secret)}\nnor here\n")
            assert finding.startswith("line 2 holds ")
            assert kind in finding
            assert secret not in finding


def test_what_is_no_secret_is_not_taken_for_one() -> None:
    assert findings("\n".join(_INNOCENT)) == []


_PLANTED = f"""
import io
import logging
from pathlib import Path

import pytest
import structlog

from service.logs import log_request, writing
from tests.canary import search_file

SECRET = "{MARK}" + "-planted"

def test_of_structlog():
    structlog.get_logger().debug("logged in", password=SECRET)

def test_of_a_library():
    logging.getLogger("library").debug("logged in with %s", SECRET)

def test_of_the_writer():
    with writing("info", "json", io.StringIO()):
        structlog.get_logger().info("logged in", password=SECRET)

def test_of_a_request():
    with writing("info", "json", io.StringIO()):
        log_request({{"path": SECRET}})

def test_of_an_exception(capsys):
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("failed")

@pytest.fixture
def careless():
    yield
    print(SECRET)

def test_of_a_fixture(careless):
    pass

def test_of_a_file(tmp_path):
    file = tmp_path / "stderr"
    file.write_text("started\\n" + SECRET)
    search_file(file)
"""
_INNOCENT_TESTS = """
import structlog

def test_of_a_password_that_is_only_held():
    password = "correct horse battery staple"
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("failed")
"""


def _run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a process and a folder of their own, with no plugin but this one and those that are named."""
    (folder / "test_planted.py").write_text(tests)
    (folder / "pytest.ini").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.canary", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "workers"])
def test_a_run_in_which_a_secret_is_logged_fails_and_names_the_test(options: tuple[str, ...], tmp_path: Path) -> None:
    names = [line[4:].partition("(")[0] for line in _PLANTED.splitlines() if line.startswith("def test_")]
    run = _run(tmp_path, _PLANTED, *options)
    assert f"{len(names)} passed" in run.stdout, run.stdout + run.stderr
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    for name in names:
        assert f"test_planted.py::{name}, " in run.stdout, name
    assert f"logs searched, hits = {len(names)}\n" in run.stdout
    assert MARK not in run.stdout


def test_a_run_in_which_no_secret_is_logged_passes_and_says_how_much_was_searched(tmp_path: Path) -> None:
    run = _run(tmp_path, _INNOCENT_TESTS)
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    assert "lines of 1 logs searched, hits = 0\n" in run.stdout


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """Have everything logged, as the service does; it is all there when the block has ended."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        with writing("debug", "json", stream):
            yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _events(stream: io.StringIO, name: str) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [event for event in events if event["event"] == name]


def test_a_token_is_cut_out_of_whatever_is_logged_and_leaves_json() -> None:
    places = ["/{}", "/api/{}/tasks?x", "{}", "a {}.", "token={}", '"{}"', "\ud800 {}"]
    values = [place.format(token) for place in places for token in (_JWT, _REFRESH_TOKEN, _CLIENT_SECRET)]
    # What looks like a token once it is escaped is none, and must not break the line.
    values += ["\tsr_" + "a" * 30, "\x0eyJa.eyJa.a"]
    with _logged() as stream:
        for value in values:
            structlog.get_logger().info("said", value=value)
    said = [event["value"] for event in _events(stream, "said")]
    assert len(said) == len(values)
    cut = [value for value in said if "[token]" in value]
    assert len(cut) == len(values) - 2
    assert not any(token in stream.getvalue() for token in (_REFRESH_TOKEN, _CLIENT_SECRET, f'"{_JWT}'))


_JSON = {"Content-Type": "application/json"}
_GRANT = {"grant_type": "client_credentials"}
_SENT_IN_HEADERS = (
    *("Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Request-Id", "traceparent", "tracestate"),
    *("Idempotency-Key", "If-Match", "If-None-Match", "Origin", "Referer", "User-Agent", "X-Forwarded-For", "Accept"),
    *("Content-Type", "Content-Encoding", "Expect", "Range", "Host", "Upgrade"),
)


def _basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(name, secret)}


def _bodies(secret: str) -> list[tuple[str, dict[str, Any]]]:
    """Requests that a caller may send by mistake: a path, and options of aiohttp's client."""
    login = {"email": "nobody@example.com", "password": "a password"}
    return [
        ("/api/auth/register", {"json": {"email": secret, "password": secret}}),
        ("/api/auth/register", {"json": {**login, secret: secret}}),
        ("/api/auth/login", {"json": {**login, "email": secret}}),
        ("/api/auth/login", {"json": {**login, "password": secret}}),
        ("/api/auth/login", {"json": {"email": [secret], "password": {secret: secret}}}),
        ("/api/auth/login", {"json": secret}),
        ("/api/auth/login", {"data": f'{{"{secret}', "headers": _JSON}),
        ("/api/auth/login", {"data": secret}),
        ("/api/auth/refresh", {"json": {"refresh_token": f"{secret}x"}}),
        ("/api/auth/logout", {"json": {"refresh_token": f"{secret}x"}}),
        ("/api/auth/token", {"data": dict.fromkeys(("grant_type", "client_id", "client_secret", "scope"), secret)}),
        ("/api/auth/token", {"data": _GRANT, "headers": _basic("x", secret)}),
        ("/api/users/me/password", {"json": {"current_password": secret, "new_password": secret[:4]}}),
        ("/api/tasks", {"json": {"title": secret, "status": secret}}),
        (f"/api/tasks?access_token={secret}&{secret}=1", {"json": {"title": secret}}),
    ]


def _heads(secret: str) -> list[bytes]:
    """Heads of requests that are not quite right."""
    authorizations = (
        "Bearer {} {}",
        "Bearer {}, Bearer {}",
        "bearer\t{}",
        "Bearer{}",
        "Token {}",
        "Basic {}",
        "{}",
        "",
    )
    return [
        *(head("GET", "/api/tasks", Authorization=line.format(secret, secret)) for line in authorizations),
        *(head("GET", "/api/tasks", **{name: secret}) for name in _SENT_IN_HEADERS),
        head("GET", "/api/tasks", Authorization=f"Bearer {secret}", authorization=f"Bearer {secret}"),
        head("GET", f"/api/tasks?cursor={secret}&limit={secret}&q={secret}&{secret}=1".replace(" ", "+")),
        head("GET", "/api/tasks", Authorization=f"Bearer \0{secret}"),
        head("GET", "/api/tasks", **{f"Authorization Bearer {secret} ": "x"}),
        head("GET", "/api/tasks", Authorization=f"Bearer {secret}" + "x" * 10_000),
        f"GET / HTTP/9.9\r\nAuthorization: Bearer {secret}\r\n\r\n".encode(),
        f"Authorization: Bearer {secret}\r\n\r\n".encode(),
    ]


def _paths(token: str) -> list[bytes]:
    """Requests with a token in the path, where a password cannot be told from any other word."""
    paths = (
        "/{}",
        "/api/{}/tasks",
        "/api/tasks/{}",
        "/api/{}/tasks/{}",
        "/api/auth/refresh/{}",
        "/docs/{}",
        "/problems/{}",
    )
    methods = ("GET", "HEAD", "PUT", "OPTIONS")
    return [head(method, path.format(token, token)) for path in paths for method in methods]


@on_one_postgresql
async def test_no_secret_is_logged_wherever_a_caller_puts_it(dsn: Dsn, settings: Settings) -> None:
    with _logged() as stream:
        async with started(replace(settings, debug=True), dsn) as service, aiohttp.ClientSession() as session:
            alice = await Api(session, service.url).new_user("alice@example.com")
            login = await alice.post("/api/auth/login", {"email": "alice@example.com", "password": PASSWORD})
            _, secret = await create_client(service.app[DATABASE], "reporting", ["tasks:read"])
            tokens = [login.body["access_token"], login.body["refresh_token"], secret]
            statuses = []
            for secret in (*tokens, f"{MARK} password", PASSWORD):
                for path, options in _bodies(secret):
                    statuses.append((await alice.send("POST", path, **options)).status)
                for request in _heads(secret) + (_paths(secret) if secret in tokens else []):
                    async with wire(service) as connection:
                        await connection.send(request)
                        has_body = not request.startswith(b"HEAD")
                        statuses.append((await connection.answer(with_body=has_body)).status)
    written = stream.getvalue()
    assert not [status for status in statuses if status >= 500]
    logged = len(_events(stream, "request")) + len(_events(stream, "bad request"))
    assert logged == 3 + len(statuses) - statuses.count(417)  # aiohttp's own, which nobody logs
    assert len(_events(stream, "statement")) > 20
    assert findings(written) == []
    assert "[token]" in written
    print(f"{len(statuses)} requests with secrets, {written.count(chr(10))} lines logged, hits = 0")  # noqa: T201 -- the figure


_BREAK = """
ALTER TABLE users ADD CONSTRAINT unheard_of CHECK (length(password_hash) < 8) NOT VALID;
ALTER TABLE sessions ADD CONSTRAINT unheard_of CHECK (length(token_hash) < 8) NOT VALID;
ALTER TABLE clients DROP COLUMN previous_secret_hash;
"""


@on_one_postgresql
async def test_a_bug_is_logged_without_the_values_that_it_met(dsn: Dsn, settings: Settings) -> None:
    login = {"email": "alice@example.com", "password": PASSWORD}
    with _logged() as stream:
        async with (
            started(settings, dsn) as service,
            connected(dsn) as connection,
            aiohttp.ClientSession() as session,
        ):
            alice = await Api(session, service.url).new_user("alice@example.com")
            pair = (await alice.post("/api/auth/login", login)).body
            client, secret = await create_client(service.app[DATABASE], "reporting", ["tasks:read"])
            await connection.execute(_BREAK)
            grant = {**_GRANT, "client_id": str(client["id"]), "client_secret": secret}
            change = {"current_password": PASSWORD, "new_password": f"{MARK} password"}
            answers = [
                await alice.post("/api/auth/register", {**login, "email": "bob@example.com"}),
                await alice.post("/api/auth/login", login),
                await alice.post("/api/auth/refresh", {"refresh_token": pair["refresh_token"]}),
                await alice.post("/api/auth/token", data=grant),
                await alice.post("/api/users/me/password", change),
            ]
    assert [(answer.status, answer.code) for answer in answers] == [(500, "internal_error")] * len(answers)
    bugs = [event["exception"] for event in _events(stream, "internal error")]
    assert len(bugs) == len(answers)
    handlers = ("register", "log_in", "refresh", "issue_token", "change_password")
    assert all(f"in {handler}" in bug for handler, bug in zip(handlers, bugs, strict=True))
    assert sum("unheard_of" in bug for bug in bugs) == len(bugs) - 1
    assert "Failing row" not in stream.getvalue()
    assert findings(stream.getvalue()) == []


@on_one_postgresql
async def test_postgresql_is_told_no_password_and_no_token(
    postgres: embedded.Server, dsn: Dsn, settings: Settings
) -> None:
    log = postgres.folder / "server.log"
    async with connected(dsn) as connection:
        await connection.execute(f"ALTER DATABASE {dsn.database} SET log_statement = 'all'")  # with every parameter
    before = log.stat().st_size
    async with started(settings, dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        alice = await api.new_user("alice@example.com")
        login = {"email": "alice@example.com", "password": PASSWORD}
        client, secret = await create_client(service.app[DATABASE], "reporting", ["tasks:read"])
        basic = _basic(str(client["id"]), secret)
        pair = (await alice.post("/api/auth/login", login)).body
        statuses = [
            (await alice.post("/api/auth/login", {**login, "email": PASSWORD})).status,
            (await alice.post("/api/auth/login", {**login, "password": f"{MARK} wrong"})).status,
            (await alice.post("/api/auth/refresh", {"refresh_token": pair["refresh_token"]})).status,
            (await alice.post("/api/auth/refresh", {"refresh_token": pair["refresh_token"]})).status,
            (await alice.post("/api/auth/token", data=_GRANT, headers=basic)).status,
            (await alice.post("/api/auth/logout", {"refresh_token": pair["refresh_token"]})).status,
            (await alice.delete("/api/users/me")).status,
        ]
    assert statuses == [401, 401, 200, 200, 200, 204, 204]
    with log.open() as file:
        file.seek(before)
        written = file.read()
    assert "INSERT /* create_user */" in written
    assert "$2b$" in written  # the parameters are there
    assert findings(written, SECRETS_OF_POSTGRESQL) == []
