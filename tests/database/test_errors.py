"""The meaning of database errors: each constraint of the schema, and each way in which a database fails."""

import asyncpg
import pytest

from service.database.errors import CONSTRAINTS, is_unavailable, violation
from service.http.problems import KINDS

# The constraints that no request can break, and why.
_UNREACHABLE = {
    "clients_name_check": "the command line lets no such name in",
    "clients_pkey": "the database draws the id",
    "clients_previous_secret_check": "one statement writes both, and the first is a SHA-256",
    "clients_scopes_check": "the command line lets no such scope in",
    "clients_secret_hash_length_check": "it is always a SHA-256",
    "idempotency_records_fingerprint_length_check": "it is always a SHA-256",
    "idempotency_records_key_length_check": "no longer key is let in",
    "idempotency_records_pkey": "the record of a key that is used again is replaced",
    "idempotency_records_status_success_check": "a refusal is raised, and not kept",
    "idempotency_records_user_id_fkey": "the user has been found and locked with the key",
    "login_failures_failures_positive_check": "they are only counted upwards",
    "login_failures_pkey": "a count that is there is raised",
    "login_failures_subject_length_check": "it is always a SHA-256",
    "revocations_pkey": "what is revoked already is left alone",
    "sessions_pkey": "the service draws the id, of 122 random bits",
    "sessions_successor_salt_length_check": "it is always 256 random bits",
    "sessions_token_hash_length_check": "it is always a SHA-256",
    "sessions_user_id_fkey": "the statement has found and locked the user",
    "spent_refresh_tokens_pkey": "a token is spent once, by the statement that finds it live",
    "spent_refresh_tokens_session_fkey": "the statement has found and locked the session",
    "spent_refresh_tokens_token_hash_length_check": "it is always a SHA-256",
    "task_statuses_pkey": "no route adds a status",
    "task_statuses_position_key": "no route adds a status",
    "task_statuses_status_format_check": "no route adds a status",
    "tasks_pkey": "the database draws the id",
    "tasks_version_positive_check": "only the trigger writes the version",
    "users_pkey": "the database draws the id",
}


async def test_every_constraint_is_explained_or_out_of_reach(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
        " WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u', 'x')"
        " AND relname !~ '^_|yoyo'"
    )
    existing = {row["conname"] for row in rows}
    assert existing == CONSTRAINTS.keys() | _UNREACHABLE.keys()
    assert not CONSTRAINTS.keys() & _UNREACHABLE.keys()


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_every_violation_becomes_a_problem_that_exists(name: str) -> None:
    found = CONSTRAINTS[name]
    assert found.code in KINDS
    assert found.detail.endswith(".")
    assert (found.code == "validation_error") == found.pointer.startswith("/")


_SOMEBODY = "INSERT INTO users (email, password_hash) VALUES ('a@example.com', '-')"
_TASK = "INSERT INTO tasks (user_id, title, description, status) SELECT id, {} FROM users"


_BREAKING = [
    (_SOMEBODY, "users_email_key"),
    ("INSERT INTO users (email, password_hash) VALUES ('A@example.com', '-')", "users_email_canonical_check"),
    ("INSERT INTO users (email, password_hash) VALUES ('@', '-')", "users_email_canonical_check"),
    (_TASK.format("'t', NULL, 'no_such'"), "tasks_status_fkey"),
    (_TASK.format("' ', NULL, 'incomplete'"), "tasks_title_blank_check"),
    ("INSERT INTO tasks (user_id, title) VALUES (gen_random_uuid(), 't')", "tasks_user_id_fkey"),
]


async def test_a_broken_constraint_is_known_by_its_name(connection: asyncpg.Connection) -> None:
    await connection.execute(_SOMEBODY)
    for statement, name in _BREAKING:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as broken:
            await connection.execute(statement)
        assert broken.value.constraint_name == name
        assert violation(broken.value) == CONSTRAINTS[name]
        assert not is_unavailable(broken.value)


async def test_a_value_that_cannot_be_stored_is_the_requests_fault(connection: asyncpg.Connection) -> None:
    cases: list[tuple[str, object]] = [
        ("SELECT $1::text", "\0"),
        ("SELECT $1::text", "\ud800"),
        ("SELECT $1::integer", 2**31),
        ("SELECT $1::uuid", "no-uuid"),
        ("SELECT $1::varchar(2)::integer", "xx"),
    ]
    for query, argument in cases:
        with pytest.raises((asyncpg.DataError, asyncpg.CharacterNotInRepertoireError)) as refused:
            await connection.fetchval(query, argument)
        found = violation(refused.value)
        assert found is not None
        assert found.code == "validation_error"


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route to host"),
        ConnectionRefusedError(),
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.ConnectionFailureError("failed"),
        asyncpg.InvalidPasswordError("rotated"),
        asyncpg.ReadOnlySQLTransactionError("a replica"),
        asyncpg.IdleInTransactionSessionTimeoutError("idle"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.SerializationError("again"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("full"),
        asyncpg.OutOfMemoryError("full"),
        asyncpg.LockNotAvailableError("locked"),
        asyncpg.QueryCanceledError("statement timeout"),
        asyncpg.AdminShutdownError("stopped"),
        asyncpg.CrashShutdownError("crashed"),
        asyncpg.CannotConnectNowError("starting"),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("broken"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failing_database_is_unavailable(error: Exception) -> None:
    assert is_unavailable(error)
    assert violation(error) is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        KeyError("a bug"),
        asyncpg.UndefinedTableError("a bug"),
        asyncpg.PostgresSyntaxError("a bug"),
        asyncpg.InsufficientPrivilegeError("a missing grant"),
        asyncpg.NotNullViolationError("a bug"),
        asyncpg.UniqueViolationError("no name"),
        asyncpg.RaiseError("a trigger"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_is_neither_the_requests_fault_nor_the_databases(error: Exception) -> None:
    assert not is_unavailable(error)
    assert violation(error) is None
