"""Passwords: the common ones are refused, a hash of old is renewed, and one that cannot be read is nobody's."""

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from service import accounts
from service.accounts.passwords import Passwords, is_common
from service.dsn import Dsn
from service.settings import Settings
from tests.conftest import PASSWORD, Answer, Api, started
from tests.sharing import on_one_postgresql

_ALICE = "alice@example.com"
_VENDORED = Path(accounts.__file__).parent / "common_passwords"
_COMMON = [
    "password",
    "Password",
    "PASSWORD1",
    "12345678",
    "00000000",
    "iloveyou",
    "  qwertyuiop\t",
    "ｐａｓｓｗｏｒｄ",  # noqa: RUF001 -- full width is the point
]


@asynccontextmanager
async def _running(settings: Settings, dsn: Dsn, cost: int) -> AsyncIterator[Api]:
    """Run the service with a BCRYPT_COST and give a caller of it."""
    async with started(replace(settings, bcrypt_cost=cost), dsn) as service, aiohttp.ClientSession() as session:
        yield Api(session, service.url)


async def _log_in(api: Api, password: str = PASSWORD) -> Answer:
    return await api.post("/api/auth/login", {"email": _ALICE, "password": password})


async def _stored(connection: asyncpg.Connection) -> str:
    password_hash: str = await connection.fetchval("SELECT password_hash FROM users")
    return password_hash


def test_the_kept_list_is_in_the_form_that_passwords_are_compared_in_and_has_its_licence() -> None:
    kept = (_VENDORED / "common-passwords.txt").read_text(encoding="utf-8").splitlines()
    print(f"{len(kept)} common passwords")  # noqa: T201 -- the guarantee's figure
    assert len(kept) == len(set(kept)) > 8000
    assert all(unicodedata.normalize("NFKC", word).strip().casefold() == word and len(word) >= 8 for word in kept)
    assert all(map(is_common, kept))
    assert "Django Software Foundation" in (_VENDORED / "LICENSE").read_text()
    assert "BSD-3-Clause" in (_VENDORED / "README.md").read_text()


@on_one_postgresql
async def test_a_password_is_measured_in_the_form_in_which_it_counts(anybody: Api) -> None:
    """The one of 256 characters is sent in 1,024: the letter, two marks and the iota are one."""
    composed = "\u1f82" * 256
    sent = unicodedata.normalize("NFD", composed)
    assert len(sent) == 1024
    for password, status in ((sent + "a", 422), (composed + "a", 422), (sent, 201)):
        answer = await anybody.post("/api/auth/register", {"email": _ALICE, "password": password})
        assert answer.status == status, answer.text
        if status == 422:
            assert [(fault["pointer"], fault["code"]) for fault in answer.body["errors"]] == [("/password", "length")]
    for password, status in ((composed, 200), (sent, 200), (sent + "a", 401)):
        assert (await _log_in(anybody, password)).status == status


@on_one_postgresql
async def test_a_common_password_is_refused_by_name_and_not_repeated(anybody: Api, alice: Api) -> None:
    told = set()
    for password in _COMMON:
        registration = await anybody.post("/api/auth/register", {"email": "bob@example.com", "password": password})
        change = {"current_password": PASSWORD, "new_password": password}
        changed = await alice.post("/api/users/me/password", change)
        for answer, pointer in ((registration, "/password"), (changed, "/new_password")):
            assert (answer.status, answer.code) == (422, "validation_error"), repr(password)
            assert [(fault["pointer"], fault["code"]) for fault in answer.body["errors"]] == [(pointer, "common")]
            # The sentence is the same for all; some of them are words of it, or of a pointer.
            told.add(answer.body["errors"][0]["detail"])
    assert len(told) == 1
    for password in ("password of mine", "qwertyuiop qwertyuiop", "12345678 87654321"):
        change = {"current_password": PASSWORD, "new_password": password}
        assert (await alice.post("/api/users/me/password", change)).status == 204
        change = {"current_password": password, "new_password": PASSWORD}
        assert (await alice.post("/api/users/me/password", change)).status == 204


