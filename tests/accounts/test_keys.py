"""The public keys: what other services verify our tokens with, before, during and after a change of keys."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from service.dsn import Dsn
from service.keyring import SigningKey
from service.settings import Settings
from tests.conftest import PASSWORD, Api, started
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_PATH = "/.well-known/jwks.json"
_OLD = SigningKey.of(generate_private_key(65537, 2048), signs_from=1)
_NEW = SigningKey.of(Ed25519PrivateKey.generate(), signs_from=2)
_LOGIN = {"email": "alice@example.com", "password": PASSWORD}


@asynccontextmanager
async def _keyed(settings: Settings, dsn: Dsn, *keys: SigningKey, secret: str = "") -> AsyncIterator[Api]:
    """Run the service with these keys."""
    keyed = replace(settings, jwt_secret=secret, jwt_keys=keys)
    async with started(keyed, dsn) as service, aiohttp.ClientSession() as session:
        yield Api(session, service.url)


async def _token(api: Api) -> str:
    """Log in."""
    return str((await api.post("/api/auth/login", _LOGIN)).body["access_token"])


class _AnotherService:
    """A service that verifies our tokens with PyJWT alone, as its documentation shows it."""

    def __init__(self, url: str) -> None:
        self._keys = jwt.PyJWKClient(url + _PATH)

    async def verify(self, token: str) -> Any:
        """Return the claims."""
        key = await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)
        return jwt.decode(token, key, ["EdDSA", "RS256"], audience="task-service", issuer="task-service")


def _key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_a_service_with_a_secret_alone_shows_no_key(anybody: Api) -> None:
    answer = await anybody.get(_PATH)
    assert (answer.status, answer.body) == (200, {"keys": []})
    assert answer.headers["Cache-Control"] == "public, max-age=300"


async def test_every_key_is_shown_also_before_it_signs_and_never_its_private_half(settings: Settings, dsn: Dsn) -> None:
    future = replace(_NEW, signs_from=time.time() + 3600)
    async with _keyed(settings, dsn, _OLD, future, secret=settings.jwt_secret) as anybody:
        answer = await anybody.get(_PATH)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        rsa, okp = answer.body["keys"]
        assert (rsa["kid"], rsa["alg"], rsa.keys()) == (_OLD.id, "RS256", {"kty", "n", "e", "use", "alg", "kid"})
        assert (okp["kid"], okp["alg"], okp.keys()) == (_NEW.id, "EdDSA", {"kty", "crv", "x", "use", "alg", "kid"})
        assert {rsa["use"], okp["use"]} == {"sig"}
        await anybody.new_user(_LOGIN["email"])
        assert _key_of(await _token(anybody)) == _OLD.id


async def test_another_service_verifies_our_tokens_throughout_a_change_of_keys(
    settings: Settings, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    new = replace(_NEW, signs_from=now - 10)
    async with _keyed(settings, dsn, _OLD) as anybody:
        alice = await anybody.new_user(_LOGIN["email"])
        assert alice.token
        assert (await _AnotherService(anybody.url).verify(alice.token))["sub"] == alice.user_id
    async with _keyed(settings, dsn, _OLD, new) as anybody:
        another = _AnotherService(anybody.url)
        with monkeypatch.context() as earlier:
            earlier.setattr(time, "time", lambda: now - 20)
            before = await _token(anybody)
            assert (await another.verify(before))["sub"] == alice.user_id
        after = await _token(anybody)
        assert (_key_of(before), _key_of(after)) == (_OLD.id, new.id)
        for token in (alice.token, before, after):
            assert (await replace(anybody, token=token).get("/api/users/me")).status == 200
    # It has known the new key since before it signed; ours is not even there to be asked any more.
    assert (await another.verify(after))["sub"] == alice.user_id
    async with _keyed(settings, dsn, new) as anybody:
        without_the_old = _AnotherService(anybody.url)
        assert (await without_the_old.verify(after))["sub"] == alice.user_id
        with pytest.raises(jwt.PyJWKClientError):
            await without_the_old.verify(before)
        assert (await replace(anybody, token=before).get("/api/users/me")).status == 401
        forged = jwt.encode({"sub": str(uuid4())}, Ed25519PrivateKey.generate(), "EdDSA", {"kid": new.id})
        with pytest.raises(jwt.InvalidSignatureError):
            await without_the_old.verify(forged)


async def test_keys_take_over_from_a_secret_and_nobody_is_logged_out(settings: Settings, dsn: Dsn) -> None:
    async with _keyed(settings, dsn, secret=settings.jwt_secret) as anybody:
        alice = await anybody.new_user(_LOGIN["email"])
        assert alice.token
    async with _keyed(settings, dsn, _NEW, secret=settings.jwt_secret) as anybody:
        assert (await replace(anybody, token=alice.token).get("/api/users/me")).status == 200
        token = await _token(anybody)
        assert _key_of(token) == _NEW.id
    async with _keyed(settings, dsn, _NEW) as anybody:
        assert (await replace(anybody, token=token).get("/api/users/me")).status == 200
        assert (await replace(anybody, token=alice.token).get("/api/users/me")).status == 401
