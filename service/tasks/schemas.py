"""The schemas of tasks on the wire."""

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

from service.schemas.fields import (
    Flag,
    IsSet,
    Message,
    QueryFlag,
    QueryInteger,
    QueryTimestamp,
    Representation,
    Schema,
    Text,
    Timestamp,
    about,
    length,
    not_blank,
)
from service.schemas.shared_rows import USER_EXAMPLE

_STATUS_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

_TITLE = about("1 to 200 characters, not blank; kept as sent.", "Water the plants")
_DESCRIPTION = about("At most 2000 characters; null means none.", "The ferns too.")
_STATUS = about("One of `/api/task-statuses`.", "incomplete")
_COMPLETED = about(
    "Whether the status counts as completed. Where `status` is sent too, both must agree.", example=False
)

# White space as str.isspace() and tasks_title_blank_check have it.
_SPACE = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


class Title(Text):
    """The title of a task: what is to be done, in a line."""

    pattern = rf"^[^\u0000]*[^\u0000{_SPACE}][^\u0000]*$"

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- marshmallow's own
        super().__init__(validate=[length(1, 200), not_blank], metadata=_TITLE, **options)


class StatusName(Text):
    """The name of a status. A string that cannot be one is refused here; which names there are, the database knows."""

    pattern = f"^{_STATUS_NAME.pattern}$"

    def clean(self, value: str) -> str:
        """Refuse a name that task_statuses_status_format_check would refuse."""
        if not _STATUS_NAME.fullmatch(value):
            raise ValidationError(Message("There is no such status.", "unknown_status"))
        return value


class TaskCreate(Schema):
    """A new task. `status` and `completed` are two ways to say one thing; the database knows if they agree."""

    title = Title(required=True)
    description = Text(load_default=None, allow_none=True, validate=length(0, 2000), metadata=_DESCRIPTION)
    status = StatusName(metadata=_STATUS)
    completed = Flag(metadata=_COMPLETED)


class TaskUpdate(Schema):
    """A change of a task: a merge patch (RFC 7396), where absent means unchanged and null clears."""

    title = Title()
    description = Text(allow_none=True, validate=length(0, 2000), metadata=_DESCRIPTION)
    status = StatusName(metadata=_STATUS)
    completed = Flag(metadata=_COMPLETED)


NEWEST_FIRST = "-created_at"
OLDEST_FIRST = "created_at"
_order = validate.OneOf(
    (NEWEST_FIRST, OLDEST_FIRST), error=Message(f"Must be {NEWEST_FIRST} or {OLDEST_FIRST}.", "order")
)


class TaskListQuery(Schema):
    """The query string of a list of tasks."""

    status = StatusName(metadata=about("Only tasks in this status.", "in_progress"))
    completed = QueryFlag(metadata=about("Only tasks that are completed, or only those that are not.", example=True))
    created_after = QueryTimestamp(metadata=about("Only tasks created at this time or later.", "2026-11-01T00:00:00Z"))
    created_before = QueryTimestamp(metadata=about("Only tasks created before this time.", "2026-12-01T00:00:00Z"))
    q = Text(metadata=about("Only tasks whose title or description holds this text, in any letter case.", "plants"))
    sort = Text(load_default=NEWEST_FIRST, validate=_order, metadata=about("The order.", NEWEST_FIRST))
    limit = QueryInteger(1, 200, load_default=50, metadata=about("How many tasks a page has: 1 to 200.", 50))
    cursor = Text(metadata=about("The `next_cursor` of the page before, with the same filters and order.", "AAZ4…"))


_TIME = "2026-11-22T09:30:00.123456Z"


class Task(Representation):
    """A task, as its owner sees it."""

    id = fields.UUID(metadata=about("The id of the task; it never changes.", "5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"))
    user_id = fields.UUID(metadata=about("The user to whom the task belongs.", USER_EXAMPLE))
    title = Text(metadata=_TITLE)
    description = Text(allow_none=True, metadata=_DESCRIPTION)
    status = Text(metadata=_STATUS)
    completed = IsSet(attribute="completed_at", dump_only=True, metadata=_COMPLETED)
    completed_at = Timestamp(
        allow_none=True, metadata=about("When the task was completed; null while it is not.", None)
    )
    version = fields.Integer(metadata=about("Counts the changes from 1; quoted, it is the ETag.", 1))
    created_at = Timestamp(metadata=about("When the task was created; it never changes.", _TIME))
    updated_at = Timestamp(metadata=about("When the task last changed.", _TIME))


class TaskStatus(Representation):
    """A state that a task can be in."""

    status = Text(metadata=about("The name of the status.", "incomplete"))
    is_done = Flag(metadata=about("Whether a task in this status counts as completed.", example=False))
    position = fields.Integer(metadata=about("Its place in the order in which people see the statuses.", 1))
