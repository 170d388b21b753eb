"""The sessions that a migration waits for, seen from another one, while its own is busy waiting."""

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg

from service.dsn import Dsn
from service.migrate.errors import MigrationError
from service.migrate.progress import Progress, Report
from service.migrate.session import catalog, connect, described

_LOOK_SECONDS = 0.25


class Watch:
    """A watch over a session, which tells for whom it waits, while the block goes on.

    Attributes:
        blockers: the sessions that it waited for when last seen, in words; empty where nobody was in its way.
    """

    def __init__(self, dsn: Dsn, pid: int, migration_id: str, report: Report) -> None:
        """Watch the session of process `pid`, which runs a migration. A run that ends at once is not looked at."""
        self.blockers = ""
        self._watched = (dsn, pid, migration_id, report)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        dsn, pid, migration_id, report = self._watched
        began = time.monotonic()
        if self._ended.wait(_LOOK_SECONDS):
            return
        # The run itself fails where the database does.
        with suppress(psycopg.Error, MigrationError), connect(dsn) as connection:
            connection.autocommit = True
            told: set[int] = set()
            while not self._ended.is_set():
                rows = list(catalog.list_blockers(connection, pid=pid))
                if rows:
                    self.blockers = ", ".join(described(*row) for row in rows)
                if new := {row[0] for row in rows} - told:
                    told |= new
                    report(Progress("waiting", migration_id, time.monotonic() - began, f"waits for {self.blockers}"))
                self._ended.wait(_LOOK_SECONDS)
