"""The rows that the queries about the database itself give."""

from service.schemas.fields import RowSchema, Text, about


class ServerVersion(RowSchema):
    """The version of the PostgreSQL that answers."""

    server_version = Text(metadata=about("Its version.", "18.6"))


class AppliedMigration(RowSchema):
    """A migration that the database has had."""

    migration_id = Text(allow_none=True, metadata=about("The name of its file, without `.sql`.", "0001.create-users"))
