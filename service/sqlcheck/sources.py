"""What feeds the parameters of a statement: the fields and the settings that its `Takes:` names.

`Takes:` lists sources, with commas. `TaskKey` feeds each parameter that the schema has a field for; `password_hash from
Credentials` feeds that one from the field of its name, `new_hash from Credentials.password_hash` from another, and
`access_ttl from Settings.access_token_ttl` from a setting.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

import marshmallow
from marshmallow import class_registry
from marshmallow.exceptions import RegistryError

from service import app  # noqa: F401 -- it imports every schema, which registers it by its name
from service.http.fields import Binary, Row
from service.settings import Settings
from service.sqlcheck.faults import Fault
from service.sqlcheck.statements import Statement

_SOURCE = re.compile(r"(?:(?P<parameter>\w+) from )?(?P<owner>[A-Z]\w*)(?:\.(?P<field>\w+))?")
_SETTINGS = "Settings"
# Of numbers any will do: they are times and limits.
_SETTING_EXAMPLE = 600


class _NoSourceError(Exception):
    """A part of `Takes:` that feeds nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """What feeds one parameter.

    Attributes:
        name: `TaskKey.user_id`, as the catalogue shows it.
        field: the field; None for a setting.
        setting: the type of the setting; None for a field.
        is_nullable: whether it may be NULL.
    """

    name: str
    field: marshmallow.fields.Field[Any] | None
    setting: type | None
    is_nullable: bool

    @property
    def about(self) -> str:
        """What it is, in a sentence."""
        return str(self.field.metadata.get("description", "")) if self.field else ""

    @property
    def example(self) -> object:
        """A value of it, as a driver takes it; that of a row of the database that the checks make."""
        if self.field is None:
            return _SETTING_EXAMPLE
        (example,) = self.field.metadata["examples"]
        return example if isinstance(self.field, Binary) else self.field.deserialize(example)


def sources(statement: Statement) -> dict[str, Source]:
    """Return what feeds each parameter, by its name and in the order of their numbers.

    Parameters that nothing feeds are left out: `faults` says so.
    """
    found = dict(_feeds(statement))
    return {parameter: found[parameter] for parameter in statement.parameters if parameter in found}


def arguments(statement: Statement) -> list[object]:
    """Return an example of each parameter, in the order of their numbers."""
    found = sources(statement)
    return [found[parameter].example for parameter in statement.parameters]


def faults(statement: Statement) -> Iterator[Fault]:
    """Yield what is wrong with the label itself."""
    label = statement.labels.get("Takes")
    if label is None:
        if statement.parameters:
            yield statement.fault("contracts", "Does not say what feeds its parameters: add a line `-- Takes:`.")
        return
    fed: dict[str, list[str]] = {parameter: [] for parameter in statement.parameters}
    for text in _parts(label.text):
        try:
            found = _read(text, statement.parameters)
        except _NoSourceError as error:
            yield statement.fault("contracts", str(error), label)
            continue
        if not found:
            yield statement.fault("contracts", f"Takes {text}, which feeds none of its parameters: remove it.", label)
        for parameter, source in found.items():
            fed[parameter].append(source.name)
    for parameter, names in fed.items():
        if not names:
            yield statement.fault("contracts", f"Nothing feeds :{parameter}: name its schema under Takes.", label)
        elif len(names) > 1:
            yield statement.fault(
                "contracts",
                f"Both {' and '.join(names)} feed :{parameter}: say which, as `{parameter} from {names[0]}`.",
                label,
            )


@cache
def schema_named(name: str) -> type[marshmallow.Schema] | None:
    """Return the marshmallow schema of a name; None where there is none, or more than one."""
    try:
        found = class_registry.get_class(name)
    except RegistryError:
        return None
    return found if isinstance(found, type) else None


def _feeds(statement: Statement) -> Iterator[tuple[str, Source]]:
    label = statement.labels.get("Takes")
    for text in _parts(label.text) if label else ():
        with suppress(_NoSourceError):
            yield from _read(text, statement.parameters).items()


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.removesuffix(".").split(",")]


def _read(text: str, parameters: tuple[str, ...]) -> dict[str, Source]:
    """Return what a source feeds."""
    match = _SOURCE.fullmatch(text)
    if not match:
        raise _NoSourceError(f"Takes {text!r}, which is no source: write a schema, or `parameter from Schema.field`.")
    parameter, owner = match["parameter"], match["owner"]
    if parameter and parameter not in parameters:
        raise _NoSourceError(f"Takes :{parameter}, which it does not have: it has {', '.join(parameters)}.")
    if owner == _SETTINGS:
        return {parameter: _of_setting(text, match["field"])}
    schema = schema_named(owner)
    if schema is None:
        raise _NoSourceError(
            f"Takes {owner}, but there is no such schema: it is looked for in service/*/schemas.py and rows.py."
        )
    if parameter:
        return {parameter: _of_field(schema, match["field"] or parameter)}
    return {name: _of_field(schema, name) for name in parameters if name in schema().fields}


def _of_setting(text: str, name: str | None) -> Source:
    setting = get_type_hints(Settings).get(name or "")
    if setting is None or not text.endswith(f" from {_SETTINGS}.{name}"):
        raise _NoSourceError(f"Takes {text}, which is no setting: write `parameter from Settings.field`.")
    return Source(f"{_SETTINGS}.{name}", None, setting, is_nullable=False)


def _of_field(schema: type[marshmallow.Schema], name: str) -> Source:
    field = schema().fields.get(name)
    if field is None:
        raise _NoSourceError(f"Takes {schema.__name__}.{name}, but {schema.__name__} has no such field.")
    is_row = issubclass(schema, Row)
    # What a request leaves out is fed as NULL.
    may_be_absent = not is_row and not field.required and field.load_default is marshmallow.missing
    is_nullable = field.allow_none or may_be_absent or (not is_row and field.load_default is None)
    return Source(f"{schema.__name__}.{name}", field, None, is_nullable)