@on_one_postgresql
async def test_a_common_password_that_was_set_before_still_logs_in(
    alice: Api, anybody: Api, connection: asyncpg.Connection, settings: Settings
) -> None:
    hasher = Passwords(settings.password_pepper, 4)
    await connection.execute("UPDATE users SET password_hash = $1", await hasher.hash("password"))
    hasher.close()
    assert (await _log_in(anybody, "password")).status == 200
    change = {"current_password": "password", "new_password": PASSWORD}
    assert (await alice.post("/api/users/me/password", change)).status == 204


@on_one_postgresql
async def test_a_log_in_renews_a_hash_that_costs_too_little(
    settings: Settings, dsn: Dsn, connection: asyncpg.Connection
) -> None:
    async with _running(settings, dsn, 4) as api:
        alice = await api.new_user(_ALICE)
        old = await _stored(connection)
        assert old.startswith("$2b$04$")
    async with _running(settings, dsn, 6) as api:
        assert (await _log_in(api, "wrong password")).status == 401
        assert await _stored(connection) == old
        assert (await _log_in(api)).status == 200
        renewed = await _stored(connection)
        assert renewed.startswith("$2b$06$")
        assert (await _log_in(api)).status == 200
        assert (await _log_in(api, "wrong password")).status == 401
        # Neither the session from before nor that of the log-in itself has ended.
        assert (await replace(alice, session=api.session, url=api.url).get("/api/users/me")).status == 200
        assert await connection.fetchval("SELECT count(*) FROM sessions") == 3
        assert await _stored(connection) == renewed
    # A cost that is lowered leaves the hashes as they are.
    async with _running(settings, dsn, 5) as api:
        assert (await _log_in(api)).status == 200
        assert await _stored(connection) == renewed


async def test_a_hash_is_outdated_when_it_costs_less_than_a_new_one() -> None:
    hashers = {cost: Passwords("pepper", cost) for cost in (4, 5, 6)}
    password_hash = await hashers[5].hash(PASSWORD)
    assert {cost: hasher.is_outdated(password_hash) for cost, hasher in hashers.items()} == {
        4: False,
        5: False,
        6: True,
    }
    # The cost is no part of what is compared.
    assert [await hasher.is_right(PASSWORD, password_hash) for hasher in hashers.values()] == [True] * 3
    assert [await hasher.is_right("wrong", password_hash) for hasher in hashers.values()] == [False] * 3
    for hasher in hashers.values():
        hasher.close()


@pytest.mark.parametrize(
    "stored",
    ["", "x", "$2b$", "$2b$04$short", "$2b$99$" + "a" * 53, "$argon2id$v=19$m=65536$canary$canary", "пароль", "$" * 60],
)
async def test_a_hash_that_cannot_be_read_is_a_wrong_password(stored: str, capsys: pytest.CaptureFixture[str]) -> None:
    hasher = Passwords("pepper", 4)
    assert [await hasher.is_right(password, stored) for password in (PASSWORD, "")] == [False, False]
    hasher.close()
    said = "".join(capsys.readouterr())
    assert said.count("a stored password hash cannot be read") == 2
    assert "canary" not in said
    assert PASSWORD not in said


@on_one_postgresql
async def test_an_account_whose_hash_cannot_be_read_gets_401(
    alice: Api, anybody: Api, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE users SET password_hash = 'unreadable'")
    answer = await _log_in(anybody)
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert (await alice.get("/api/users/me")).status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_the_threads_of_bcrypt_stand_back_behind_the_event_loop() -> None:
    def priority() -> tuple[int, int]:
        return threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0)

    hasher = Passwords("pepper", 4)
    loop = asyncio.get_running_loop()
    thread, lowered = await loop.run_in_executor(hasher._executor, priority)  # noqa: SLF001 -- the thread itself is asked
    hasher.close()
    here, usual = priority()
    assert thread != here
    assert lowered == min(usual + 10, 19)
