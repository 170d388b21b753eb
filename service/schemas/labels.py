"""The labels in the comments of `sql/`, read: what feeds a statement (`Takes:`), and what it gives (`Returns:`).

    Takes: TaskKey, password_hash from Credentials, new_hash from UserDraft.password_hash, ttl from Settings.access_ttl.

lists what feeds the parameters. A schema feeds each parameter that it has a field for; `parameter from` takes one field
of a schema, that of the parameter's own name where no other is written, or one setting.

    Returns: Task, no row when the user has no such task; …     of a ^ query that may find nothing
    Returns: Task, exactly one row: …                           of a ^ query that cannot
    Returns: Task, many: …                                      of a list
    Returns: integer, how many there are; NULL when …           of a $ query, with the last part where it may be NULL

The text behind `:` or `;` is for people. The names of schemas and settings are those of a registry.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import marshmallow
from marshmallow import fields

from service.schemas.fields import Binary, Representation, RowSchema
from service.schemas.registry import Registry
from service.schemas.types import SCALARS

LABELS = ("Takes", "Returns", "Raises", "Plan", "Scope")
"""The labels that a comment may have, in the order in which they stand."""

MANY, EXACTLY_ONE, AT_MOST_ONE = "many", "exactly one row", "no row when"

_LABEL = re.compile(rf"^({'|'.join(LABELS)}): ", re.MULTILINE)
_SOURCE = re.compile(r"(?:(?P<parameter>\w+) from )?(?P<owner>[A-Z]\w*)(?:\.(?P<field>\w+))?")
_RETURNS = re.compile(r"(?P<name>\w+), (?P<rest>.+)\.", re.DOTALL)
_ROWS = re.compile(rf"({MANY}|{EXACTLY_ONE})(?:[:;] .+)?|({AT_MOST_ONE}) .+", re.DOTALL)
_SETTINGS = "Settings"
_SETTING_EXAMPLE = 600  # of times and limits, any will do


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a parameter: a field of a schema, or a setting.

    Attributes:
        name: the name that people read, such as `TaskKey.user_id`.
        field: the field; None for a setting.
        setting: the type of the setting; None for a field.
        is_nullable: whether it may be NULL.
    """

    name: str
    field: fields.Field[Any] | None
    setting: object
    is_nullable: bool

    @property
    def about(self) -> str:
        """The description of the field, in a sentence; empty for a setting."""
        return str(self.field.metadata.get("description", "")) if self.field else ""

    @property
    def example(self) -> object:
        """A value of it, as a driver takes it; the database that the checks make has a row with it.

        Of the examples of a field it is the first. Where that is none, whatever reading it raises is raised.

        Raises:
            ContractError: the field has none, or no list of them.
        """
        if self.field is None:
            return _SETTING_EXAMPLE
        examples = self.field.metadata.get("examples", [])
        if not isinstance(examples, list | tuple):
            raise ContractError(f"write the `examples` of {self.name} as a list")
        if not examples:
            raise ContractError(f"give {self.name} one that it accepts")
        example = examples[0]
        return example if isinstance(self.field, Binary) else self.field.deserialize(example)


@dataclass(frozen=True, slots=True)
class Returns:
    """The result that `Returns:` promises.

    Attributes:
        name: the name of a schema, or of a scalar type.
        schema: the schema of a row; None for a scalar.
        rows: MANY, EXACTLY_ONE or AT_MOST_ONE; empty for a scalar.
        says_null: whether a scalar may be NULL.
    """

    name: str
    schema: type[marshmallow.Schema] | None
    rows: str
    says_null: bool


class ContractError(ValueError):
    """A label cannot be read, or what it names has no example; the message says what is wrong, and what to write."""


