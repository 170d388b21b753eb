"""The schemas, the settings and the constraints that the example's comments and its description name."""

import sys
from dataclasses import dataclass
from typing import Final

from marshmallow import fields

from service.schemas.fields import (
    Binary,
    Flag,
    IsSet,
    Representation,
    RowSchema,
    Schema,
    Text,
    Timestamp,
    about,
    length,
)
from service.schemas.registry import Registry

_MEMBER: Final = "0b6f7d53-8a4e-4c1e-9a45-3f1d2c5b7a90"
_NOTE: Final = "5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"
_FIRST: Final = "00000000-0000-0000-0000-000000000000"

SESSION: Final = {"enable_bitmapscan": "off", "jit": "off"}
VIOLATIONS: Final = {
    "members_email_key": "taken",
    "notes_member_id_fkey": "gone",
    "notes_topic_fkey": "no such topic",
}


@dataclass(frozen=True)
class Settings:
    """The settings."""

    revision_ttl: int
    timezone: str


class MemberKey(RowSchema):
    """The key of a member."""

    id = fields.UUID(metadata=about("The id of the member.", _MEMBER))


class MemberDraft(RowSchema):
    """A member who is to be stored."""

    email = Text(validate=length(3, 255), metadata=about("The address, in lower case.", "new@example.com"))
    password_hash = Text(metadata=about("The hash of the password.", "y"))


class Member(Representation):
    """A member, as the member may see it."""

    id = fields.UUID(metadata=about("The id of the member.", _MEMBER))
    email = Text(metadata=about("The address.", "me@example.com"))
    created_at = Timestamp(metadata=about("When the member registered.", "2026-11-22T09:30:00Z"))
    updated_at = Timestamp(metadata=about("When something changed last.", "2026-11-22T09:30:00Z"))


class Credentials(MemberKey):
    """The credentials that a log-in is checked against."""

    email = Text(metadata=about("The address.", "me@example.com"))
    password_hash = Text(metadata=about("The hash of the password.", "x"))


class NoteOwner(RowSchema):
    """The owner of notes."""

    member_id = fields.UUID(metadata=about("The member whose notes they are.", _MEMBER))


class NoteKey(NoteOwner):
    """The key of a note."""

    id = fields.UUID(metadata=about("The id of the note.", _NOTE))


class NoteAtVersions(NoteKey):
    """The key of a note, and the versions at which it may be."""

    versions = fields.List(
        fields.Integer(), allow_none=True, metadata=about("The versions that it may have; NULL means any.", [1])
    )


class Note(Representation):
    """A note."""

    member_id = fields.UUID(metadata=about("The owner.", _MEMBER))
    id = fields.UUID(metadata=about("The id of the note.", _NOTE))
    title = Text(metadata=about("What it is called.", "About the plants"))
    body = Text(allow_none=True, metadata=about("What it says.", "As we said."))
    topic = Text(metadata=about("What it is about.", "draft"))
    closed = IsSet(attribute="closed_at", dump_only=True, metadata=about("Whether it is closed.", example=False))
    closed_at = Timestamp(allow_none=True, metadata=about("When it was closed.", "2026-11-22T09:30:00Z"))
    version = fields.Integer(metadata=about("How many changes it has had.", 1))
    created_at = Timestamp(metadata=about("When it was made.", "2026-11-22T09:30:00Z"))
    updated_at = Timestamp(metadata=about("When it was changed last.", "2026-11-22T09:30:00Z"))


class NoteDraft(Schema):
    """A note that is to be stored."""

    title = Text(required=True, validate=length(1, 200), metadata=about("What it is called.", "About the plants"))
    body = Text(
        load_default=None, allow_none=True, validate=length(0, 2000), metadata=about("What it says.", "As we said.")
    )
    topic = Text(required=True, metadata=about("What it is about.", "draft"))


class NoteChanges(Schema):
    """The changes of a note; what is absent is NULL, and leaves its column alone."""

    title = Text(validate=length(1, 200), metadata=about("What it is called.", "About the plants"))
    replaces_body = Flag(required=True, metadata=about("Whether `body` counts, which may be NULL.", example=False))
    body = Text(allow_none=True, validate=length(0, 2000), metadata=about("What it says.", "As we said."))
    topic = Text(metadata=about("What it is about.", "draft"))


class NoteFilter(RowSchema):
    """The filters of a list of notes."""

    topic = Text(allow_none=True, metadata=about("Only notes under this topic; NULL means under any.", "draft"))
    closed = Flag(allow_none=True, metadata=about("Only those that are closed, or are not.", example=False))


class NoteSearch(NoteFilter):
    """The filters of a search of notes."""

    q = Text(metadata=about("The text that the title or the body contains.", "plants"))


class NewestFirst(NoteOwner):
    """A page of a member's notes, newest first."""

    before_created_at = Timestamp(metadata=about("The position that the page begins after.", "2026-09-01T00:00:00Z"))
    before_id = fields.UUID(metadata=about("The id of the note at that position.", _FIRST))
    page_size = fields.Integer(metadata=about("How many notes.", 51))


class OldestFirst(NoteOwner):
    """A page of a member's notes, oldest first."""

    after_created_at = Timestamp(metadata=about("The position that the page begins after.", "2026-09-01T00:00:00Z"))
    after_id = fields.UUID(metadata=about("The id of the note at that position.", _FIRST))
    page_size = fields.Integer(metadata=about("How many notes.", 51))


class RevisionsOfNote(NoteOwner):
    """The note whose revisions they are."""

    note_id = fields.UUID(metadata=about("The id of the note.", _NOTE))


class RevisionKey(RevisionsOfNote):
    """The key of a revision."""

    number = fields.Integer(metadata=about("The number of the revision.", 1))


class SparedRevision(RowSchema):
    """The revision that stays."""

    spared_number = fields.Integer(allow_none=True, metadata=about("The number of the one; NULL means none.", 2))


class Revision(RowSchema):
    """A former text of a note."""

    member_id = fields.UUID(metadata=about("The owner.", _MEMBER))
    note_id = fields.UUID(metadata=about("The id of the note.", _NOTE))
    number = fields.Integer(metadata=about("The number of the revision.", 3))
    body = Text(metadata=about("What it said.", "As it was."))
    saved_at = Timestamp(metadata=about("When it said so.", "2026-11-22T09:30:00Z"))
    title = Text(metadata=about("What it is called now.", "About the plants"))


class Removal(RowSchema):
    """A note that is no more."""

    digest = Binary(metadata=about("SHA-256 of its id.", b"\0" * 32))
    removed_at = Timestamp(metadata=about("When it was removed.", "2026-11-22T09:30:00Z"))


class RemovalPage(RowSchema):
    """A page of removals."""

    after_removed_at = Timestamp(metadata=about("The position that the page begins after.", "2026-11-22T09:00:00Z"))
    after_digest = Binary(metadata=about("The digest at that position.", b""))
    page_size = fields.Integer(metadata=about("How many removals.", 51))


class Topic(Representation):
    """A topic that a note can be under."""

    topic = Text(metadata=about("Its name.", "draft"))
    is_closed = Flag(metadata=about("Whether its notes are closed.", example=False))
    position = fields.Integer(metadata=about("Its place among the topics.", 10))


class PurgeBatch(RowSchema):
    """The size of a batch."""

    batch_size = fields.Integer(metadata=about("How many rows at most.", 1000))


class ServerVersion(RowSchema):
    """The version of the database."""

    server_version = Text(metadata=about("As PostgreSQL tells it.", "18.6"))


REGISTRY: Final = Registry.of(sys.modules[__name__], settings=Settings)
