"""The plan of a run: the SQL of each pending migration, with what it locks and for how long it may."""

from dataclasses import dataclass
from pathlib import Path

from service.dsn import Dsn
from service.migrate.execution import timeouts
from service.migrate.files import read_migrations
from service.migrate.locks import Lock, read
from service.migrate.runner import status
from service.migrate.standing import problems


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that is pending, as a step of the plan.

    Attributes:
        id: its name.
        purpose: why, in the words of its header.
        order: when, before the code or after it.
        is_transactional: whether it happens whole or not at all.
        lock_timeout: for how long a statement waits for a lock, as PostgreSQL reads it.
        statement_timeout: for how long a statement may go on.
        locks: those that it takes on tables that are there before; None where they have not been measured.
        sql: the SQL that is run.
    """

    id: str
    purpose: str
    order: str
    is_transactional: bool
    lock_timeout: str
    statement_timeout: str
    locks: tuple[Lock, ...] | None
    sql: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The run that `apply` would make.

    Attributes:
        problems: why it would be refused; empty where it would not.
        steps: the pending migrations, in the order in which they would be applied.
    """

    problems: list[str]
    steps: list[Step]


def plan(dsn: Dsn, folder: Path, *, allow_out_of_order: bool = False) -> Plan:
    """Return what `apply` would do now. Only reads, and takes no lock; see `status`.

    Args:
        dsn: the database; a pooler in front of it is bypassed.
        folder: where the migrations are.
        allow_out_of_order: as `apply` would have it.

    Raises:
        MigrationError: the folder or the database cannot be read.
    """
    standings = {standing.id: standing for standing in status(dsn, folder)}
    steps = []
    for migration in read_migrations(folder):
        if standings[migration.id].is_applied:
            continue
        locks = read(migration)
        lock_timeout, statement_timeout = timeouts(migration)
        steps.append(
            Step(
                id=migration.id,
                purpose=migration.header.get("Purpose", ""),
                order=migration.header.get("Order", ""),
                is_transactional=migration.is_transactional,
                lock_timeout=lock_timeout,
                statement_timeout=statement_timeout,
                locks=None if locks is None else tuple(lock for lock in locks if lock.direction == "apply"),
                sql=migration.text,
            )
        )
    return Plan(problems(standings.values(), allow_out_of_order=allow_out_of_order), steps)


def as_sql(planned: Plan) -> str:
    """Return a plan as SQL that could be run, each migration below a comment that says what DBAs ask."""
    return "".join(map(_as_sql, planned.steps)) or "-- Nothing is pending.\n"


def _as_sql(step: Step) -> str:
    if step.locks is None:
        locks = ["locks: not measured; `make schema` does so"]
    else:
        locks = [f"locks: {lock.mode} on {lock.table}{f', {lock.work}' if lock.work else ''}" for lock in step.locks]
    lines = [
        f"{step.id}: {step.purpose}",
        f"order: {step.order}",
        "in a transaction" if step.is_transactional else "not in a transaction",
        f"timeouts: {step.lock_timeout} for a lock, {step.statement_timeout} for a statement",
        *(locks or ["locks: nothing that is there before"]),
    ]
    comment = "".join(f"-- {line}\n" for line in lines)
    return f"{comment}\n{step.sql.rstrip()}\n\n"
