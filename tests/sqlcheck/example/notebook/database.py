"""The statements, and the notes that they are about."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

from service.database.queries import Executor, load_queries

queries: Any = load_queries(Path(__file__).parents[1] / "sql")

_PAGE: Final = {"before_created_at": datetime.max.replace(tzinfo=UTC), "before_id": UUID(int=0), "page_size": 10}


class Notes(Protocol):
    """The notes of a member."""

    async def newest(self, topic: str | None) -> list[Any]:
        """Return a page of them, the newest first."""

    async def remove(self, id_: UUID) -> bool:
        """Remove one, and tell whether it was there."""


class StoredNotes:
    """The notes of a member in a database."""

    def __init__(self, database: Executor, member_id: UUID) -> None:
        self._database = database
        self._owner = {"member_id": member_id}

    async def newest(self, topic: str | None) -> list[Any]:
        """Return a page of them, the newest first."""
        list_, narrowed = _LISTS[topic is not None]
        chosen = {"topic": topic, "closed": None} if narrowed else {}
        notes: list[Any] = await list_(self._database, **self._owner, **_PAGE, **chosen)
        return notes

    async def remove(self, id_: UUID) -> bool:
        """Remove one, and tell whether it was there."""
        return await queries.delete_note(self._database, **self._owner, id=id_, versions=None) is not None


_LISTS: Final = {False: (queries.list_notes, False), True: (queries.list_notes_by_topic, True)}
