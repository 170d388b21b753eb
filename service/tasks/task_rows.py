"""The rows that the queries of tasks take and give, beside the schemas of the wire."""

from marshmallow import fields

from service.schemas.fields import Flag, RowSchema, Text, Timestamp, about
from service.schemas.shared_rows import USER_EXAMPLE
from service.tasks.schemas import StatusName, TaskCreate, TaskUpdate

_FIRST_ID = "00000000-0000-0000-0000-000000000000"


class TaskOwner(RowSchema):
    """The owner of tasks."""

    user_id = fields.UUID(metadata=about("The user in the path, else the caller.", USER_EXAMPLE))


class TaskKey(TaskOwner):
    """The key of a task."""

    id = fields.UUID(metadata=about("The id of the task.", "5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"))


class TaskAtVersions(TaskKey):
    """The key of a task, and the versions at which the caller knows it."""

    versions = fields.List(
        fields.Integer(), allow_none=True, metadata=about("The versions that If-Match allows; NULL means any.", [1])
    )


class TaskDraft(TaskCreate):
    """A task that is to be stored: what was sent, its `completed` made a status."""

    status = StatusName(required=True, metadata=about("One of the states that a task can be in.", "incomplete"))

    class Meta:
        """marshmallow's options."""

        exclude = ("completed",)


class TaskChanges(TaskUpdate):
    """The changes of a task: a member that the merge patch leaves out is NULL, and leaves its column alone."""

    replaces_description = Flag(
        required=True, metadata=about("Whether `description` counts, which may be NULL itself.", example=False)
    )


class TaskFilter(RowSchema):
    """The filter of a list of tasks."""

    status = Text(allow_none=True, metadata=about("Only tasks in this status; NULL means in any.", "incomplete"))
    completed = Flag(allow_none=True, metadata=about("Only those that are done, or are not.", example=False))


class TaskSearch(TaskFilter):
    """The filter of a search of tasks."""

    q = Text(metadata=about("The text that the title or the description holds.", "plants"))


class NewestFirst(TaskOwner):
    """A page of a user's tasks, newest first."""

    before_created_at = Timestamp(metadata=about("The position that the page begins after.", "2026-09-01T00:00:00Z"))
    before_id = fields.UUID(metadata=about("The id of the task at that position.", _FIRST_ID))
    created_after = Timestamp(metadata=about("How far the list goes, this moment included.", "2026-01-01T00:00:00Z"))
    page_size = fields.Integer(metadata=about("How many tasks, and one that tells of more.", 51))


class OldestFirst(TaskOwner):
    """A page of a user's tasks, oldest first."""

    after_created_at = Timestamp(metadata=about("The position that the page begins after.", "2026-09-01T00:00:00Z"))
    after_id = fields.UUID(metadata=about("The id of the task at that position.", _FIRST_ID))
    created_before = Timestamp(metadata=about("How far the list goes, this moment excluded.", "2027-01-01T00:00:00Z"))
    page_size = fields.Integer(metadata=about("How many tasks, and one that tells of more.", 51))
