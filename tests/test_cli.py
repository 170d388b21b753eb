"""The command line: what each command says, and its exit code (0 done, 1 failed, 2 wrong usage or settings)."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from service.cli import main
from service.dsn import Dsn
from service.keyring import read_keys
from service.migrate.files import write_checksums
from service.resources import resource_folder
from tests.processes import bare_environ
from tests.sharing import on_one_postgresql
from tests.test_keyring import BAD_KEYS

pytestmark = on_one_postgresql

_SECRETS = {"JWT_SECRET": "canary-" + "j" * 40, "PASSWORD_PEPPER": "canary-" + "p" * 40}
_MIGRATIONS = sorted(
    file.stem for file in resource_folder("migrations").glob("*.sql") if not file.stem.endswith(".rollback")
)

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command line in this process, with these variables of ours and no other."""
    bare = bare_environ()
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str, **variables: str) -> Result:
        with patch.dict(os.environ, bare | {"DATA_DIR": str(tmp_path / "data")} | variables, clear=True):
            return CliRunner().invoke(main, args)

    return invoke


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


def _says_one_line(result: Result, exit_code: int) -> str:
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("command", list(_commands(main)), ids=" ".join)
def test_every_command_explains_itself(invoke: Invoke, command: tuple[str, ...]) -> None:
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    assert f"Usage: main {' '.join(command)}".strip() in result.stdout
    body = result.stdout.split("\n\n")[1].strip()
    assert body.endswith((".", "settings")), body
    # Every option has a help text of its own.
    for line in result.stdout.partition("Options:")[2].splitlines():
        assert not line.startswith("  --") or len(line.split("  ")) >= 3, line


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["--nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--port", "http"],
        ["serve", "--port", "65536"],
        ["serve", "nonsense"],
        ["migrate", "nonsense"],
        ["migrate", "rollback", "--count", "0"],
        ["migrate", "status", "--jsn"],
        ["keys", "generate", "--type", "ec"],
        ["keys", "generate", "--signs-after", "-1"],
        ["keys", "generate", "--signs-after", "31536001"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(invoke: Invoke, args: list[str]) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", [("serve",), ("migrate", "apply"), ("migrate", "status")], ids=" ".join)
def test_wrong_settings_are_2_and_a_line_each(invoke: Invoke, command: tuple[str, ...], tmp_path: Path) -> None:
    url = "postgresql://owner:canary-password@h/d?nonsense=1"
    wrong = {"PORT": "http", "BCRYPT_COST": "3", "DATABASE_URL": url, "JWT_SECRET": "canary"}
    result = invoke(*command, **wrong)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sorted(line.partition(": ")[0] for line in result.stderr.splitlines()) == sorted(wrong)
    assert all(line.partition(": ")[2] for line in result.stderr.splitlines())
    assert "canary" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_production_needs_a_database_and_secrets(invoke: Invoke) -> None:
    result = invoke("serve", APP_ENV="production")
    assert result.exit_code == 2
    names = [line.partition(": ")[0] for line in result.stderr.splitlines()]
    assert sorted(names) == ["DATABASE_URL", "JWT_SECRET", "PASSWORD_PEPPER"]


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_is_a_wrong_setting_of_one_line(invoke: Invoke, tmp_path: Path, name: str) -> None:
    content, reason = BAD_KEYS[name]
    (tmp_path / f"{name}.pem").write_bytes(content())
    said = _says_one_line(invoke("serve", JWT_KEYS=str(tmp_path)), 2)
    assert said.startswith(f"JWT_KEYS: '{name}.pem' ")
    assert reason in said


def test_a_key_is_generated_where_the_service_reads_it(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = invoke("keys", "generate", JWT_KEYS=str(folder), APP_ENV="production")
    assert (first.exit_code, first.stderr) == (0, "")
    options = ("--type", "rsa", "--signs-after", "3600", "--folder", str(folder), "--json")
    second = json.loads(invoke("keys", "generate", *options, JWT_KEYS="/nowhere").stdout)
    signing, future = read_keys(folder)
    assert first.stdout.startswith(f"{folder}/")
    assert f"EdDSA key {signing.id}, signs from 20" in first.stdout
    assert signing.signs_from <= time.time() < future.signs_from <= time.time() + 3600
    assert second.keys() == {"file", "kid", "alg", "signs_from"}
    assert (second["kid"], second["alg"]) == (future.id, "RS256")
    assert datetime.fromisoformat(second["signs_from"]).timestamp() == future.signs_from
    assert isinstance(future.private, RSAPrivateKey)
    assert future.private.key_size == 3072
    assert sorted(folder.iterdir())[1] == Path(second["file"])


def test_the_env_file_says_where_keys_are_in_development(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JWT_KEYS=kept/keys\n")
    assert invoke("keys", "generate").exit_code == 0
    assert len(read_keys(tmp_path / "kept" / "keys")) == 1
    _says_one_line(invoke("keys", "generate", APP_ENV="production"), 2)


def test_a_key_that_cannot_be_written_is_one_clear_line(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "keys"):
        assert str(folder) in _says_one_line(invoke("keys", "generate", "--folder", str(folder)), 1)
    said = _says_one_line(invoke("keys", "generate"), 2)
    assert "JWT_KEYS" in said
    assert "--folder" in said


def test_a_port_in_use_is_one_clear_line(invoke: Invoke) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for said in (
            _says_one_line(invoke("serve", PORT=str(port)), 1),
            _says_one_line(invoke("serve", "--port", str(port), PORT="0"), 1),
        ):
            assert f"127.0.0.1:{port}" in said
            assert "in use" in said


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "x" * 100, "2001:db8::1"])
def test_an_address_that_is_not_here_is_one_clear_line(invoke: Invoke, host: str) -> None:
    assert host in _says_one_line(invoke("serve", "--host", host, PORT="0"), 1)


@pytest.mark.parametrize("command", ["apply", "status", "rollback"])
def test_a_database_that_is_not_there_is_one_clear_line(invoke: Invoke, command: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes it
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        result = invoke("migrate", command, DATABASE_URL=f"postgresql://u:canary@{address}/tasks")
    said = _says_one_line(result, 1)
    assert f"{address}/tasks" in said
    assert "canary" not in said


def test_a_database_that_refuses_is_one_clear_line(invoke: Invoke, dsn: Dsn) -> None:
    for refused in (replace(dsn, password="canary"), replace(dsn, database="nowhere"), replace(dsn, user="nobody")):
        said = _says_one_line(invoke("migrate", "status", DATABASE_URL=refused.libpq_url), 1)
        assert str(refused) in said
        assert "canary" not in said


def test_migrations_are_applied_once(invoke: Invoke, empty_database: Dsn) -> None:
    url = empty_database.libpq_url
    before = invoke("migrate", "status", DATABASE_URL=url)
    assert before.stdout.splitlines() == [f"{name}  pending" for name in _MIGRATIONS]
    first = invoke("migrate", "apply", DATABASE_URL=url)
    assert first.exit_code == 0
    lines = first.stdout.splitlines()
    assert [line.partition("  applied in ")[0] for line in lines] == _MIGRATIONS
    second = invoke("migrate", "apply", DATABASE_URL=url)
    assert (second.exit_code, second.stdout) == (0, "Nothing to apply.\n")
    after = invoke("migrate", "status", DATABASE_URL=url)
    assert (after.exit_code, after.stderr) == (0, "")
    assert after.stdout.splitlines() == [f"{name}  applied" for name in _MIGRATIONS]


def test_the_status_is_told_to_programs_as_json(invoke: Invoke, dsn: Dsn) -> None:
    result = invoke("migrate", "status", "--json", DATABASE_URL=dsn.libpq_url)
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["id"] for row in rows] == _MIGRATIONS
    assert {row["state"] for row in rows} == {"applied"}


def test_the_newest_migrations_are_rolled_back_first(invoke: Invoke, dsn: Dsn) -> None:
    url = dsn.libpq_url
    one = invoke("migrate", "rollback", "--yes", DATABASE_URL=url)
    assert one.exit_code == 0
    assert [line.partition("  rolled back in ")[0] for line in one.stdout.splitlines()] == _MIGRATIONS[:-2:-1]
    rest = invoke("migrate", "rollback", "--count", "99", "--yes", DATABASE_URL=url)
    assert [line.partition("  rolled back in ")[0] for line in rest.stdout.splitlines()] == _MIGRATIONS[-2::-1]
    none = invoke("migrate", "rollback", DATABASE_URL=url)
    assert (none.exit_code, none.stdout) == (0, "Nothing to roll back.\n")
    again = invoke("migrate", "apply", DATABASE_URL=url)
    assert again.stdout.count("applied in") == len(_MIGRATIONS)


def test_a_migration_that_fails_is_one_line_and_changes_nothing(
    invoke: Invoke, empty_database: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "0001.create-a.sql", tmp_path / "0002.create-b.sql"
    good.write_text("-- depends:\nCREATE TABLE a (id int);\n")
    bad.write_text("-- depends: 0001.create-a\nCREATE TABLE b (id int);\nSELECT 1 / 0;\n")
    write_checksums(tmp_path)
    monkeypatch.setattr("service.cli.migrate.resource_folder", lambda _name: tmp_path)
    result = invoke("migrate", "apply", DATABASE_URL=empty_database.libpq_url)
    assert result.exit_code == 1
    assert result.stdout.startswith("0001.create-a  applied")
    assert result.stderr.count("\n") == 1
    assert "0002.create-b" in result.stderr
    assert "division by zero" in result.stderr
    with psycopg.connect(empty_database.libpq_url) as connection:
        assert connection.execute("SELECT to_regclass('a'), to_regclass('b')").fetchone() == ("a", None)


def test_what_the_database_url_asks_in_vain_is_said(invoke: Invoke, dsn: Dsn) -> None:
    url = replace(dsn, parameters=(*dsn.parameters, ("connect_timeout", "5"))).libpq_url
    result = invoke("migrate", "status", DATABASE_URL=url)
    assert result.exit_code == 0
    assert result.stderr.startswith("DATABASE_URL: connect_timeout is not supported by asyncpg")
    assert str(dsn.password) not in result.stderr