def read_labels(about: str) -> dict[str, str]:
    """Return the text behind each label of a query's comment (its `__doc__`), on one line each."""
    _, *parts = _LABEL.split(about)
    return {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def read_takes(text: str) -> list[str]:
    """Return the sources that `Takes:` lists, each for `read_source`."""
    return [part.strip() for part in text.removesuffix(".").split(",")]


def read_source(text: str, parameters: Sequence[str], registry: Registry) -> dict[str, Source]:
    """Read one source of `Takes:`, and return it by each of the parameters that it feeds.

    Raises:
        ContractError: it is no source, names what does not exist, or feeds nothing.
    """
    match = _SOURCE.fullmatch(text)
    if not match:
        raise ContractError(f"Takes {text!r}, which is no source: write a schema, or `parameter from Schema.field`.")
    parameter, owner, name = match["parameter"], match["owner"], match["field"]
    if parameter and parameter not in parameters:
        raise ContractError(f"Takes :{parameter}, which it does not have: its parameters are {', '.join(parameters)}.")
    if owner == _SETTINGS:
        return {parameter: _setting(text, parameter, registry.settings.get(name or ""))}
    schema = _schema("Takes", owner, registry)
    if parameter:
        return {parameter: _field(schema, name or parameter)}
    if name:
        raise ContractError(f"Takes {text}, which does not say for which parameter: write `parameter from {text}`.")
    known = _load_fields(schema)
    fed = {one: _field(schema, one) for one in parameters if one in known}
    if not fed:
        raise ContractError(f"Takes {text}, which feeds none of its parameters: remove it.")
    return fed


def read_returns(text: str, operator: str, registry: Registry) -> Returns:
    """Read the `Returns:` of a query with an operator: `^`, `$` or none.

    Raises:
        ContractError: it does not keep to the grammar, or contradicts the operator.
    """
    match = _RETURNS.fullmatch(text)
    if not match:
        raise ContractError(f"Returns {text!r}, which cannot be read: write {_forms('Schema', operator)}.")
    name, rest = match["name"], match["rest"]
    if operator == "$":
        if name not in SCALARS:
            raise ContractError(f"Returns {name}, which is no type of a single value: write {', '.join(SCALARS)}.")
        return Returns(name, None, "", says_null=re.search(r"; NULL when .", rest) is not None)
    schema = _schema("Returns", name, registry)
    rows = _ROWS.fullmatch(rest)
    kind = (rows[1] or rows[2]) if rows else ""
    if kind not in ((EXACTLY_ONE, AT_MOST_ONE) if operator else (MANY,)):
        raise ContractError(
            f"Returns {name}, {rest!r}, which does not fit {_who(operator)}: write {_forms(name, operator)}."
        )
    return Returns(name, schema, kind, says_null=False)


def _schema(label: str, name: str, registry: Registry) -> type[marshmallow.Schema]:
    schema = registry.schemas.get(name)
    if schema is None:
        raise ContractError(
            f"{label} {name}, but the registry has no such schema: correct the name, or register its module."
        )
    return schema


@cache
def _load_fields(schema: type[marshmallow.Schema]) -> Mapping[str, fields.Field[Any]]:
    return schema().load_fields


def _setting(text: str, parameter: str | None, type_: object) -> Source:
    if not parameter or type_ is None:
        raise ContractError(f"Takes {text}, which is no setting: write `parameter from Settings.field`.")
    return Source(text.rpartition(" ")[2], None, type_, is_nullable=False)


def _field(schema: type[marshmallow.Schema], name: str) -> Source:
    field = _load_fields(schema).get(name)
    if field is None:
        raise ContractError(f"Takes {schema.__name__}.{name}, but {schema.__name__} has no such field.")
    is_sent = not issubclass(schema, (RowSchema, Representation))
    # A member that a request leaves out is fed as NULL, where nothing else is put in its place.
    is_absent = not field.required and field.load_default in (marshmallow.missing, None)
    return Source(f"{schema.__name__}.{name}", field, None, bool(field.allow_none) or (is_sent and is_absent))


def _who(operator: str) -> str:
    return f"a {operator} query" if operator else "a query without an operator"


def _forms(name: str, operator: str) -> str:
    forms = {"^": (EXACTLY_ONE, f"{AT_MOST_ONE} …"), "$": ("what it is", "what it is; NULL when …")}.get(
        operator, (MANY,)
    )
    return " or ".join(f"`Returns: {name}, {form}.`" for form in forms)
