"""Access tokens: whose token it is, and every way in which one that is not ours is refused."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.accounts import tokens
from service.accounts.tokens import InvalidToken, Tokens
from service.http.identity import is_public
from service.settings import Settings
from tests.conftest import Api, Service

_SECRET = "a-secret-that-is-only-for-the-tests-0123456789"
_ISSUED = Tokens(_SECRET, "task-service", "task-service", ttl=900)
_HEADER = jwt.get_unverified_header(_ISSUED.issue(uuid4()))
_CHALLENGE = 'Bearer error="invalid_token"'

_PATH_VALUES = {"id": str(uuid4()), "user_id": str(uuid4())}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(user_id: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "task-service",
        "aud": "task-service",
        "sub": user_id,
        "iat": now,
        "exp": now + 900,
        "jti": str(uuid4()),
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _signed(claims: dict[str, Any], *, key: str = _SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers={"typ": _HEADER["typ"], "kid": _HEADER["kid"], **headers})


def _unsigned(user_id: str, algorithm: str, signature: str = "") -> str:
    header = {**_HEADER, "alg": algorithm}
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(_claims(user_id)).encode())}.{signature}"


def _resigned(user_id: str, **header: Any) -> str:
    """Sign with HMAC-SHA-256 whatever the header says."""
    return _hmac_signed({**_HEADER, **header}, json.dumps(_claims(user_id)))


def _hmac_signed(header: dict[str, Any], payload: str) -> str:
    body = f"{_b64(json.dumps(header).encode())}.{_b64(payload.encode())}"
    return f"{body}.{_b64(hmac.digest(_SECRET.encode(), body.encode(), 'sha256'))}"


_MUTATIONS: dict[str, Callable[[str], str]] = {
    "alg none": lambda user: _unsigned(user, "none"),
    "alg NONE": lambda user: _unsigned(user, "NONE"),
    "alg none with a signature": lambda user: _unsigned(user, "none", _b64(b"x" * 32)),
    "no signature": lambda user: _unsigned(user, "HS256"),
    "HS384 with our key": lambda user: _signed(_claims(user), algorithm="HS384"),
    "HS512 with our key": lambda user: _signed(_claims(user), algorithm="HS512"),
    "says RS256, signed by HMAC": lambda user: _resigned(user, alg="RS256"),
    "says HS384, signed by HS256": lambda user: _resigned(user, alg="HS384"),
    "another key": lambda user: _signed(_claims(user), key="another-key-" + "k" * 32),
    "an empty key": lambda user: _resigned(user)[:-8] + "AAAAAAAA",
    "no exp": lambda user: _signed(_claims(user, exp=None)),
    "no iat": lambda user: _signed(_claims(user, iat=None)),
    "no jti": lambda user: _signed(_claims(user, jti=None)),
    "no sub": lambda user: _signed(_claims(user, sub=None)),
    "no iss": lambda user: _signed(_claims(user, iss=None)),
    "no aud": lambda user: _signed(_claims(user, aud=None)),
    "another iss": lambda user: _signed(_claims(user, iss="somebody")),
    "another aud": lambda user: _signed(_claims(user, aud="another-service")),
    "typ JWT": lambda user: _signed(_claims(user), typ="JWT"),
    "no typ": lambda user: _signed(_claims(user), typ=None),
    "another kid": lambda user: _signed(_claims(user), kid="another"),
    "no kid": lambda user: jwt.encode(_claims(user), _SECRET, "HS256", headers={"typ": _HEADER["typ"]}),
    "expired": lambda user: _signed(_claims(user, exp=int(time.time()) - 1)),
    "expires now": lambda user: _signed(_claims(user, exp=int(time.time()))),
    "exp that is no number": lambda user: _signed(_claims(user, exp="never")),
    "not yet valid": lambda user: _signed(_claims(user, nbf=int(time.time()) + 60)),
    "issued in the future": lambda user: _signed(_claims(user, iat=int(time.time()) + 600)),
    "sub that is no UUID": lambda _user: _signed(_claims("alice")),
    "sub that is empty": lambda _user: _signed(_claims("")),
    "sub that is a number": lambda user: _hmac_signed(_HEADER, json.dumps({**_claims(user), "sub": 7})),
    "payload that is a list": lambda _user: _hmac_signed(_HEADER, "[1]"),
    "payload that is no JSON": lambda _user: _hmac_signed(_HEADER, "{"),
    "truncated": lambda user: _ISSUED.issue(UUID(user))[:-1],
    "a character more": lambda user: _ISSUED.issue(UUID(user)) + "A",
    "two tokens in one": lambda user: f"{_ISSUED.issue(UUID(user))} {_ISSUED.issue(UUID(user))}",
    "a header alone": lambda user: _ISSUED.issue(UUID(user)).partition(".")[0],
    "one part too many": lambda user: _ISSUED.issue(UUID(user)) + ".x",
    "empty": lambda _user: "",
    "dots": lambda _user: "..",
    "garbage": lambda _user: "%00~!$&",
    "not ASCII": lambda _user: "ü" * 20,
    "long": lambda _user: "A" * 4000,
}


async def test_me_is_who_the_token_was_issued_to(alice: Api, bob: Api) -> None:
    for user, email in ((alice, "alice@example.com"), (bob, "bob@example.com")):
        answer = await user.get("/api/users/me")
        assert answer.status == 200
        assert answer.body.keys() == {"id", "email", "created_at", "updated_at"}
        assert (answer.body["id"], answer.body["email"]) == (user.user_id, email)


async def test_a_token_says_what_it_must_and_no_more(alice: Api, settings: Settings) -> None:
    assert alice.token
    claims = jwt.decode(alice.token, options={"verify_signature": False})
    assert claims.keys() >= {"iss", "aud", "sub", "iat", "exp", "jti"}
    assert claims["sub"] == alice.user_id
    assert claims["exp"] - claims["iat"] == settings.access_token_ttl
    assert jwt.get_unverified_header(alice.token) == {"alg": "HS256", "typ": "at+jwt", "kid": _HEADER["kid"]}
    assert "alice@example.com" not in str(claims)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of the attacker's choice
async def test_every_token_that_is_not_ours_is_refused(alice: Api, anybody: Api) -> None:
    user = alice.user_id
    assert user
    # Before the mutations: what they start from is accepted, so each is refused for its mutation alone.
    for good in (_signed(_claims(user)), _resigned(user), _ISSUED.issue(UUID(user))):
        assert (await anybody.get("/api/users/me", headers={"Authorization": f"Bearer {good}"})).status == 200
    for name, mutate in _MUTATIONS.items():
        for path in ("/api/users/me", "/api/tasks"):
            answer = await anybody.get(path, headers={"Authorization": f"Bearer {mutate(user)}"})
            assert (answer.status, answer.code) == (401, "invalid_token"), name
            assert answer.headers["WWW-Authenticate"] == _CHALLENGE, name
            assert "alice" not in answer.text, name
    print(f"{len(_MUTATIONS)} mutations on 2 routes, all 401")  # noqa: T201 -- the guarantee's figure


@given(
    st.text(max_size=200)
    | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}", fullmatch=True)
)
def test_no_text_but_ours_is_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        _ISSUED.verify(text)


@pytest.mark.parametrize("place", range(3))
def test_a_token_with_any_byte_changed_is_refused(place: int) -> None:
    parts = _ISSUED.issue(uuid4()).split(".")
    # The last character of a part carries bits that base64 ignores; any other counts.
    for index in range(len(parts[place]) - 1):
        changed = "A" if parts[place][index] != "A" else "B"
        mutated = parts[place][:index] + changed + parts[place][index + 1 :]
        with pytest.raises(InvalidToken):
            _ISSUED.verify(".".join([*parts[:place], mutated, *parts[place + 1 :]]))


async def test_another_scheme_is_no_token(anybody: Api) -> None:
    for value in ("Basic YWxpY2U6c2VjcmV0", "Token abc", "Negotiate", "", "Digest username=alice"):
        answer = await anybody.get("/api/users/me", headers={"Authorization": value})
        assert (answer.status, answer.code) == (401, "unauthenticated"), value
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_scheme_is_read_without_regard_to_case(alice: Api, anybody: Api) -> None:
    for scheme in ("bearer", "BEARER", "Bearer "):
        answer = await anybody.get("/api/users/me", headers={"Authorization": f"{scheme} {alice.token}"})
        assert answer.status == 200, scheme


async def test_two_authorization_lines_are_refused(alice: Api) -> None:
    value = f"Bearer {alice.token}"
    async with alice.session.get(
        f"{alice.url}/api/users/me", headers=[("Authorization", value), ("Authorization", value)]
    ) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == _CHALLENGE
        assert (await response.json(content_type=None))["code"] == "invalid_token"


async def test_a_token_in_the_query_counts_for_nothing(alice: Api, anybody: Api) -> None:
    for query in (f"access_token={alice.token}", f"token={alice.token}", f"authorization=Bearer%20{alice.token}"):
        answer = await anybody.get(f"/api/users/me?{query}")
        assert (answer.status, answer.code) == (401, "unauthenticated"), query


def test_a_token_that_is_remembered_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    issued = Tokens(_SECRET, "task-service", "task-service", ttl=60)
    user = uuid4()
    token = issued.issue(user)
    assert issued.verify(token).user_id == issued.verify(token).user_id == user
    # PyJWT reads the clock in its own way, so what is asked is whether the memory still answers instead of it.
    monkeypatch.setattr(issued, "_check", _refuse)
    assert issued.verify(token).user_id == user
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(InvalidToken):
        issued.verify(token)


def _refuse(_token: str) -> None:
    raise InvalidToken("asked again")


def test_a_token_of_a_second_ends_after_it() -> None:
    issued = Tokens(_SECRET, "task-service", "task-service", ttl=1)
    token = issued.issue(uuid4())
    issued.verify(token)
    expires_at = jwt.decode(token, options={"verify_signature": False})["exp"]
    while time.time() < expires_at:
        time.sleep(0.01)  # the clock itself is what is waited for
    with pytest.raises(InvalidToken):
        issued.verify(token)


def test_what_is_remembered_is_bounded_and_forgetting_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_REMEMBERED", 3)
    issued = Tokens(_SECRET, "task-service", "task-service", ttl=60)
    users = [uuid4() for _ in range(10)]
    given = [issued.issue(user) for user in users]
    for _ in range(2):
        assert [issued.verify(token).user_id for token in given] == users
        assert len(issued._remembered) == 3  # noqa: SLF001 -- memory has no other sign


async def test_a_deleted_user_has_no_token(alice: Api, connection: asyncpg.Connection) -> None:
    assert (await alice.get("/api/users/me")).status == 200
    await connection.execute("DELETE FROM users")
    answers = [await alice.get("/api/users/me"), await alice.post("/api/tasks", {"title": "t"})]
    for answer in answers:
        assert (answer.status, answer.code) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"] == _CHALLENGE


async def test_every_route_that_is_not_public_refuses_an_anonymous_caller(service: Service, anybody: Api) -> None:
    refused = []
    for route in service.app.router.routes():
        if is_public(route.handler) or route.method == "*" or route.resource is None:
            continue
        path = route.resource.canonical.format_map(_PATH_VALUES)
        answer = await anybody.send(route.method, path)
        assert answer.status == 401, f"{route.method} {path}"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        if route.method != "HEAD":
            assert answer.code == "unauthenticated"
        refused.append(f"{route.method} {path}")
    print(f"{len(refused)} routes refuse an anonymous caller")  # noqa: T201 -- the guarantee's figure
    assert {"GET /api/users/me", "GET /api/tasks", "POST /api/tasks", "GET /api/task-statuses"} <= set(refused)


async def test_nothing_of_the_api_is_public_but_registering_and_logging_in(service: Service) -> None:
    public = {
        (route.method, route.resource.canonical)
        for route in service.app.router.routes()
        if is_public(route.handler) and route.resource is not None and route.resource.canonical.startswith("/api/")
    }
    assert public == {("POST", "/api/auth/register"), ("POST", "/api/auth/login")}
