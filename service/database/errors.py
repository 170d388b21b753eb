"""The meaning of database errors: the one place where constraint names and driver exceptions are told apart."""

from dataclasses import dataclass

import asyncpg


class Overloaded(Exception):  # noqa: N818 -- it names a state that is reported, as `overloaded`, and not a mistake
    """Every connection, or every thread that hashes passwords, is busy, and has been or would be for too long."""


class DatabaseUnusable(Exception):  # noqa: N818 -- the same
    """A database cannot be reached, refuses, or lacks what is needed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint that a request broke, in the terms of the request.

    Attributes:
        code: the problem's code: `email_taken`, `invalid_token` or `validation_error`.
        pointer: the JSON pointer of the member at fault, for `validation_error`.
        fault: the member's own code, for `validation_error`.
        detail: one sentence for the caller.
    """

    code: str
    detail: str
    pointer: str = ""
    fault: str = "invalid"


CONSTRAINTS = {
    "tasks_description_length_check": Violation(
        "validation_error", "Must have at most 2000 characters.", "/description", "length"
    ),
    "tasks_status_fkey": Violation("validation_error", "There is no such status.", "/status", "unknown_status"),
    "tasks_title_blank_check": Violation("validation_error", "Must not be blank.", "/title", "blank"),
    "tasks_title_length_check": Violation("validation_error", "Must have 1 to 200 characters.", "/title", "length"),
    "tasks_user_id_fkey": Violation("invalid_token", "The account that the token was issued to no longer exists."),
    "users_email_canonical_check": Violation("validation_error", "Not a valid email address.", "/email", "invalid"),
    "users_email_key": Violation("email_taken", "This email address is already registered."),
}

_UNREPRESENTABLE = Violation("validation_error", "Contains a value that cannot be stored.")

# Errors that say nothing about the request: the same one may succeed in a moment.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.InvalidAuthorizationSpecificationError,  # class 28: a rotated password
    asyncpg.InvalidTransactionStateError,  # class 25, read-only after a failover included
    asyncpg.InvalidCatalogNameError,  # class 3D: no such database, as while one is restored
    asyncpg.TransactionRollbackError,  # class 40: deadlocks
    asyncpg.InsufficientResourcesError,  # class 53: too many connections
    asyncpg.ObjectNotInPrerequisiteStateError,  # class 55: a lock that was not to be had
    asyncpg.OperatorInterventionError,  # class 57: shut down, starting up, statement timeout
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def violation(error: BaseException) -> Violation | None:
    """Tell what a request did wrong, if that is what the error says; None for any other error."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return CONSTRAINTS.get(error.constraint_name or "")
    if isinstance(error, (asyncpg.DataError, asyncpg.CharacterNotInRepertoireError)):
        return _UNREPRESENTABLE
    return None


def without_rows(error: BaseException) -> BaseException:
    """Return an error without the rows that PostgreSQL quotes ("Failing row contains ..."), for a log."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, asyncpg.IntegrityConstraintViolationError):
            cause.detail = None
        cause = cause.__cause__ or cause.__context__
    return error


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database, rather than the request or the service, is what failed."""
    return isinstance(error, _UNAVAILABLE)
