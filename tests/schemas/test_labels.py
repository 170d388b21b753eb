"""The labels of a comment: what `Takes:` and `Returns:` may say, and what is wrong with anything else."""

from uuid import UUID

import pytest

from service.schemas.labels import ContractError, Returns, read_labels, read_returns, read_source, read_takes
from tests.schemas.examples import REGISTRY, Book

ABOUT = """One of a reader's books.
Takes: BookKey, a from Settings.port, b from
Settings.host.
Returns: Book, no row when
the reader has no such book.
Plan: books_pkey."""


def test_labels_go_on_to_the_next_one() -> None:
    assert read_labels(ABOUT) == {
        "Takes": "BookKey, a from Settings.port, b from Settings.host.",
        "Returns": "Book, no row when the reader has no such book.",
        "Plan": "books_pkey.",
    }
    assert read_labels("No more than this. It Takes: nothing.") == {}


def test_sources_stand_between_commas() -> None:
    assert read_takes("BookKey, a from Settings.port.") == ["BookKey", "a from Settings.port"]


@pytest.mark.parametrize(
    ("text", "fed"),
    [
        ("BookKey", {"reader_id": "BookKey.reader_id", "id": "BookKey.id"}),
        ("id from BookKey", {"id": "BookKey.id"}),
        ("id from BookKey.reader_id", {"id": "BookKey.reader_id"}),
        ("port from Settings.port", {"port": "Settings.port"}),
    ],
)
def test_a_source_feeds_what_it_names(text: str, fed: dict[str, str]) -> None:
    found = read_source(text, ["id", "reader_id", "port"], REGISTRY)

    assert {parameter: source.name for parameter, source in found.items()} == fed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "book key",
            "Takes 'book key', which is no source: write a schema, or `parameter from Schema.field`.",
        ),
        ("at from BookKey", "Takes :at, which it does not have: its parameters are id, port."),
        ("Nobody", "Takes Nobody, but the registry has no such schema: correct the name, or register its module."),
        ("id from BookKey.at", "Takes BookKey.at, but BookKey has no such field."),
        ("port from BookKey", "Takes BookKey.port, but BookKey has no such field."),
        ("id from Book.returned", "Takes Book.returned, but Book has no such field."),
        (
            "BookKey.id",
            "Takes BookKey.id, which does not say for which parameter: write `parameter from BookKey.id`.",
        ),
        ("Sent", "Takes Sent, which feeds none of its parameters: remove it."),
        (
            "port from Settings.harbour",
            "Takes port from Settings.harbour, which is no setting: write `parameter from Settings.field`.",
        ),
        ("Settings.port", "Takes Settings.port, which is no setting: write `parameter from Settings.field`."),
    ],
)
def test_what_is_no_source_is_refused(text: str, told: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_source(text, ["id", "port"], REGISTRY)

    assert str(refused.value) == told


def test_what_a_request_leaves_out_is_null_and_what_the_service_makes_only_where_it_says_so() -> None:
    def nullable(text: str, *names: str) -> set[str]:
        return {name for name, source in read_source(text, names, REGISTRY).items() if source.is_nullable}

    assert nullable("Sent", "given", "absent", "cleared", "emptied", "filled") == {"absent", "cleared", "emptied"}
    assert nullable("Kept", "given", "cleared") == {"cleared"}
    assert nullable("title from Book", "title") == set()
    assert nullable("port from Settings.port", "port") == set()


def test_an_example_is_what_a_driver_takes() -> None:
    key = read_source("BookKey", ["id"], REGISTRY)["id"]
    digest = read_source("Kept", ["digest"], REGISTRY)["digest"]
    port = read_source("port from Settings.port", ["port"], REGISTRY)["port"]

    assert (key.example, key.about) == (UUID("5d1c9c1e-6b0a-4f6e-8f57-2f0c8d0e4b11"), "The id of the book.")
    assert (digest.example, digest.about) == (b"\x00", "Of what was sent.")
    assert (isinstance(port.example, int), port.about) == (True, "")


@pytest.mark.parametrize(
    ("text", "operator", "promised"),
    [
        ("Book, no row when there is none.", "^", Returns("Book", Book, "no row when", says_null=False)),
        ("Book, no row when it is gone; and so on.", "^", Returns("Book", Book, "no row when", says_null=False)),
        ("Book, exactly one row.", "^", Returns("Book", Book, "exactly one row", says_null=False)),
        ("Book, exactly one row: the last.", "^", Returns("Book", Book, "exactly one row", says_null=False)),
        ("Book, many.", "", Returns("Book", Book, "many", says_null=False)),
        ("Book, many; NULL when nobody looks.", "", Returns("Book", Book, "many", says_null=False)),
        ("integer, how many.", "$", Returns("integer", None, "", says_null=False)),
        ("integer, how many; NULL when nobody knows.", "$", Returns("integer", None, "", says_null=True)),
    ],
)
def test_returns_is_read(text: str, operator: str, promised: Returns) -> None:
    assert read_returns(text, operator, REGISTRY) == promised


NO_FIT = "which does not fit a ^ query: write `Returns: Book, exactly one row.` or `Returns: Book, no row when ….`."
NO_FIT_OF_A_LIST = "which does not fit a query without an operator: write `Returns: Book, many.`."
NO_SCHEMA = "but the registry has no such schema: correct the name, or register its module."
NO_SCALAR = "which is no type of a single value: write boolean, bytes, integer, number, text, time, uuid."


@pytest.mark.parametrize(
    ("text", "operator", "told"),
    [
        ("Book, one.", "^", f"Returns Book, 'one', {NO_FIT}"),
        ("Book, many.", "^", f"Returns Book, 'many', {NO_FIT}"),
        ("Book, exactly one row perhaps.", "^", f"Returns Book, 'exactly one row perhaps', {NO_FIT}"),
        ("Book, exactly one row.", "", f"Returns Book, 'exactly one row', {NO_FIT_OF_A_LIST}"),
        ("Book, no row when it is gone.", "", f"Returns Book, 'no row when it is gone', {NO_FIT_OF_A_LIST}"),
        ("Book", "", "Returns 'Book', which cannot be read: write `Returns: Schema, many.`."),
        ("Nobody, many.", "", f"Returns Nobody, {NO_SCHEMA}"),
        ("integer, many.", "", f"Returns integer, {NO_SCHEMA}"),
        ("Book, the first.", "$", f"Returns Book, {NO_SCALAR}"),
        ("int8, how many.", "$", f"Returns int8, {NO_SCALAR}"),
    ],
)
def test_what_does_not_fit_the_operator_is_refused(text: str, operator: str, told: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_returns(text, operator, REGISTRY)

    assert str(refused.value) == told
