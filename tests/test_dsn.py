"""Connection strings: every spelling that people paste, and both drivers reaching the same database by them."""

import asyncio
import urllib.parse
from dataclasses import replace
from pathlib import Path

import asyncpg
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from service.dsn import Dsn

_NEON = (
    "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/neondb"  # as its console shows it
    "?sslmode=require&channel_binding=require"
)
_ODD_PASSWORD = "p@ss:/?#[]%25 +&='\"\\ü€😀"

# What PostgreSQL can hold as a name or a password: no NUL, no lone surrogate.
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:p@db.example.com/tasks?sslmode=require",
        "postgresql://u:p@db.example.com/tasks?sslmode=require",
        "postgresql+asyncpg://u:p@db.example.com/tasks?ssl=require",
        "postgres+asyncpg://u:p@db.example.com/tasks?ssl=true",
        "postgresql+psycopg://u:p@db.example.com/tasks?sslmode=require",
        "postgresql+psycopg2://u:p@db.example.com/tasks?sslmode=require",
        "  postgresql://u:p@db.example.com/tasks?ssl=1\n",
        "postgresql://u:p@DB.example.com/tasks?ssl=on",
    ],
)
def test_every_spelling_means_the_same_database(text: str) -> None:
    dsn = Dsn.parse(text)
    assert dsn == Dsn("tasks", "u", "p", "db.example.com", None, (("sslmode", "require"),))
    assert dsn.asyncpg_url == dsn.libpq_url == "postgresql://u:p@db.example.com/tasks?sslmode=require"
    assert dsn.yoyo_url == "postgresql+psycopg://u:p@db.example.com/tasks?sslmode=require"
    assert str(dsn) == "db.example.com:5432/tasks"


def test_a_neon_string_works_as_it_is_pasted() -> None:
    dsn = Dsn.parse(_NEON)
    assert dsn.is_pooled
    assert dsn.asyncpg_url == "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/neondb?sslmode=require"
    assert dsn.libpq_url == (
        "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/neondb?channel_binding=require&sslmode=require"
    )
    assert len(dsn.notes) == 1
    assert dsn.notes[0].startswith("channel_binding is not supported by asyncpg")


def test_migrations_go_past_the_pooler() -> None:
    pooled = Dsn.parse(_NEON)
    assert pooled.direct.host == "ep-x.eu.aws.neon.tech"
    assert not pooled.direct.is_pooled
    assert replace(pooled.direct, host=pooled.host) == pooled
    assert pooled.direct.direct == pooled.direct


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("postgresql://u:p@db.example.com/tasks", ["no sslmode"]),
        ("postgresql://u:p@db.example.com/tasks?connect_timeout=3", ["connect_timeout", "no sslmode"]),
        ("postgresql://u:p@db.example.com/tasks?sslmode=disable&keepalives=1", ["keepalives"]),
        ("postgresql://u:p@localhost/tasks", []),
        ("postgresql://u:p@127.0.0.1/tasks", []),
        ("postgresql://u:p@[::1]/tasks", []),
        ("postgresql:///tasks", []),
        ("postgresql:///tasks?host=/run/postgresql", []),
        ("postgresql://u:p@db.example.com/tasks?sslmode=verify-full", []),
    ],
)
def test_what_will_not_be_honoured_is_noted(text: str, noted: list[str]) -> None:
    notes = Dsn.parse(text).notes
    assert len(notes) == len(noted)
    assert all(note.startswith(word) for note, word in zip(notes, noted, strict=True))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("name", ["ssl", "sslmode"])
def test_the_sslmode_reaches_both_drivers(name: str, mode: str) -> None:
    dsn = Dsn.parse(f"postgresql://u:p@db-pooler.example.com/tasks?{name}={mode}&channel_binding=prefer")
    for url in (dsn.asyncpg_url, dsn.libpq_url, dsn.yoyo_url, dsn.direct.asyncpg_url, dsn.direct.libpq_url):
        assert dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["sslmode"] == mode


def test_tls_is_not_dropped_where_ssl_and_sslmode_disagree() -> None:
    try:
        dsn = Dsn.parse("postgresql://u:p@db.example.com/tasks?ssl=require&sslmode=disable")
    except ValueError:
        return  # to refuse it is as good
    assert dict(dsn.parameters)["sslmode"] == "require"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("postgresql://u:p@[2001:db8::7]:5433/tasks?sslmode=require", "2001:db8::7", 5433),
        ("postgresql://u:p@[::1]/tasks", "::1", None),
        ("postgresql://u:p@db.example.com:6432/tasks?sslmode=require", "db.example.com", 6432),
    ],
)
def test_an_address_survives(text: str, host: str, port: int | None) -> None:
    dsn = Dsn.parse(text)
    assert (dsn.host, dsn.port) == (host, port)
    for url in (dsn.asyncpg_url, dsn.libpq_url):
        parts = urllib.parse.urlsplit(url)
        assert (parts.hostname, parts.port) == (host, port)
    assert conninfo_to_dict(dsn.libpq_url)["host"] == host


