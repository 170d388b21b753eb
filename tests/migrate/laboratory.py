"""A place to break runs in: databases at any migration, with rows, and what a run has left in one."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.files import write_checksums
from service.migrate.progress import Conduct, Progress
from service.migrate.snapshot import dump
from service.migrate.standing import State
from tests.migrate import example
from tests.migrate.example import MIGRATIONS, add_rows
from tests.migrate.interrupting import SECONDS

# Migrations of kinds that the example has none of: indexes are made and dropped CONCURRENTLY, and rows are changed, so
# that to do it twice would show.
CREATE_INDEX, DROP_INDEX, CHANGE_ROWS = (
    "9001.index-notes-title",
    "9002.drop-notes-title-index",
    "9003.change-notes",
)
MORE = {
    CREATE_INDEX: (
        "-- transactional: false\n\nCREATE INDEX CONCURRENTLY notes_title_idx ON notes (title);\n",
        "-- Loses: nothing.\n\nDROP INDEX CONCURRENTLY IF EXISTS notes_title_idx;\n",
    ),
    DROP_INDEX: (
        "-- transactional: false\n\nDROP INDEX CONCURRENTLY IF EXISTS notes_title_idx;\n",
        "-- Loses: nothing.\n\nCREATE INDEX CONCURRENTLY notes_title_idx ON notes (title);\n",
    ),
    CHANGE_ROWS: (
        (
            "ALTER TABLE notes ADD COLUMN words integer NOT NULL DEFAULT 0;\n\n"
            "UPDATE notes SET title = title || '!', words = 3;\n\n"
            "ALTER TABLE notes ADD CONSTRAINT notes_words_check CHECK (words >= 0);\n"
        ),
        "-- Loses: nothing.\n\nALTER TABLE notes DROP COLUMN words;\n\nUPDATE notes SET title = rtrim(title, '!');\n",
    ),
}
CONCURRENT = {CREATE_INDEX, DROP_INDEX}
IDS = [*example.IDS, *MORE]

TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
NOTES = (
    "SELECT migration_id, checksum, out_of_order, is_unfinished FROM _yoyo_migration"
    " FULL JOIN _migration_checksum USING (migration_id) ORDER BY migration_id"
)
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% migrate'"
LOG = "SELECT concat_ws(' ', operation, migration_id) FROM _yoyo_log ORDER BY created_at_utc"

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state that a run leaves: the schema, the rows, what is noted of each migration, and what yoyo logged."""

    schema: str
    rows: dict[str, list[Any]]
    notes: list[Any]
    log: list[str]


@dataclass(slots=True)
class Lab:
    """A server, and folders of as many migrations as wanted."""

    server: embedded.Server
    path: Path
    tally: Counter[str]

    def folder(self, last: str) -> Path:
        """Return a folder of all migrations up to this one."""
        path = self.path / last
        if not path.exists():
            path.mkdir()
            for id_ in IDS[: IDS.index(last) + 1]:
                texts = MORE.get(id_) or [
                    MIGRATIONS.joinpath(f"{id_}{suffix}").read_text() for suffix in (".sql", ".rollback.sql")
                ]
                for suffix, text in zip((".sql", ".rollback.sql"), texts, strict=True):
                    path.joinpath(id_ + suffix).write_text(text)
            write_checksums(path)
        return path

    @contextmanager
    def database(self, original: str = "template0") -> Iterator[Dsn]:
        """Lend a copy of a database."""
        name = f"crash_{next(_numbers)}"
        with psycopg.connect(self.server.dsn.libpq_url, autocommit=True) as administrator:
            make = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            administrator.execute(make.format(Identifier(name), Identifier(original)))
            try:
                yield replace(self.server.dsn, database=name)
            finally:
                administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @contextmanager
    def before(self, id_: str) -> Iterator[Dsn]:
        """Lend a database that has had what comes before this migration, with rows in each table."""
        with self.database() as dsn:
            if earlier := IDS[: IDS.index(id_)]:
                runner.apply(dsn, self.folder(earlier[-1]))
                add_rows(dsn)
            yield dsn

    @contextmanager
    def after(self, id_: str) -> Iterator[Dsn]:
        """Lend a database that has had this migration too, with rows in each table."""
        with self.before(id_) as dsn:
            runner.apply(dsn, self.folder(id_))
            add_rows(dsn)
            yield dsn

    def outcome(self, dsn: Dsn) -> Outcome:
        """Return all there is in a database; no index in it is invalid."""
        with psycopg.connect(dsn.libpq_url) as connection:
            assert connection.execute("SELECT indexrelid FROM pg_index WHERE NOT indisvalid").fetchall() == []
            names = [name for (name,) in connection.execute(TABLES) if not name.startswith(("_", "yoyo_"))]
            # The time at which a row was changed is not the same twice.
            every = SQL("SELECT to_jsonb(t) - 'updated_at' AS row FROM {} AS t ORDER BY row")
            rows = {name: connection.execute(every.format(Identifier(name))).fetchall() for name in names}
            noted = connection.execute(NOTES).fetchall()
            log = [operation for (operation,) in connection.execute(LOG)]
        return Outcome(dump(dsn, self.server.binaries / "pg_dump"), rows, noted, log)

    def undisturbed(self, base: Dsn, id_: str) -> Outcome:
        """Run undisturbed on a copy of a database, and return the state that this leaves."""
        with self.database(base.database) as dsn:
            runner.apply(dsn, self.folder(id_))
            return self.outcome(dsn)

    def repair(self, dsn: Dsn, last: str) -> list[str]:
        """Run `apply` once more, and nothing else, and return what it applied."""
        folder = self.folder(last)
        applied = runner.apply(dsn, folder, conduct=Conduct(report=self._tell))
        assert {standing.state for standing in runner.status(dsn, folder)} == {State.APPLIED}
        self.tally["finished by the next run"] += bool(applied)
        return applied

    def _tell(self, progress: Progress) -> None:
        self.tally["indexes repaired"] += progress.event == "repaired"


def select(dsn: Dsn, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[str]]:
    """Count what happens, and print it when all has happened."""
    tally: Counter[str] = Counter()
    began = time.monotonic()
    yield tally
    print(f"In all: {told(tally)}, manual repairs = 0, schema difference = 0, {time.monotonic() - began:.0f} s")  # noqa: T201 -- the guarantee's figures


def told(tally: Counter[str]) -> str:
    """Write figures in one line."""
    return ", ".join(f"{figure} {what}" for what, figure in tally.items())


@pytest.fixture
def lab(
    postgres: embedded.Server, tmp_path: Path, tally: Counter[str], request: pytest.FixtureRequest
) -> Iterator[Lab]:
    """A place to break things in, which prints what was broken."""
    lab = Lab(postgres, tmp_path, Counter())
    began = time.monotonic()
    yield lab
    tally.update(lab.tally)
    print(f"{request.node.name}: {told(lab.tally)}, {time.monotonic() - began:.1f} s")  # noqa: T201 -- the guarantee's figures


def until(holds: Callable[[], Any]) -> Any:
    """Wait for something that is true, and return it."""
    began = time.monotonic()
    while not (found := holds()):
        assert time.monotonic() - began < SECONDS
        time.sleep(0.02)
    return found


def until_the_session_has_ended(dsn: Dsn) -> None:
    """Wait until PostgreSQL has done with the runs that were killed."""
    until(lambda: not select(dsn, SESSIONS))
