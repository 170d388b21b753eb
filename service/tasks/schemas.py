"""What tasks look like on the wire."""

import re

from marshmallow import ValidationError, fields

from service.http.fields import (
    Flag,
    IsSet,
    Message,
    QueryFlag,
    QueryInteger,
    Schema,
    Text,
    Timestamp,
    length,
    not_blank,
)

_STATUS_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class StatusName(Text):
    """The name of a status. What cannot be one is told here; which names there are, the database knows."""

    def clean(self, value: str) -> str:
        """Refuse what task_statuses_status_format_check does not let be a name."""
        if not _STATUS_NAME.fullmatch(value):
            raise ValidationError(Message("There is no such status.", "unknown_status"))
        return value


class TaskCreate(Schema):
    """What makes a task. `status` and `completed` are two ways to say one thing; the database knows if they agree."""

    title = Text(required=True, validate=[length(1, 200), not_blank])
    description = Text(load_default=None, allow_none=True, validate=length(0, 2000))
    status = StatusName()
    completed = Flag()


class TaskUpdate(Schema):
    """What changes a task: a merge patch (RFC 7396), where absent means unchanged and null clears."""

    title = Text(validate=[length(1, 200), not_blank])
    description = Text(allow_none=True, validate=length(0, 2000))
    status = StatusName()
    completed = Flag()


class TaskListQuery(Schema):
    """What a list of tasks can be asked for."""

    status = StatusName()
    completed = QueryFlag()
    limit = QueryInteger(1, 200, load_default=50)
    cursor = Text()


class Task(Schema):
    """A task, as its owner sees it."""

    id = fields.UUID()
    user_id = fields.UUID()
    title = Text()
    description = Text(allow_none=True)
    status = Text()
    completed = IsSet(attribute="completed_at", dump_only=True)
    completed_at = Timestamp(allow_none=True)
    version = fields.Integer()
    created_at = Timestamp()
    updated_at = Timestamp()


class TaskStatus(Schema):
    """A state that a task can be in."""

    status = Text()
    is_done = Flag()
    position = fields.Integer()
