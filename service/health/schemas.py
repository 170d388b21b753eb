"""The schemas of health on the wire."""

from marshmallow import fields, validate

from service.schemas.fields import Flag, Representation, Text, about

_VERDICT = validate.OneOf(["ok", "unavailable"])


class Liveness(Representation):
    """Liveness: the process answers."""

    status = Text(validate=validate.OneOf(["ok"]), metadata=about("Always ok.", "ok"))


class ReadinessChecks(Representation):
    """The conditions of readiness, one by one."""

    database = Text(validate=_VERDICT, metadata=about("Whether the database answers.", "ok"))
    migrations = Text(
        validate=validate.OneOf(["ok", "behind", "ahead", "unknown"]),
        metadata=about("The schema compared with the migrations of this release; `ahead` is as good as `ok`.", "ok"),
    )
    queries = Text(
        metadata=about(
            "`ok` where every query works on the schema, else the names of those that do not; the log says why.", "ok"
        )
    )
    revocations = Text(
        validate=validate.OneOf(["ok", "stale"]),
        metadata=about("Whether this process hears at once of access tokens that are stopped.", "ok"),
    )
    draining = Flag(metadata=about("Whether the service is shutting down.", example=False))


class Readiness(Representation):
    """Readiness: whether requests should be sent here."""

    status = Text(validate=_VERDICT, metadata=about("The verdict.", "ok"))
    checks = fields.Nested(
        ReadinessChecks,
        metadata=about(
            "Why.", {"database": "ok", "migrations": "ok", "queries": "ok", "revocations": "ok", "draining": False}
        ),
    )


class DatabaseHealth(Representation):
    """The state of the database: whether it answers, and how fast."""

    status = Text(validate=_VERDICT, metadata=about("The verdict.", "ok"))
    latency_ms = fields.Float(
        allow_none=True, metadata=about("The time of one small query; null where the database did not answer.", 0.42)
    )
    server_version = Text(allow_none=True, metadata=about("PostgreSQL's version.", "18.6"))


class PoolHealth(Representation):
    """The connections of this process."""

    size = fields.Integer(metadata=about("Those that are kept.", 10))
    checked_in = fields.Integer(metadata=about("Those that are idle.", 9))
    checked_out = fields.Integer(metadata=about("Those in use.", 1))
    overflow = fields.Integer(metadata=about("Those beyond `size`.", 0))
    total = fields.Integer(metadata=about("All of them.", 10))
