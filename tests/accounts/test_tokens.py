"""Access tokens: whose token it is, and every way in which one that is not ours is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from service.accounts import tokens
from service.accounts.tokens import InvalidToken, Tokens
from service.dsn import Dsn
from service.http.identity import Caller
from service.keyring import SigningKey
from service.settings import Settings
from tests.conftest import JWT_SECRET, Api, StartService
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_ED25519 = SigningKey.of(Ed25519PrivateKey.generate(), signs_from=2)
_RSA = SigningKey.of(generate_private_key(65537, 2048), signs_from=1)
_STRANGE_ED25519 = SigningKey.of(Ed25519PrivateKey.generate(), signs_from=2)
_STRANGE_RSA = SigningKey.of(generate_private_key(65537, 2048), signs_from=1)


def _tokens(secret: str, *keys: SigningKey, ttl: int = 900) -> Tokens:
    return Tokens(secret, keys, "task-service", "task-service", ttl=ttl)


_ISSUED = _tokens(JWT_SECRET)
_HEADER = jwt.get_unverified_header(_ISSUED.issue(uuid4(), uuid4()))
_CHALLENGE = 'Bearer error="invalid_token"'


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(user_id: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "task-service",
        "aud": "task-service",
        "sub": user_id,
        "sid": str(uuid4()),
        "iat": now,
        "exp": now + 900,
        "jti": str(uuid4()),
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _client_claims(client_id: str, /, **changes: Any) -> dict[str, Any]:
    return _claims(client_id, **{"sid": None, "client_id": client_id, "scope": "tasks:read", **changes})


def _signed(claims: dict[str, Any], *, key: Any = JWT_SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers={"typ": _HEADER["typ"], "kid": _HEADER["kid"], **headers})


def _unsigned(user_id: str, algorithm: str, signature: str = "") -> str:
    header = {**_HEADER, "alg": algorithm}
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(_claims(user_id)).encode())}.{signature}"


def _resigned(user_id: str, **header: Any) -> str:
    """Sign with HMAC-SHA-256 whatever the header says."""
    return _hmac_signed({**_HEADER, **header}, json.dumps(_claims(user_id)))


def _hmac_signed(header: dict[str, Any], payload: str, secret: bytes = JWT_SECRET.encode()) -> str:
    return _signed_by(lambda body: hmac.digest(secret, body, "sha256"), header, payload)


def _signed_by(sign: Callable[[bytes], bytes], header: dict[str, Any], payload: str) -> str:
    body = f"{_b64(json.dumps(header).encode())}.{_b64(payload.encode())}"
    return f"{body}.{_b64(sign(body.encode()))}"


def _sign(key: SigningKey) -> Callable[[bytes], bytes]:
    """Sign as a key does, whatever the header will say."""
    private = key.private
    if isinstance(private, RSAPrivateKey):
        return lambda body: private.sign(body, PKCS1v15(), SHA256())
    return private.sign


def _by(key: SigningKey, user_id: str, *, without: str = "", **header: Any) -> str:
    """A token that is signed by a key, and whose header says so but for these changes."""
    said = {"alg": key.algorithm, "kid": key.id, "typ": "at+jwt", **header}
    said.pop(without, None)
    return _signed_by(_sign(key), said, json.dumps(_claims(user_id)))


def _by_public_half(key: SigningKey, user_id: str, encoding: Encoding, form: PublicFormat) -> str:
    """A token whose HMAC is keyed with what everybody knows (RFC 8725, section 2.1)."""
    header = {"alg": "HS256", "kid": key.id, "typ": "at+jwt"}
    return _hmac_signed(header, json.dumps(_claims(user_id)), key.public.public_bytes(encoding, form))


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
    "no kid": lambda user: jwt.encode(_claims(user), JWT_SECRET, "HS256", headers={"typ": _HEADER["typ"]}),
    "expired": lambda user: _signed(_claims(user, exp=int(time.time()) - 1)),
    "expires now": lambda user: _signed(_claims(user, exp=int(time.time()))),
    "exp that is no number": lambda user: _signed(_claims(user, exp="never")),
    "not yet valid": lambda user: _signed(_claims(user, nbf=int(time.time()) + 60)),
    "issued in the future": lambda user: _signed(_claims(user, iat=int(time.time()) + 600)),
    "sub that is no UUID": lambda _user: _signed(_claims("alice")),
    "sub that is empty": lambda _user: _signed(_claims("")),
    "exp in digits": lambda user: _signed(_claims(user, exp=str(int(time.time()) + 900))),
    "exp with a fraction": lambda user: _signed(_claims(user, exp=time.time() + 900)),
    "exp beyond any number": lambda user: _hmac_signed(
        _HEADER, json.dumps(_claims(user)).replace('"exp": ', '"exp": 1e999, "ext": ')
    ),
    "iat in digits": lambda user: _signed(_claims(user, iat=str(int(time.time())))),
    "iat that is no number": lambda user: _signed(_claims(user, iat="now")),
    "jti that is a number": lambda user: _signed(_claims(user, jti=7)),
    "aud that is a list": lambda user: _signed(_claims(user, aud=["task-service"])),
    "aud that is ours among others": lambda user: _signed(_claims(user, aud=["task-service", "another-service"])),
    "no sid": lambda user: _signed(_claims(user, sid=None)),
    "sid that is null": lambda user: _hmac_signed(_HEADER, json.dumps({**_claims(user), "sid": None})),
    "sid that is no UUID": lambda user: _signed(_claims(user, sid="alice")),
    "sid that is a number": lambda user: _signed(_claims(user, sid=7)),
    "sid that is a list": lambda user: _signed(_claims(user, sid=[user])),
    "a user with a scope": lambda user: _signed(_claims(user, scope="tasks:read")),
    "a user with a client_id": lambda user: _signed(_claims(user, client_id=user)),
    "a client with a sid": lambda user: _signed(_client_claims(user, sid=str(uuid4()))),
    "a client without a scope": lambda user: _signed(_client_claims(user, scope=None)),
    "a client without its id": lambda user: _signed(_client_claims(user, client_id=None)),
    "a client that is not the subject": lambda user: _signed(_client_claims(user, client_id=str(uuid4()))),
    "a client whose id is a list": lambda user: _signed(_client_claims(user, client_id=[user])),
    "a scope that is a list": lambda user: _signed(_client_claims(user, scope=["tasks:read"])),
    "a scope that is a number": lambda user: _signed(_client_claims(user, scope=7)),
    "kid that is a number": lambda user: _resigned(user, kid=7),
    "kid that is a list": lambda user: _resigned(user, kid=[_HEADER["kid"]]),
    "kid that is null": lambda user: _resigned(user, kid=None),
    "a critical extension": lambda user: _resigned(user, crit=["exp"], exp=1),
    "b64 that is critical": lambda user: _resigned(user, crit=["b64"], b64=True),
    "a payload outside": lambda user: _resigned(user, crit=["b64"], b64=False),
    "compressed": lambda user: _resigned(user, zip="DEF"),
    "header that is a list": lambda user: f"{_b64(b'[1]')}.{_resigned(user).partition('.')[2]}",
    "deep header": lambda user: f"{_b64(b'[' * 4000)}.{_resigned(user).partition('.')[2]}",
    "sub that is a number": lambda user: _hmac_signed(_HEADER, json.dumps({**_claims(user), "sub": 7})),
    "payload that is a list": lambda _user: _hmac_signed(_HEADER, "[1]"),
    "payload that is no JSON": lambda _user: _hmac_signed(_HEADER, "{"),
    "truncated": lambda user: _ISSUED.issue(UUID(user), uuid4())[:-1],
    "a character more": lambda user: _ISSUED.issue(UUID(user), uuid4()) + "A",
    "two tokens in one": lambda user: f"{_ISSUED.issue(UUID(user), uuid4())} {_ISSUED.issue(UUID(user), uuid4())}",
    "a header alone": lambda user: _ISSUED.issue(UUID(user), uuid4()).partition(".")[0],
    "one part too many": lambda user: _ISSUED.issue(UUID(user), uuid4()) + ".x",
    "empty": lambda _user: "",
    "dots": lambda _user: "..",
    "garbage": lambda _user: "%00~!$&",
    "not ASCII": lambda _user: "ü" * 20,
    "long": lambda _user: "A" * 4000,
}

# On an instance with an Ed25519 key that signs, an RSA key that does not, and no secret.
_KEY_MUTATIONS: dict[str, Callable[[str], str]] = {
    "HS256 with the secret that it does not have": _resigned,
    "HS256 with the secret, by the id of a key": lambda user: _resigned(user, kid=_RSA.id),
    "HMAC with the public RSA key in PEM": lambda user: _by_public_half(
        _RSA, user, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ),
    "HMAC with the public RSA key in DER": lambda user: _by_public_half(
        _RSA, user, Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ),
    "HMAC with the public RSA key in PKCS #1": lambda user: _by_public_half(
        _RSA, user, Encoding.PEM, PublicFormat.PKCS1
    ),
    "HMAC with the public Ed25519 key in PEM": lambda user: _by_public_half(
        _ED25519, user, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ),
    "HMAC with the public Ed25519 key's bytes": lambda user: _by_public_half(
        _ED25519, user, Encoding.Raw, PublicFormat.Raw
    ),
    "HMAC with the id of the key": lambda user: _hmac_signed(
        {"alg": "HS256", "kid": _ED25519.id, "typ": "at+jwt"}, json.dumps(_claims(user)), _ED25519.id.encode()
    ),
    "HMAC with nothing": lambda user: _hmac_signed(
        {"alg": "HS256", "kid": _ED25519.id, "typ": "at+jwt"}, json.dumps(_claims(user)), b""
    ),
    "HMAC with nothing, by the id of nothing": lambda user: _hmac_signed(
        {"alg": "HS256", "kid": _b64(hashlib.sha256(b"kid:").digest()[:9]), "typ": "at+jwt"},
        json.dumps(_claims(user)),
        b"",
    ),
    "Ed25519 key of another instance": lambda user: _by(_STRANGE_ED25519, user),
    "RSA key of another instance": lambda user: _by(_STRANGE_RSA, user),
    "Ed25519 key of another instance, by our id": lambda user: _by(_STRANGE_ED25519, user, kid=_ED25519.id),
    "RSA key of another instance, by our id": lambda user: _by(_STRANGE_RSA, user, kid=_RSA.id),
    "RSA, by the id of the Ed25519 key": lambda user: _by(_RSA, user, kid=_ED25519.id),
    "Ed25519, by the id of the RSA key": lambda user: _by(_ED25519, user, kid=_RSA.id),
    "RSA that says EdDSA": lambda user: _by(_RSA, user, alg="EdDSA"),
    "RSA that says EdDSA, by the id of the Ed25519 key": lambda user: _by(_RSA, user, alg="EdDSA", kid=_ED25519.id),
    "Ed25519 that says RS256": lambda user: _by(_ED25519, user, alg="RS256"),
    "Ed25519 that says RS256, by the id of the RSA key": lambda user: _by(_ED25519, user, alg="RS256", kid=_RSA.id),
    "Ed25519 by its other name": lambda user: _by(_ED25519, user, alg="Ed25519"),
    "lower case": lambda user: _by(_ED25519, user, alg="eddsa"),
    "says RS512": lambda user: _by(_RSA, user, alg="RS512"),
    "RS512 by our key": lambda user: _signed(_claims(user), key=_RSA.private, algorithm="RS512", kid=_RSA.id),
    "PS256 by our key": lambda user: _signed(_claims(user), key=_RSA.private, algorithm="PS256", kid=_RSA.id),
    "alg none by the id of a key": lambda user: _by(_ED25519, user, alg="none"),
    "alg none without a signature": lambda user: _by(_ED25519, user, alg="none").rpartition(".")[0] + ".",
    "no alg": lambda user: _by(_ED25519, user, without="alg"),
    "no signature": lambda user: _by(_ED25519, user).rpartition(".")[0] + ".",
    "no kid": lambda user: _by(_ED25519, user, without="kid"),
    "no typ": lambda user: _by(_ED25519, user, without="typ"),
    "typ JWT": lambda user: _by(_ED25519, user, typ="JWT"),
    "brings its key along": lambda user: _by(_STRANGE_ED25519, user, jwk=_STRANGE_ED25519.jwk),
    "brings its key along, by our id": lambda user: _by(
        _STRANGE_ED25519, user, kid=_ED25519.id, jwk=_STRANGE_ED25519.jwk
    ),
    "says where its key is": lambda user: _by(_STRANGE_RSA, user, jku="http://127.0.0.1:1/jwks.json"),
    "says where its certificate is": lambda user: _by(_STRANGE_RSA, user, x5u="http://127.0.0.1:1/cert.pem"),
    "brings a certificate along": lambda user: _by(_STRANGE_RSA, user, kid=_RSA.id, x5c=["AAAA"]),
    "our key, and where another is": lambda user: _by(_ED25519, user, jku="http://127.0.0.1:1/jwks.json"),
    "our key, and a critical extension": lambda user: _by(_ED25519, user, crit=["exp"], exp=1),
    "kid that is a path": lambda user: _by(_ED25519, user, kid="../../../../dev/null"),
    "kid that is SQL": lambda user: _by(_ED25519, user, kid="' OR 1=1 --"),
    "kid that is long": lambda user: _by(_ED25519, user, kid=_ED25519.id * 50),
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
    assert claims.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}
    assert claims["sub"] == alice.user_id
    assert claims["exp"] - claims["iat"] == settings.access_token_ttl
    assert jwt.get_unverified_header(alice.token) == {"alg": "HS256", "typ": "at+jwt", "kid": _HEADER["kid"]}
    assert "alice@example.com" not in str(claims)


def test_a_clients_token_says_its_scopes_and_names_no_session() -> None:
    client = uuid4()
    token = _ISSUED.issue_to_client(client, {"tasks:write", "tasks:read"})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "aud", "sub", "client_id", "scope", "iat", "exp", "jti"}
    assert claims["sub"] == claims["client_id"] == str(client)
    assert claims["scope"] == "tasks:read tasks:write"
    assert _ISSUED.verify(token) == Caller(client, scopes=frozenset({"tasks:read", "tasks:write"}))
    user, session = uuid4(), uuid4()
    assert _ISSUED.verify(_ISSUED.issue(user, session)) == Caller(user, session_id=session)


async def _all_refused(api: Api, mutations: dict[str, Callable[[str], str]], user_id: str) -> None:
    for name, mutate in mutations.items():
        for path in ("/api/users/me", "/api/tasks"):
            answer = await api.get(path, headers={"Authorization": f"Bearer {mutate(user_id)}"})
            assert (answer.status, answer.code) == (401, "invalid_token"), name
            assert answer.headers["WWW-Authenticate"] == _CHALLENGE, name
            assert "alice" not in answer.text, name
    print(f"{len(mutations)} mutations on 2 routes, all 401")  # noqa: T201 -- the guarantee's figure


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of the attacker's choice
async def test_every_token_that_is_not_ours_is_refused(alice: Api, anybody: Api) -> None:
    user = alice.user_id
    assert user
    # Before the mutations: what they start from is accepted, so each is refused for its mutation alone.
    for good in (_signed(_claims(user)), _resigned(user), _ISSUED.issue(UUID(user), uuid4())):
        assert (await anybody.get("/api/users/me", headers={"Authorization": f"Bearer {good}"})).status == 200
    assert _ISSUED.verify(_signed(_client_claims(user))) == Caller(UUID(user), scopes=frozenset({"tasks:read"}))
    await _all_refused(anybody, _MUTATIONS, user)


async def test_every_token_that_is_not_of_one_of_our_keys_is_refused(
    settings: Settings, dsn: Dsn, start_service: StartService
) -> None:
    keyed = replace(settings, jwt_secret="", jwt_keys=(_RSA, _ED25519))
    anybody = await start_service(keyed, dsn)
    alice = await anybody.new_user("alice@example.com")
    user = alice.user_id
    assert user
    for good in (_by(_ED25519, user), _by(_RSA, user), alice.token):
        assert (await anybody.get("/api/users/me", headers={"Authorization": f"Bearer {good}"})).status == 200
    await _all_refused(anybody, _KEY_MUTATIONS, user)


@given(
    st.text(max_size=200)
    | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}", fullmatch=True)
)
def test_no_text_but_ours_is_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        _ISSUED.verify(text)


@pytest.mark.parametrize("place", range(3))
def test_a_token_with_any_byte_changed_is_refused(place: int) -> None:
    parts = _ISSUED.issue(uuid4(), uuid4()).split(".")
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
    issued = _tokens(JWT_SECRET, ttl=60)
    user = uuid4()
    token = issued.issue(user, uuid4())
    assert issued.verify(token).id == issued.verify(token).id == user
    # PyJWT reads the clock in its own way, so what is asked is whether the memory still answers instead of it.
    monkeypatch.setattr(issued, "_check", _refuse)
    assert issued.verify(token).id == user
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(InvalidToken):
        issued.verify(token)


def _refuse(_token: str) -> None:
    raise InvalidToken("asked again")


def test_a_token_of_a_second_ends_after_it() -> None:
    issued = _tokens(JWT_SECRET, ttl=1)
    token = issued.issue(uuid4(), uuid4())
    issued.verify(token)
    expires_at = jwt.decode(token, options={"verify_signature": False})["exp"]
    while time.time() < expires_at:
        time.sleep(0.01)  # the clock itself is what is waited for
    with pytest.raises(InvalidToken):
        issued.verify(token)


def test_what_is_remembered_is_bounded_and_forgetting_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_REMEMBERED", 3)
    issued = _tokens(JWT_SECRET, ttl=60)
    users = [uuid4() for _ in range(10)]
    given = [issued.issue(user, uuid4()) for user in users]
    for _ in range(2):
        assert [issued.verify(token).id for token in given] == users
        assert len(issued._remembered) == 3  # noqa: SLF001 -- memory has no other sign


def test_clocks_of_two_instances_may_differ_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 30)
        token = _ISSUED.issue(uuid4(), uuid4())
    assert _tokens(JWT_SECRET).verify(token)


def _key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_the_newest_key_signs_and_tokens_of_the_older_are_good_until_it_is_removed() -> None:
    user, session = uuid4(), uuid4()
    before, both, after = _tokens("", _RSA), _tokens("", _RSA, _ED25519), _tokens("", _ED25519)
    old, new = before.issue(user, session), both.issue(user, session)
    assert (_key_of(old), _key_of(new)) == (_RSA.id, _ED25519.id)
    for issued, token in ((before, old), (both, old), (both, new), (after, new)):
        assert issued.verify(token) == Caller(user, session)
    for issued, token in ((before, new), (after, old)):
        with pytest.raises(InvalidToken):
            issued.verify(token)


def test_a_key_from_the_future_is_known_and_does_not_sign_until_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    issued = _tokens("", _RSA, replace(_ED25519, signs_from=now - 10))
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: now - 11)
        before = issued.issue(uuid4(), uuid4())
        assert [key["kid"] for key in issued.public_keys] == [_RSA.id, _ED25519.id]
    after = issued.issue(uuid4(), uuid4())
    assert (_key_of(before), _key_of(after)) == (_RSA.id, _ED25519.id)
    assert issued.verify(before)
    assert issued.verify(after)


def test_until_the_time_of_the_first_key_the_secret_signs_and_without_one_that_key() -> None:
    first, second = (replace(key, signs_from=time.time() + wait) for key, wait in ((_RSA, 60), (_ED25519, 120)))
    by_secret, before = _tokens(JWT_SECRET), _tokens(JWT_SECRET, first, second)
    assert by_secret.verify(before.issue(uuid4(), uuid4()))
    assert _key_of(_tokens("", first, second).issue(uuid4(), uuid4())) == _RSA.id


def test_with_keys_the_secret_still_verifies_and_never_signs() -> None:
    user, session = uuid4(), uuid4()
    by_secret, both, by_keys = _tokens(JWT_SECRET), _tokens(JWT_SECRET, _ED25519), _tokens("", _ED25519)
    old = by_secret.issue(user, session)
    assert both.verify(old) == Caller(user, session)
    new = both.issue(user, session)
    assert jwt.get_unverified_header(new) == {"alg": "EdDSA", "typ": "at+jwt", "kid": _ED25519.id}
    assert both.verify(new) == by_keys.verify(new) == Caller(user, session)
    for issued, token in ((by_secret, new), (by_keys, old)):
        with pytest.raises(InvalidToken):
            issued.verify(token)
    with pytest.raises(InvalidToken):
        both.verify(_by_public_half(_ED25519, str(user), Encoding.Raw, PublicFormat.Raw))


async def test_a_deleted_user_has_no_token(alice: Api, connection: asyncpg.Connection) -> None:
    assert (await alice.get("/api/users/me")).status == 200
    await connection.execute("DELETE FROM users")
    answers = [await alice.get("/api/users/me"), await alice.post("/api/tasks", {"title": "t"})]
    for answer in answers:
        assert (answer.status, answer.code) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"] == _CHALLENGE
