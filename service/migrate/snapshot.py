"""The schema as a DBA reads it: pg_dump's output without what differs from one run or machine to the next."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

from service.dsn import Dsn
from service.migrate.errors import MigrationError

_HEADER = "-- Generated from migrations/ by `make schema`: do not edit.\n\n"
# Up to the first object, or the end, stand the versions, a random token and settings of the session.
_PREAMBLE = re.compile(r"\A.*?(?=^--\n-- (Name: |PostgreSQL database dump complete$))", re.DOTALL | re.MULTILINE)
_NOISE = re.compile(
    r"""
    ^--\n--\ Name:\ .*;\ Type:\ .*\n--\n    # a title that repeats the statement below it
    | ^SET\ default_\w+\ =\ .*;\n           # settings that only a restore needs
    | ^--\n--\ PostgreSQL\ database\ dump\ complete\n--\n
    | ^\\unrestrict\ .*\n
    """,
    re.MULTILINE | re.VERBOSE,
)
_BLANK_LINES = re.compile(r"\n{3,}")


def dump(dsn: Dsn, pg_dump: Path) -> str:
    """Return the schema of `dsn` in SQL, without yoyo's own tables: the same text for the same schema.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        pg_dump: the program, of the server's major version or a later one.

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
        "--exclude-table=_yoyo_*",
        "--exclude-table=yoyo_lock",
        f"--dbname={replace(direct, password=None).libpq_url}",
    ]
    # Anyone on the machine can read the arguments of a process; its environment is its owner's.
    environment = {"PGPASSWORD": direct.password or ""}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 -- no shell, and the program is the caller's
    except OSError as error:
        raise MigrationError(f"Cannot run {pg_dump}: {error.strerror}.") from error
    if done.returncode:
        raise MigrationError(f"Cannot dump {dsn}: {' '.join(done.stderr.split())}")
    return _normalised(done.stdout)


def _normalised(text: str) -> str:
    objects = _NOISE.sub("", _PREAMBLE.sub("", text, count=1))
    return _BLANK_LINES.sub("\n\n", _HEADER + objects).strip() + "\n"
