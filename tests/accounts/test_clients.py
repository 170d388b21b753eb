"""Service clients on the command line: created, listed, rotated and revoked, with a secret that is shown once."""

import asyncio
import dataclasses
import hashlib
import json
import re
import subprocess
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.dsn import Dsn
from tests.conftest import Answer, Api
from tests.processes import VARIABLES, command, folder
from tests.sharing import *  # noqa: F403 -- fixtures
from tests.sharing import on_one_postgresql

__all__ = ["folder"]

pytestmark = on_one_postgresql

Run = Callable[..., Awaitable[Result]]

NOBODY = UUID("3f1d2c5b-8a4e-4c1e-9a45-0b6f7d537a90")
_numbers = count(1)


def _name() -> str:
    return f"reporting {next(_numbers)}"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_dsn: Dsn) -> Run:
    """Run `python -m service clients` in this process, with a database, no secret, and a log of all statements."""
    monkeypatch.chdir(tmp_path)
    unset: dict[str, str | None] = dict.fromkeys(VARIABLES)

    async def run(*args: str, url: str = shared_dsn.libpq_url) -> Result:
        variables = unset | {"APP_ENV": "production", "DATABASE_URL": url, "DEBUG": "true"}
        # In a thread, since a command has an event loop of its own.
        return await asyncio.to_thread(CliRunner().invoke, main, ["clients", *args], env=variables)

    return run


async def _said(run: Run, *args: str) -> Any:
    """Run a command, and return the JSON that it prints."""
    result = await run(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return json.loads(result.stdout)


async def _create(run: Run) -> Any:
    return await _said(run, "create", _name(), "--scope", "tasks:read")


async def _ask_for_token(api: Api, client: dict[str, str]) -> Answer:
    form = {"grant_type": "client_credentials"} | {name: client[name] for name in ("client_id", "client_secret")}
    return await api.post("/api/auth/token", data=form)


def _refusal(result: Result, exit_code: int = 1) -> str:
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert "Traceback" not in result.stderr
    assert exit_code == 2 or result.stderr.count("\n") == 1, result.stderr
    return result.stderr


async def test_a_new_clients_secret_is_shown_once_and_only_its_hash_is_stored(
    run: Run, connection: asyncpg.Connection
) -> None:
    name = _name()
    client = await _said(
        run, "create", name, "--scope", "tasks:write", "--scope", "tasks:read", "--scope", "tasks:read"
    )
    assert client.keys() == {"client_id", "client_secret", "name", "scopes"}
    assert (client["name"], client["scopes"]) == (name, ["tasks:read", "tasks:write"])
    secret = client["client_secret"]
    assert re.fullmatch(r"tsc_[A-Za-z0-9_-]{43}", secret)
    row = await connection.fetchrow("SELECT * FROM clients WHERE id = $1", UUID(client["client_id"]))
    assert row
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(dict(row))
    for listing in ((await run("list")).stdout, (await run("list", "--json")).stdout):
        assert client["client_id"] in listing
        assert name in listing
        assert secret not in listing
        assert "hash" not in listing


async def test_people_get_to_read_two_lines_and_are_told_to_keep_the_secret(run: Run, anybody: Api) -> None:
    result = await run("create", _name(), "--scope", "tasks:read")
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1)
    assert "this once" in result.stderr
    client = dict(line.split(": ") for line in result.stdout.splitlines())
    assert client.keys() == {"client_id", "client_secret"}
    assert (await _ask_for_token(anybody, client)).status == 200


async def test_a_name_is_one_live_clients(run: Run) -> None:
    client = await _create(run)
    name = client["name"]
    assert name in _refusal(await run("create", name, "--scope", "tasks:read"))
    assert (await run("revoke", name)).exit_code == 0
    assert (await _said(run, "create", name, "--scope", "tasks:read"))["client_id"] != client["client_id"]
    lines = [line for line in (await run("list")).stdout.splitlines() if name in line]
    assert ["  revoked 2" in line for line in lines] == [True, False]


@pytest.mark.parametrize(
    "args",
    [
        ["create"],
        ["create", "reporting"],
        ["create", "reporting", "--scope", "tasks:all"],
        ["create", "reporting", "--scope", "tasks:read tasks:write"],
        *(
            ["create", name, "--scope", "tasks:read"]
            for name in (
                "",
                " x",
                ".x",
                "x" * 101,
                "caf\xe9",
                "a\nb",
                "a\n",
                "\udcff",
                str(NOBODY),
                NOBODY.hex.upper(),
            )
        ),
        ["rotate"],
        ["rotate", "reporting", "--overlap", "-1"],
        ["rotate", "reporting", "--overlap", "1e3"],
        ["rotate", "reporting", "--overlap", "9" * 20],
        ["revoke"],
        ["list", "reporting"],
    ],
    ids=ascii,
)
async def test_wrong_usage_is_2(run: Run, args: list[str]) -> None:
    assert "Error: " in _refusal(await run(*args), exit_code=2)


