"""A corpus of statements, and two databases that show what they do: one where Bob is beside Alice, and one without him.

In isolation/ stands what is right, what is wrong, and what is refused though it may be harmless, each with its reason.
A statement of Alice's is wrong if it changes rows of Bob, or does anything else where he is than where he is not.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosql
import psycopg
import pytest

from service.database import embedded
from service.sqlcheck.project import Project, read_project
from service.sqlcheck.reading.schema import read_schema
from service.sqlcheck.reading.statements import Statement, read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import second_database

__all__ = [
    "ARGUMENTS",
    "CASES",
    "FOLDER",
    "Case",
    "World",
    "corpus",
    "depends_on_bob",
    "is_repeatable",
    "outcome",
    "two_members",
    "worlds",
]

FOLDER = Path(__file__).parent
_EXAMPLE = read_project(FOLDER / "example")
PROJECT = replace(_EXAMPLE, folder=FOLDER, names={**_EXAMPLE.names, "sql": "isolation"})
two_members = aiosql.from_path(FOLDER / "two_members.sql", "psycopg", mandatory_parameters=True)

ALICE = "00000000-0000-4000-8000-00000000000a"
BOB = "00000000-0000-4000-8000-00000000000b"
ARGUMENTS = {
    "member_id": ALICE,
    "other_id": BOB,
    # Of a member where the statement is on members alone, and else of a note: both members have one.
    "id": ALICE,
    "ids": f"{{{ALICE}}}",
    "member_ids": f"{{{ALICE},{BOB}}}",
    "new_id": "00000000-0000-4000-8000-00000000000f",
    "shelf_id": "00000000-0000-4000-8000-00000000000e",
    "email": "bob@example.com",
    "title": "a new title",
    "rows": f'{{"({BOB},{ALICE},1,,,)"}}',
}


@dataclass(frozen=True, slots=True)
class Case:
    """A statement of the corpus: whether it is right, wrong or refused, and the fault that it is to have."""

    statement: Statement
    verdict: str
    diagnostic: str | None


def _cases() -> Iterator[Case]:
    for statement in read_statements(PROJECT):
        match = re.fullmatch(r"(right|wrong|refused): .+?\.(?: fault: (.+))?", statement.about)
        assert match, f"{statement.file}:{statement.line} {statement.name}"
        assert (match[1] == "right") == (match[2] is None), statement.name
        yield Case(statement, match[1], match[2])


CASES = list(_cases())


@dataclass(frozen=True, slots=True)
class World:
    """A database where there are some members, and its rows."""

    connection: psycopg.Connection[Any]
    rows: list[Any]


@pytest.fixture(scope="module")
def worlds(postgres: embedded.Server, project: Project) -> Iterator[tuple[World, World]]:
    """A database where there is Bob beside Alice, and one where there is not."""
    with psycopg.connect(postgres.dsn.libpq_url, autocommit=True) as server, ExitStack() as stack:
        both, alone = (stack.enter_context(second_database(project, server)) for _ in range(2))
        yield _world(both, {ALICE: "alice", BOB: "bob"}), _world(alone, {ALICE: "alice"})


def _world(connection: psycopg.Connection[Any], members: dict[str, str]) -> World:
    two_members.create_tables(connection)
    # For a mutant whose recursion does not end.
    connection.execute("SET temp_file_limit = '64MB'")
    connection.execute("SET statement_timeout = '10s'")
    for id_, name in members.items():
        two_members.create_member(connection, id=id_, name=name)
        two_members.create_notes(connection, id=id_, name=name)
        two_members.create_revision(connection, id=id_)
        two_members.create_label(connection, id=id_, name=name)
    two_members.create_departure(connection, id=ALICE)
    return World(connection, list(two_members.list_rows(connection)))


@pytest.fixture(scope="module")
def corpus(worlds: tuple[World, World]) -> Subject:
    """The statements of the corpus, held against the schema that they are about."""
    connection = worlds[0].connection
    return Subject(PROJECT, [case.statement for case in CASES], read_schema(PROJECT, connection), connection)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows that a statement returned, or the error that it failed with, and every row after it."""

    returned: list[str]
    error: str | None
    rows: list[Any]


def outcome(world: World, statement: Statement) -> Outcome:
    """Run a statement of Alice's, and undo it."""
    returned, failure = [], None
    with world.connection.transaction(force_rollback=True):
        try:
            with world.connection.transaction(), psycopg.RawCursor(world.connection) as cursor:
                cursor.execute(statement.sql.encode(), [ARGUMENTS[name] for name in statement.parameters])
                returned = sorted(_text(row) for row in cursor.fetchall()) if cursor.description else []
        except psycopg.IntegrityError as error:
            failure = error.sqlstate
        return Outcome(returned, failure, list(two_members.list_rows(world.connection)))


def _text(row: tuple[Any, ...]) -> str:
    """Write a row without its times, which are never the same twice."""
    return str([value for value in row if not isinstance(value, datetime)])


def _of(rows: list[Any], *, bob: bool) -> list[Any]:
    return [row for row in rows if (str(row[1]) == BOB) == bob]


def depends_on_bob(statement: Statement, worlds: tuple[World, World]) -> bool:
    """Tell whether a statement changes rows of Bob, or does anything else where he is than where he is not."""
    both, alone = (outcome(world, statement) for world in worlds)
    return (
        (both.returned, both.error) != (alone.returned, alone.error)
        or _of(both.rows, bob=True) != _of(worlds[0].rows, bob=True)
        or _of(both.rows, bob=False) != alone.rows
    )


def is_repeatable(statement: Statement, world: World) -> bool:
    """Tell whether a statement does the same each time: it shows no time of its own, and makes up no id."""
    return outcome(world, statement) == outcome(world, statement)
