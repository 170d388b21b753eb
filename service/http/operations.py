"""The promises of a route, made where its handler stands, from which `describing.openapi` makes the document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.http.bodies import JSON
from service.http.identity import HandlerT
from service.schemas.fields import Representation, Schema

_OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem.

    Attributes:
        status: its status code.
        schema: what it carries as JSON; None where it carries something else, or nothing.
        shape: whether it carries one of these, all of them, or a page of them.
        headers: the header fields that it has beside those that every answer has.
        media_type: of a body that is no JSON.
        links: the handlers of operations that the `id` in the answer leads to.
        meaning: one sentence, where the handler's docstring does not say it.
    """

    status: int
    schema: Representation | None = None
    shape: Literal["one", "list", "page"] = "one"
    headers: tuple[str, ...] = ()
    media_type: str | None = None
    links: tuple[str, ...] = ()
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        answers: what it answers where it does not refuse.
        body: the schema of the body that it reads.
        media_types: what the body may be sent as.
        query: the schema of its query string.
        headers: the header fields that it heeds.
        refusals: codes of problems beyond those that follow from the rest.
        asks_database: whether it can fail for want of a database.
    """

    answers: tuple[Answer, ...]
    body: Schema | None = None
    media_types: tuple[str, ...] = JSON
    query: Schema | None = None
    headers: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    asks_database: bool = True


def operation(  # noqa: PLR0913 -- one for each thing that a route can promise
    *answers: Answer,
    body: Schema | None = None,
    media_types: tuple[str, ...] = JSON,
    query: Schema | None = None,
    headers: tuple[str, ...] = (),
    refusals: tuple[str, ...] = (),
    asks_database: bool = True,
) -> Callable[[HandlerT], HandlerT]:
    """Mark a handler with its promises; the arguments are the attributes of `Operation`."""
    promised = Operation(answers, body, media_types, query, headers, refusals, asks_database)

    def mark(handler: HandlerT) -> HandlerT:
        setattr(handler, _OPERATION, promised)
        return handler

    return mark


def operation_of(handler: object) -> Operation:
    """Return what a handler promises.

    Raises:
        AttributeError: it promises nothing; every handler of a route has to.
    """
    promised: Operation = getattr(handler, _OPERATION)
    return promised
