"""The standing of a database to the migrations that this code comes with: some it lacks, some it has had otherwise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.migrate.files import Migration


class State(StrEnum):
    """The state of a migration, by its file and by what the database knows of it."""

    APPLIED = "applied"
    PENDING = "pending"
    AHEAD = "ahead"
    OUT_OF_ORDER = "out of order"
    EDITED = "edited"
    RENAMED = "renamed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Applied:
    """The knowledge that a database has of a migration that was applied to it.

    Attributes:
        applied_at: since when; None where that was not asked.
        checksum: of the file that was applied; None where it was not noted, or not asked.
        out_of_order: whether a later one had been applied before.
        is_unfinished: whether its rollback, which is not transactional, was cut off: it is applied again, or rolled
            back.
    """

    applied_at: datetime | None = None
    checksum: str | None = None
    out_of_order: bool = False
    is_unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One migration, as the folder and the database know it.

    Attributes:
        id: the file's name without `.sql`.
        state: `ahead` is a migration of a later release, which is not here; what comes after it in `State` is wrong.
        applied_at: since when the database has it.
        out_of_order: whether it was applied after a later one.
        problem: what is wrong and what to do, in two sentences; None where nothing is.
    """

    id: str
    state: State
    applied_at: datetime | None = None
    out_of_order: bool = False
    problem: str | None = None

    @property
    def is_applied(self) -> bool:
        """True if the database has it."""
        return self.state not in {State.PENDING, State.OUT_OF_ORDER}


def compare(migrations: Sequence[Migration], applied: Mapping[str, Applied]) -> list[Standing]:
    """Compare files and history: return the standing of every migration, in the order of their numbers.

    Args:
        migrations: those of the folder.
        applied: those that the database has had, by id.
    """
    ids = {migration.id for migration in migrations}
    last = max((migration.number for migration in migrations), default=0)
    last_applied = max((_number(id_) for id_ in applied), default=0)
    pending = {migration.checksum: migration.id for migration in migrations if migration.id not in applied}
    here = [
        _of_applied(migration, applied[migration.id])
        if migration.id in applied
        else _of_pending(migration, last_applied)
        for migration in migrations
    ]
    gone = [_of_gone(id_, applied[id_], last, pending) for id_ in applied if id_ not in ids]
    return sorted(here + gone, key=lambda standing: standing.id)


def problems(standings: Iterable[Standing], *, allow_out_of_order: bool = False) -> list[str]:
    """Return the reasons not to go on from this history; none where it is that of the files."""
    return [
        one.problem for one in standings if one.problem and not (allow_out_of_order and one.state is State.OUT_OF_ORDER)
    ]


def _of_applied(migration: Migration, was: Applied) -> Standing:
    if was.checksum in {None, migration.checksum}:
        if was.is_unfinished:
            return Standing(migration.id, State.PENDING)
        return Standing(migration.id, State.APPLIED, was.applied_at, was.out_of_order)
    problem = "was edited after it was applied. Undo the edit, and write what it wants as the next migration."
    return Standing(migration.id, State.EDITED, was.applied_at, was.out_of_order, f"{migration.id} {problem}")


def _of_pending(migration: Migration, last_applied: int) -> Standing:
    if migration.number > last_applied:
        return Standing(migration.id, State.PENDING)
    problem = f"comes before {last_applied:04}, which has been applied. Give it the next number that is free."
    return Standing(migration.id, State.OUT_OF_ORDER, problem=f"{migration.id} {problem}")


def _of_gone(id_: str, was: Applied, last: int, pending: Mapping[str, str]) -> Standing:
    """Return the standing of a migration that was applied and has no file here."""
    if new_name := pending.get(was.checksum or ""):
        state, problem = State.RENAMED, f"was renamed to {new_name} after it was applied. Give it its name back."
    elif _number(id_) > last:
        return Standing(id_, State.AHEAD, was.applied_at, was.out_of_order)
    else:
        state, problem = State.DELETED, "was applied and has no file here. Put it back, or use the release that has it."
    return Standing(id_, state, was.applied_at, was.out_of_order, f"{id_} {problem}")


def _number(id_: str) -> int:
    """Return the number that an id begins with; 0 for one that we did not name."""
    return int(id_[:4]) if id_[:4].isdecimal() else 0
