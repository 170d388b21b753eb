"""The schema as a DBA reads it: pg_dump's output without what differs from one run or machine to the next."""

import difflib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from psycopg.sql import Identifier

from service.database import embedded
from service.dsn import Dsn
from service.migrate.errors import MigrationError
from service.migrate.session import catalog, connect

_HEADER = "-- Generated from migrations/ by `make schema`: do not edit.\n\n"
# Up to the first object, or the end, stand the versions, a random token and settings of the session.
_PREAMBLE = re.compile(r"\A.*?(?=^--\n-- (Name: |PostgreSQL database dump complete$))", re.DOTALL | re.MULTILINE)
_NOISE = re.compile(
    r"""
    ^--\n--\ Name:\ .*;\ Type:\ .*\n--\n    # a title that repeats the statement below it
    | ^SET\ default_\w+\ =\ .*;\n           # settings that only a restore needs
    # The schema is there before; docs/roles.sql and whoever else administers it say who may use it.
    | ^(CREATE|COMMENT\ ON)\ SCHEMA\ .*;\n
    | ^(GRANT|REVOKE)\ .*\ ON\ SCHEMA\ .*;\n
    | ^--\n--\ PostgreSQL\ database\ dump\ complete\n--\n
    | ^\\unrestrict\ .*\n
    """,
    re.MULTILINE | re.VERBOSE,
)
_BLANK_LINES = re.compile(r"\n{3,}")
# Before 17 migration 0005 takes the operating system's collation, for want of one of PostgreSQL's own.
_COLLATION = "(provider = libc, lc_collate = 'C', lc_ctype = 'C.UTF-8')"
_BUILTIN_COLLATION = "(provider = builtin, locale = 'C.UTF-8')"


def difference(dsn: Dsn, expected: str, name: str, pg_dump: Path | None = None) -> str:
    """Return how a database's schema differs from what it should be, as a unified diff; nothing where it does not.

    The lines with a minus are missing in the database, and those with a plus should not be there.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        expected: the text that `dump` should return.
        name: the name of that text in the diff.
        pg_dump: the program, of the server's major version; if not given, it is looked for.

    Raises:
        MigrationError: the database cannot be read, or there is no such program.
    """
    with connect(dsn) as connection:
        major, schema = connection.info.server_version // 10_000, catalog.get_schema(connection)
    found = dump(dsn, _program(major, pg_dump), schema)
    lines = difflib.unified_diff(
        expected.splitlines(keepends=True), found.splitlines(keepends=True), name, str(dsn), n=3
    )
    return "".join(lines)


def dump(dsn: Dsn, pg_dump: Path, schema: str = "public") -> str:
    """Return a schema in SQL, without the runner's tables and yoyo's: the same text for the same schema.

    It reads as if the schema were called `public`, whatever its name, and as if the server were of version 17 or later.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        pg_dump: the program, of the server's major version.
        schema: the name of the schema.

    Raises:
        MigrationError: pg_dump is missing, or failed: its message, in one line.
    """
    direct = dsn.direct
    command = [
        str(pg_dump),
        "--schema-only",
        "--no-owner",
        "--no-password",
        "--encoding=UTF8",
        "--lock-wait-timeout=10s",
        f"--schema={Identifier(schema).as_string()}",
        "--exclude-table=_*",
        "--exclude-table=yoyo_lock",
        f"--dbname={replace(direct, password=None).libpq_url}",
    ]
    # Anyone on the machine can read the arguments of a process; its environment is its owner's.
    environment = os.environ | ({"PGPASSWORD": direct.password} if direct.password else {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 -- no shell, and the program is the caller's
    except OSError as error:
        raise MigrationError(f"Cannot run {pg_dump}: {error.strerror}.") from error
    if done.returncode:
        raise MigrationError(f"Cannot dump {dsn}: {' '.join(done.stderr.split())}")
    return _normalised(done.stdout, schema)


def _normalised(text: str, schema: str) -> str:
    objects = _NOISE.sub("", _PREAMBLE.sub("", text, count=1)).replace(_COLLATION, _BUILTIN_COLLATION)
    if schema != "public":
        names = f"{re.escape(Identifier(schema).as_string())}|{re.escape(schema)}"
        objects = re.sub(rf'(?<![\w."])({names})\.', "public.", objects)
    # FROM CURRENT, which is not the same for everybody who migrates.
    objects = re.sub(r"^( +SET search_path TO ).*", r"\1'$user', 'public'", objects, flags=re.MULTILINE)
    return _BLANK_LINES.sub("\n\n", _HEADER + objects).strip() + "\n"


def _program(major: int, given: Path | None) -> Path:
    """Return a pg_dump of this major version. That of another one words some things differently."""
    for program in [given] if given else _programs(major):
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(  # noqa: S603 -- no shell, and the program is the caller's or PostgreSQL's
                [program, "--version"], capture_output=True, encoding="utf-8", check=True, timeout=10
            )
            if re.search(rf" {major}\b", said.stdout):
                return program
    raise MigrationError(
        f"{given} is no pg_dump of PostgreSQL {major}."
        if given
        else f"There is no pg_dump of PostgreSQL {major} here: name one with --pg-dump."
    )


def _programs(major: int) -> Iterator[Path]:
    with suppress(embedded.EmbeddedError):
        yield embedded.packaged_binaries() / "pg_dump"
    yield Path(f"/usr/lib/postgresql/{major}/bin/pg_dump")  # where Debian puts it
    if found := shutil.which("pg_dump"):
        yield Path(found)
