"""The registry: it has what the modules that are named to it define, each under one name."""

from types import ModuleType

import pytest
from marshmallow import fields

from service.schemas.fields import RowSchema
from service.schemas.registry import Registry
from tests.schemas.examples import Limits


def module(name: str, **attributes: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(attributes)
    return made


def schema(name: str, module_name: str) -> type[RowSchema]:
    return type(name, (RowSchema,), {"__module__": module_name, "id": fields.UUID()})


def test_every_schema_that_a_module_defines_is_found_by_its_name() -> None:
    book, reader = schema("Book", "books"), schema("Reader", "readers")
    registry = Registry.of(
        module("books", Book=book, LIMIT=5, of=print), module("readers", Reader=reader, also_imported=book)
    )

    assert registry.schemas == {"Book": book, "Reader": reader}
    assert registry.settings == {}


def test_a_schema_that_a_module_only_imports_is_none_of_its_own() -> None:
    imported = schema("Book", "books")

    assert Registry.of(module("readers", Book=imported, RowSchema=RowSchema)).schemas == {}


def test_two_schemas_of_one_name_are_refused() -> None:
    modules = [module(name, Book=schema("Book", name)) for name in ("books", "loans")]

    with pytest.raises(ValueError, match=r"^Book is a schema of books and of loans: rename one\.$"):
        Registry.of(*modules)


def test_a_schema_with_two_names_in_its_module_is_one() -> None:
    book = schema("Book", "books")

    assert Registry.of(module("books", Book=book, Volume=book)).schemas == {"Book": book}


def test_settings_are_known_by_their_types() -> None:
    assert Registry.of(settings=Limits).settings == {"port": int, "host": str}