@pytest.mark.parametrize("client", ["nobody", str(NOBODY), "", "a\nb", "\udcff", "' OR true --"], ids=ascii)
async def test_an_unknown_client_is_one_clear_line(run: Run, client: str) -> None:
    for said in (_refusal(await run("rotate", client)), _refusal(await run("revoke", client))):
        assert ascii(client) in said


async def test_a_database_that_cannot_be_used_is_one_clear_line(run: Run, shared_dsn: Dsn, empty_database: Dsn) -> None:
    wrong = dataclasses.replace(shared_dsn, password="canary")
    for args in (["create", "reporting", "--scope", "tasks:read"], ["list"], ["rotate", "x"], ["revoke", "x"]):
        said = _refusal(await run(*args, url=wrong.libpq_url))
        assert str(wrong) in said
        assert "canary" not in said
        assert "clients" in _refusal(await run(*args, url=empty_database.libpq_url))
    assert _refusal(await run("list", url=""), exit_code=2).startswith("DATABASE_URL: ")


async def test_both_secrets_are_good_while_they_overlap(run: Run, anybody: Api, connection: asyncpg.Connection) -> None:
    old = await _create(run)
    new = await _said(run, "rotate", old["name"], "--overlap", "60")
    assert new["client_id"] == old["client_id"]
    assert [(await _ask_for_token(anybody, client)).status for client in (old, new)] == [200, 200]
    assert f"{old['name']}  tasks:read  two secrets until 2" in (await run("list")).stdout
    left = "SELECT extract(epoch FROM previous_secret_expires_at - now()) FROM clients WHERE id = $1"
    assert 50 < await connection.fetchval(left, UUID(old["client_id"])) <= 60
    await connection.execute(
        "UPDATE clients SET previous_secret_expires_at = now() WHERE id = $1", UUID(old["client_id"])
    )
    assert [(await _ask_for_token(anybody, client)).status for client in (old, new)] == [401, 200]
    assert "two secrets" not in (await run("list")).stdout


async def test_without_an_overlap_the_secret_before_ends_at_once(run: Run, anybody: Api) -> None:
    old = await _create(run)
    new = await _said(run, "rotate", old["client_id"].upper(), "--overlap", "0")
    assert [(await _ask_for_token(anybody, client)).status for client in (old, new)] == [401, 200]


async def test_a_client_has_two_secrets_and_no_third(run: Run, anybody: Api, connection: asyncpg.Connection) -> None:
    first = await _create(run)
    second = await _said(run, "rotate", first["name"])
    third = await _said(run, "rotate", first["name"])
    statuses = [(await _ask_for_token(anybody, client)).status for client in (first, second, third)]
    assert statuses == [401, 200, 200]
    overlap = "SELECT extract(epoch FROM previous_secret_expires_at - now()) FROM clients WHERE id = $1"
    assert 86_390 < await connection.fetchval(overlap, UUID(first["client_id"])) <= 86_400


async def test_a_revoked_client_and_its_tokens_stop_at_once(run: Run, anybody: Api) -> None:
    old = await _create(run)
    new = await _said(run, "rotate", old["name"])
    token = (await _ask_for_token(anybody, new)).body["access_token"]
    api = dataclasses.replace(anybody, token=token)
    assert (await api.get("/api/task-statuses")).status == 200
    result = await run("revoke", old["client_id"])
    revoked = perf_counter()
    assert (result.exit_code, result.stderr) == (0, "")
    assert [(await _ask_for_token(anybody, client)).status for client in (old, new)] == [401, 401]
    async with asyncio.timeout(5):
        while (await api.get("/api/task-statuses")).status == 200:
            pass
    print(f"from revoked to refused {1000 * (perf_counter() - revoked):.0f} ms")  # noqa: T201 -- the guarantee's figure
    assert (await api.get("/api/task-statuses")).code == "invalid_token"
    assert "revoked" in _refusal(await run("revoke", old["name"]))
    assert "revoked" in _refusal(await run("rotate", old["name"]))


@pytest.mark.usefixtures("postgres")  # as the parameter of the module has it
def test_in_development_it_works_on_the_embedded_database_and_needs_no_secret(folder: Path) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        options = command(folder, *args) | {"stderr": subprocess.PIPE}
        return subprocess.run(**options, timeout=60, check=False)

    assert run("migrate", "apply").returncode == 0
    created = run("clients", "create", "reporting", "--scope", "tasks:read", "--json")
    assert (created.returncode, created.stderr) == (0, "")
    listed = run("clients", "list")
    assert listed.stdout == f"{json.loads(created.stdout)['client_id']}  reporting  tasks:read\n"
    assert [file.name for file in (folder / "data").iterdir()] == ["postgres"]
