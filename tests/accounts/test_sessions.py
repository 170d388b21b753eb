"""Sessions: refresh tokens that rotate, families that cannot fork, and ends that are ends at once."""

import asyncio
from base64 import urlsafe_b64decode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import asyncpg
import jwt
import pytest

from service.accounts.passwords import PASSWORDS
from service.accounts.sessions import SESSIONS, RefreshToken
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.settings import Settings
from tests.conftest import PASSWORD, Answer, Api, Service, StartService
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import NewUser, on_one_postgresql

NEW_PASSWORD = "another horse, another battery"


async def _log_in(user: Api, password: str = PASSWORD) -> Answer:
    email = (await user.get("/api/users/me")).body["email"]
    return await user.post("/api/auth/login", {"email": email, "password": password})


async def _session(user: Api) -> Any:
    """Log in once more: a pair of tokens."""
    answer = await _log_in(user)
    assert answer.status == 200, answer.text
    return answer.body


async def _refresh(api: Api, token: str) -> Answer:
    return await api.post("/api/auth/refresh", {"refresh_token": token})


async def _log_out(api: Api, token: str) -> Answer:
    return await api.post("/api/auth/logout", {"refresh_token": token})


def _with(user: Api, pair: Any) -> Api:
    return replace(user, token=pair["access_token"])


def _sid(pair: Any) -> str:
    return str(jwt.decode(pair["access_token"], options={"verify_signature": False})["sid"])


def _refused(answer: Answer) -> bool:
    return (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, "invalid_refresh_token", "Bearer")


async def _is_live(user: Api, pair: Any) -> bool:
    """Tell whether the access token of a pair works: 200 or 401, and nothing else."""
    answer = await _with(user, pair).get("/api/users/me")
    assert answer.status in {200, 401}
    return answer.status == 200


async def _age(connection: asyncpg.Connection, seconds: float) -> None:
    """Let spent tokens have been spent this much earlier."""
    await connection.execute("UPDATE spent_refresh_tokens SET spent_at = spent_at - make_interval(secs => $1)", seconds)


async def test_a_refresh_token_is_256_random_bits_of_which_only_the_sha_256_is_stored(
    alice: Api, connection: asyncpg.Connection
) -> None:
    pairs = [await _session(alice) for _ in range(3)]
    pairs.append((await _refresh(alice, pairs[0]["refresh_token"])).body)
    tables = await connection.fetch(
        "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    stored = [
        value.hex() if isinstance(value, bytes) else str(value)
        for table in tables
        for row in await connection.fetch(f"SELECT * FROM {table['name']}")
        for value in row.values()
    ]
    secrets = set()
    for pair in pairs:
        token = pair["refresh_token"]
        secret = urlsafe_b64decode(token.removeprefix("tsr_") + "==")[32:]
        assert len(secret) * 8 == 256
        secrets.add(secret)
        assert sha256(token.encode()).hexdigest() in stored
        assert not any(value in (token, secret.hex()) or token in value for value in stored)
    assert len(secrets) == len(pairs)


async def test_each_use_of_a_refresh_token_gives_a_new_pair_in_the_same_session(alice: Api) -> None:
    pair = first = await _session(alice)
    for _ in range(3):
        answer = await _refresh(alice, pair["refresh_token"])
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert answer.body.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert answer.body["refresh_token"] != pair["refresh_token"]
        assert answer.body["access_token"] != pair["access_token"]
        assert _sid(answer.body) == _sid(pair)
        pair = answer.body
    assert await _is_live(alice, pair)
    assert await _is_live(alice, first)  # until it expires


async def test_a_lost_answer_is_given_again_without_forking_the_family(
    alice: Api, connection: asyncpg.Connection
) -> None:
    pair = await _session(alice)
    lost = await _refresh(alice, pair["refresh_token"])
    await _age(connection, 8)
    again = await _refresh(alice, pair["refresh_token"])
    assert again.status == 200
    assert again.body["refresh_token"] == lost.body["refresh_token"]
    assert (await _refresh(alice, again.body["refresh_token"])).status == 200


async def test_a_spent_token_used_again_later_ends_the_whole_family_at_once(
    alice: Api, connection: asyncpg.Connection
) -> None:
    other, stolen = await _session(alice), await _session(alice)
    pairs = [stolen]
    for _ in range(3):
        pairs.append((await _refresh(alice, pairs[-1]["refresh_token"])).body)
    await _age(connection, 10.1)
    assert _refused(await _refresh(alice, stolen["refresh_token"]))
    assert [await _is_live(alice, pair) for pair in pairs] == [False] * 4
    for pair in reversed(pairs):
        assert _refused(await _refresh(alice, pair["refresh_token"]))
    assert await _is_live(alice, other)
    assert (await _refresh(alice, other["refresh_token"])).status == 200


