"""What tasks look like on the wire."""

from marshmallow import fields

from service.http.fields import Flag, IsSet, QueryFlag, QueryInteger, Schema, Text, Timestamp, length, not_blank


class TaskCreate(Schema):
    """What makes a task. `status` and `completed` are two ways to say one thing; the database knows if they agree."""

    title = Text(required=True, validate=[length(1, 200), not_blank])
    description = Text(load_default=None, allow_none=True, validate=length(0, 2000))
    status = Text()
    completed = Flag()


class TaskUpdate(Schema):
    """What changes a task: a merge patch (RFC 7396), where absent means unchanged and null clears."""

    title = Text(validate=[length(1, 200), not_blank])
    description = Text(allow_none=True, validate=length(0, 2000))
    status = Text()
    completed = Flag()


class TaskListQuery(Schema):
    """What a list of tasks can be asked for."""

    status = Text()
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
