"""The progress of a run, told while it goes on, and its conduct towards others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """An event of a run.

    Attributes:
        event: `applied` and `rolled back` end a migration; `waiting`, `retrying` and `repaired` come before that.
        migration_id: which migration; None for the lock on all of them.
        seconds: how long it took, or has been waited for.
        detail: for whom it waits, why it is tried again, or what was repaired; empty where there is nothing to tell.
    """

    event: Literal["applied", "rolled back", "waiting", "retrying", "repaired"]
    migration_id: str | None
    seconds: float
    detail: str = ""


Report: TypeAlias = Callable[[Progress], None]


def _tell_nobody(_progress: Progress) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Conduct:
    """The conduct of a run towards whoever else uses the database.

    Attributes:
        patience: for how many seconds it waits for another run.
        attempts: how often it tries a transactional migration that does not get a lock in time: by default for about
            half a minute in all.
        report: is told what happens, while it happens; from another thread too.
    """

    patience: float = 60.0
    attempts: int = 8
    report: Report = _tell_nobody


DEFAULT: Final = Conduct()