async def test_a_spent_token_whose_successor_was_used_is_refused_within_the_grace_and_ends_nothing(alice: Api) -> None:
    first = await _session(alice)
    second = (await _refresh(alice, first["refresh_token"])).body
    third = (await _refresh(alice, second["refresh_token"])).body
    assert _refused(await _refresh(alice, first["refresh_token"]))
    assert await _is_live(alice, third)
    assert (await _refresh(alice, third["refresh_token"])).status == 200


async def test_twenty_refreshes_at_once_leave_one_live_family(alice: Api, connection: asyncpg.Connection) -> None:
    pair = await _session(alice)
    for generation in range(1, 4):
        answers = await asyncio.gather(*(_retried(alice, pair["refresh_token"]) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        assert len({answer.body["refresh_token"] for answer in answers}) == 1
        assert all([await _is_live(alice, answer.body) for answer in answers])
        pair = answers[0].body
        sid = _sid(pair)
        assert await connection.fetchval("SELECT count(*) FROM sessions WHERE id = $1", sid) == 1
        spent = "SELECT count(*) FROM spent_refresh_tokens WHERE session_id = $1"
        assert await connection.fetchval(spent, sid) == generation
    print("20 refreshes at once, 3 generations: families = 1, live tokens = 1, refused = 0")  # noqa: T201 -- the guarantee's figure


@on_one_postgresql
async def test_a_database_of_another_isolation_changes_nothing(
    settings: Settings, dsn: Dsn, connection: asyncpg.Connection, start_service: StartService
) -> None:
    await connection.execute(f"ALTER DATABASE {dsn.database} SET default_transaction_isolation = 'repeatable read'")
    roomy = replace(settings, pool_size=10, pool_timeout=10.0)
    alice = await (await start_service(roomy, dsn)).new_user("alice@example.com")
    pair = await _session(alice)
    answers = await asyncio.gather(*(_refresh(alice, pair["refresh_token"]) for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20


async def _retried(api: Api, token: str) -> Answer:
    """Refresh; the small pool of the tests may be exhausted, which is answered as such."""
    while (answer := await _refresh(api, token)).status == 503:
        assert answer.code == "overloaded"
        await asyncio.sleep(0.01)  # what Retry-After asks for, in the tempo of a test
    return answer


async def test_a_refresh_is_one_round_trip(service: Service, alice: Api) -> None:
    pair = await _session(alice)
    statements: list[str] = []
    async with service.app[DATABASE].connection() as connection:
        connection.add_query_logger(lambda record: statements.append(record.query))
        refreshed = await service.app[SESSIONS].prolong(connection, pair["refresh_token"])
        await asyncio.sleep(0)
    assert refreshed["refresh_token"] != pair["refresh_token"]
    assert [statement.split()[:3] for statement in statements] == [["WITH", "/*", "update_session_token"]]


async def test_a_refresh_token_expires(alice: Api, connection: asyncpg.Connection) -> None:
    pair = await _session(alice)
    await connection.execute("UPDATE sessions SET expires_at = now() WHERE id = $1", _sid(pair))
    assert _refused(await _refresh(alice, pair["refresh_token"]))


async def test_what_is_no_refresh_token_of_a_session_is_refused_and_ends_nothing(alice: Api, bob: Api) -> None:
    pair = await _session(alice)
    token = pair["refresh_token"]
    mine = RefreshToken.parse(token)
    for wrong in [
        "",
        "tsr_",
        "x",
        "tsr_" + "A" * 86,
        "tsr_" + "A" * 5000,
        token[:-1],
        token + "A",
        token + "=",
        " " + token,
        token.removeprefix("tsr_"),
        token.upper(),
        "tsr_é",
        token.replace("_", "+", 1),
        pair["access_token"],
        str(RefreshToken(mine.user_id, mine.session_id, b"x" * 32)),
        str(replace(mine, user_id=RefreshToken.parse((await _session(bob))["refresh_token"]).user_id)),
        str(replace(mine, session_id=mine.user_id)),
    ]:
        assert _refused(await _refresh(alice, wrong)), wrong
        assert (await _log_out(alice, wrong)).status == 204
    for place in range(4, len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert _refused(await _refresh(alice, changed)), place
    assert await _is_live(alice, pair)
    assert (await _refresh(alice, token)).status == 200


@pytest.mark.parametrize("path", ["refresh", "logout"])
async def test_a_malformed_body_is_refused_and_ends_nothing(alice: Api, path: str) -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"body": {}}, 422),
        ({"body": {"refresh_token": None}}, 422),
        ({"body": {"refresh_token": 7}}, 422),
        ({"body": {"refresh_token": "a\0"}}, 422),
        ({"body": {"refresh_token": "x", "more": 1}}, 422),
    ]
    for options, status in cases:
        assert (await alice.post(f"/api/auth/{path}", **options)).status == status, options


async def test_a_log_out_ends_the_session_and_its_access_tokens_at_once(alice: Api) -> None:
    other, pair = await _session(alice), await _session(alice)
    newer = (await _refresh(alice, pair["refresh_token"])).body
    assert (await _log_out(alice, newer["refresh_token"])).status == 204
    assert [await _is_live(alice, one) for one in (pair, newer, other)] == [False, False, True]
    answer = await _with(alice, pair).get("/api/users/me")
    assert (answer.code, answer.headers["WWW-Authenticate"]) == ("invalid_token", 'Bearer error="invalid_token"')
    for one in (pair, newer):
        assert _refused(await _refresh(alice, one["refresh_token"]))
        assert (await _log_out(alice, one["refresh_token"])).status == 204
    assert (await _refresh(alice, other["refresh_token"])).status == 200


async def test_a_log_out_with_a_spent_token_ends_its_session_too(alice: Api) -> None:
    pair = await _session(alice)
    newer = (await _refresh(alice, pair["refresh_token"])).body
    assert (await _log_out(alice, pair["refresh_token"])).status == 204
    assert not await _is_live(alice, newer)
    assert _refused(await _refresh(alice, newer["refresh_token"]))


async def test_a_log_out_in_the_midst_of_a_refresh_ends_the_session(
    service: Service, alice: Api, connection: asyncpg.Connection
) -> None:
    pair = await _session(alice)
    async with connection.transaction():
        refreshed = await service.app[SESSIONS].prolong(connection, pair["refresh_token"])
        logging_out = asyncio.create_task(_log_out(alice, pair["refresh_token"]))
        await _until_somebody_waits(connection)
    assert (await logging_out).status == 204
    assert [await _is_live(alice, one) for one in (pair, refreshed)] == [False, False]
    assert _refused(await _refresh(alice, refreshed["refresh_token"]))


async def _until_somebody_waits(connection: asyncpg.Connection) -> None:
    """Wait until another connection waits for what the transaction of this one has locked."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    async with asyncio.timeout(5):
        while not await connection.fetchval(waiting):  # noqa: ASYNC110 -- PostgreSQL tells nobody
            await asyncio.sleep(0.005)


async def _change_password(user: Api, current: str, new: str) -> Answer:
    return await user.post("/api/users/me/password", {"current_password": current, "new_password": new})


async def test_a_new_password_ends_every_other_session_and_leaves_this_one(alice: Api) -> None:
    this, other, third = [await _session(alice) for _ in range(3)]
    me = _with(alice, this)
    assert (await _change_password(me, PASSWORD, NEW_PASSWORD)).status == 204
    assert [await _is_live(alice, pair) for pair in (this, other, third)] == [True, False, False]
    for pair in (other, third):
        assert _refused(await _refresh(alice, pair["refresh_token"]))
    assert (await _refresh(alice, this["refresh_token"])).status == 200
    assert (await _log_in(me)).code == "invalid_credentials"
    assert (await _log_in(me, NEW_PASSWORD)).status == 200


async def test_a_wrong_current_password_is_422_and_changes_nothing(alice: Api) -> None:
    other = await _session(alice)
    for wrong in ("", "wrong password", PASSWORD.upper(), "x" * 1000):
        answer = await _change_password(alice, wrong, NEW_PASSWORD)
        assert (answer.status, answer.code) == (422, "validation_error")
        assert [(fault["pointer"], fault["code"]) for fault in answer.body["errors"]] == [
            ("/current_password", "wrong")
        ]
    assert (await _log_in(alice)).status == 200
    assert await _is_live(alice, other)


async def test_a_new_password_keeps_the_rules_of_one(alice: Api) -> None:
    for new in ("1234567", "p" * 257, "a\0" * 8, None, 7):
        answer = await alice.post("/api/users/me/password", {"current_password": PASSWORD, "new_password": new})
        assert [fault["pointer"] for fault in answer.body["errors"]] == ["/new_password"], repr(new)
    answer = await alice.post("/api/users/me/password", {"password": "x"})
    assert {fault["pointer"] for fault in answer.body["errors"]} == {"/current_password", "/new_password", "/password"}


async def test_no_session_of_the_old_password_outlives_a_change(new_user: NewUser) -> None:
    for _ in range(10):
        user = await new_user()
        email = (await user.get("/api/users/me")).body["email"]

        async def log_in(user: Api = user, email: str = email) -> Answer:
            return await user.post("/api/auth/login", {"email": email, "password": PASSWORD})

        changed, *logged_in = await asyncio.gather(
            _change_password(user, PASSWORD, NEW_PASSWORD), *(log_in() for _ in range(4))
        )
        assert changed.status == 204, changed.text
        assert {answer.status for answer in logged_in} <= {200, 401}
        for answer in logged_in:
            if answer.status == 200:
                assert _refused(await _refresh(user, answer.body["refresh_token"]))
                assert not await _is_live(user, answer.body)


async def test_of_two_changes_at_once_one_happens(new_user: NewUser) -> None:
    for _ in range(5):
        user = await new_user()
        answers = await asyncio.gather(*(_change_password(user, PASSWORD, f"{NEW_PASSWORD} {n}") for n in range(2)))
        assert sorted(answer.status for answer in answers) == [204, 422]
        winner = next(n for n, answer in enumerate(answers) if answer.status == 204)
        assert (await _log_in(user, f"{NEW_PASSWORD} {winner}")).status == 200


async def test_a_hash_that_is_renewed_meanwhile_does_not_make_a_password_wrong(
    service: Service, alice: Api, connection: asyncpg.Connection
) -> None:
    renewed = await service.app[PASSWORDS].hash(PASSWORD)
    async with connection.transaction():
        await connection.execute("UPDATE users SET password_hash = $2 WHERE id = $1", alice.user_id, renewed)
        changing = asyncio.create_task(_change_password(alice, PASSWORD, NEW_PASSWORD))
        await _until_somebody_waits(connection)
    assert (await changing).status == 204
    assert (await _log_in(alice, NEW_PASSWORD)).status == 200


async def test_a_deleted_account_is_gone_with_its_tasks_and_its_tokens(
    new_user: NewUser, alice: Api, connection: asyncpg.Connection
) -> None:
    user = await new_user()
    pairs = [await _session(user) for _ in range(2)]
    await user.new_task()
    kept = await alice.new_task()
    email = (await user.get("/api/users/me")).body["email"]
    assert (await user.delete("/api/users/me")).status == 204
    for token in (user.token, *(pair["access_token"] for pair in pairs)):
        for answer in (
            await replace(user, token=token).get("/api/users/me"),
            await replace(user, token=token).get("/api/tasks"),
            await replace(user, token=token).post("/api/tasks", {"title": "x"}),
            await replace(user, token=token).delete("/api/users/me"),
        ):
            assert (answer.status, answer.code) == (401, "invalid_token")
    for pair in pairs:
        assert _refused(await _refresh(user, pair["refresh_token"]))
    for table in ("tasks", "sessions", "spent_refresh_tokens", "idempotency_records"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE user_id = $1", user.user_id) == 0
    login = {"email": email, "password": PASSWORD}
    assert (await user.post("/api/auth/login", login)).code == "invalid_credentials"
    assert (await alice.get("/api/tasks")).body["items"] == [kept]
    assert (await user.post("/api/auth/register", login)).status == 201


async def test_whatever_goes_on_when_an_account_is_deleted_ends_in_order(
    new_user: NewUser, connection: asyncpg.Connection
) -> None:
    for _ in range(5):
        user = await new_user()
        pairs = [await _session(user) for _ in range(3)]
        email = (await user.get("/api/users/me")).body["email"]
        answers = await asyncio.gather(
            user.delete("/api/users/me"),
            *(_refresh(user, pair["refresh_token"]) for pair in pairs),
            *(_log_out(user, pair["refresh_token"]) for pair in pairs),
            user.post("/api/auth/login", {"email": email, "password": PASSWORD}),
            _change_password(user, PASSWORD, NEW_PASSWORD),
            user.post("/api/tasks", {"title": "x"}),
        )
        assert all(answer.status < 500 for answer in answers), [answer.text for answer in answers]
        assert (await user.get("/api/users/me")).status == 401
        assert not await connection.fetchval("SELECT count(*) FROM users WHERE id = $1", user.user_id)