@pytest.mark.parametrize("authority", ["", "u:p@", "u:p@:5433"])
async def test_a_unix_socket_is_found_by_both_drivers(authority: str, tmp_path: Path) -> None:
    dsn = Dsn.parse(f"postgresql://{authority}/tasks?host={urllib.parse.quote(str(tmp_path), safe='')}")
    port = "5433" if authority.endswith("5433") else "5432"
    assert dsn.host == str(tmp_path)
    understood = conninfo_to_dict(dsn.libpq_url)
    assert (understood["host"], understood.get("port", "5432")) == (str(tmp_path), port)
    called = asyncio.Event()

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / f".s.PGSQL.{port}")
    async with server:
        with pytest.raises((ConnectionError, asyncpg.PostgresConnectionError)):
            await asyncpg.connect(dsn.asyncpg_url, timeout=2)
    assert called.is_set()


@given(user=_texts, password=_texts, database=_texts)
@example(user="u", password=_ODD_PASSWORD, database="a/b")
def test_user_password_and_database_survive_for_both_drivers(user: str, password: str, database: str) -> None:
    quoted = [urllib.parse.quote(part, safe="") for part in (user, password, database)]
    dsn = Dsn.parse("postgresql://{}:{}@db.example.com/{}?sslmode=require".format(*quoted))
    assert (dsn.user, dsn.password, dsn.database) == (user, password, database)
    parts = urllib.parse.urlsplit(dsn.asyncpg_url)
    given = (parts.username or "", parts.password or "", parts.path.removeprefix("/"))
    assert tuple(map(urllib.parse.unquote, given)) == (user, password, database)
    understood = conninfo_to_dict(dsn.libpq_url)
    assert (understood["user"], understood["password"], understood["dbname"]) == (user, password, database)
    assert Dsn.parse(dsn.libpq_url) == dsn


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "postgresql://"),
        ("tasks", "postgresql://"),
        ("mysql://u:canary@h/tasks", "postgresql://"),
        ("postgresql+pg8000://u:canary@h/tasks", "postgresql://"),
        ("host=h dbname=tasks password=canary", "postgresql://"),
        ("postgresql://u:canary@h", "No database"),
        ("postgresql://u:canary@h/", "No database"),
        ("postgresql://u:canary@h/?sslmode=require", "No database"),
        ("postgresql://u:canary@h:port/tasks", "port"),
        ("postgresql://u:canary@h:65536/tasks", "port"),
        ("postgresql://u:canary@[::1/tasks", "host"),
        ("postgresql://u:canary@h/tasks?sslmod=require", "sslmod"),
        ("postgresql://u:canary@h/tasks?SSLMODE=require", "SSLMODE"),
        ("postgresql://u:canary@h/tasks?sslmode=Require", "sslmode"),
        ("postgresql://u:canary@h/tasks?sslmode=", "sslmode"),
        ("postgresql://u:canary@h/tasks?ssl=canary", "sslmode"),
        ("postgresql://u:p@h/tasks?password=canary", "password"),
        ("postgresql://u:12/3?canary@h/tasks", ""),  # a password that should have been percent-encoded
        ("postgresql://u:12#canary@h/tasks", ""),
        ("postgresql://u:a/canary@h/tasks", ""),
    ],
)
def test_a_string_that_cannot_be_used_is_refused_without_its_password(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Dsn.parse(text)
    assert says in str(refused.value)
    assert "canary" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_password_is_not_printed() -> None:
    dsn = Dsn.parse("postgresql://u:canary@h/tasks?sslmode=require")
    assert "canary" not in f"{dsn!r} {dsn!s} {dsn.direct!r} {dsn.notes}"


async def test_both_drivers_log_in_with_an_odd_password(dsn: Dsn) -> None:
    role, plain = f"{dsn.database} ü@:/%", await asyncpg.connect(dsn.asyncpg_url)
    quoted = [
        await plain.fetchval("SELECT quote_ident($1)", role),
        await plain.fetchval("SELECT quote_literal($1)", _ODD_PASSWORD),
    ]
    try:
        await plain.execute("CREATE ROLE {} LOGIN PASSWORD {}".format(*quoted))
        address = "postgresql+asyncpg://{}:{}@{}:{}/{}?ssl=disable&connect_timeout=5&application_name=odd%20name"
        user, password = (urllib.parse.quote(part, safe="") for part in (role, _ODD_PASSWORD))
        odd = Dsn.parse(address.format(user, password, dsn.host, dsn.port, dsn.database))
        served = await asyncpg.connect(odd.asyncpg_url)
        row = await served.fetchrow("SELECT current_user, current_database(), current_setting('application_name')")
        await served.close()
        with await asyncio.to_thread(lambda: psycopg.connect(odd.libpq_url)) as migrated:
            same = migrated.execute("SELECT current_user, current_database(), current_setting('application_name')")
            assert tuple(row or ()) == same.fetchone() == (role, dsn.database, "odd name")
    finally:
        await plain.execute(f"DROP ROLE IF EXISTS {quoted[0]}")
        await plain.close()
