"""The project that is checked, as `[tool.sqlcheck]` in its `pyproject.toml` describes it.

Nothing else here knows of one project in particular: whose a row is, which roles there are, where the files lie and
what their comments may name is read from that table, and `docs/sql-checks.md` explains each of its entries.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import marshmallow
from marshmallow import fields, post_load, validate

from service.migrate.errors import one_line
from service.schemas.registry import Registry
from service.sqlcheck.diagnostics import CheckError

CONFIGURATION: Final = "pyproject.toml"
"""The file that describes a project, at its top."""

_TABLE: Final = "tool.sqlcheck"
_OBJECT: Final = validate.Regexp(r"[\w.]+:\w+\Z", error="Must be like `package.module:NAME`.")
_PACKAGE: Final = validate.Regexp(r"\w+\Z", error="Must be the name of a package.")

_FOLDERS: Final = ("sql", "migrations")
_FILES: Final = ("rows", "squawk")


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of rows, and how a table names one.

    Attributes:
        table: the table of those who own rows, whose own rows belong to themselves.
        key: the column of that table which identifies them.
        column: the column by which every other table with an owner names one of them.
    """

    table: str
    key: str
    column: str


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles whose privileges are proved.

    Attributes:
        app: the role that runs the statements, and may do nothing else.
        readonly: the role that reads what is not secret.
    """

    app: str
    readonly: str


@dataclass(frozen=True, slots=True)
class Callers:
    """The program whose routes, commands and jobs run the statements.

    Attributes:
        package: its package.
        queries: the full name of the object whose attributes are the statements.
        program: how its commands are called: `python -m service`.
        without: those of its packages that are left out.
        jobs: the full name of the function that each background job runs, and what to call the job.
    """

    package: str
    queries: str
    program: str
    without: tuple[str, ...] = ()
    jobs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Project:
    """A folder with named queries and with the migrations that make their schema.

    Attributes:
        folder: its top.
        names: the paths of its parts below that: `configuration`, `sql`, `migrations`, `rows`, `squawk`.
        registry: the schemas and settings that comments may name.
        owner: whose a row is.
        roles: the roles whose privileges are proved.
        ignored_tables: the patterns of those tables that no migration makes.
        kept_by_triggers: the columns that triggers write, and statements do not.
        session: the settings with which the statements are planned where they run.
        harmless_functions: functions that read no table, beside those that are known to every project.
        violations: the constraints whose violation callers are told of; each statement that can break one names it.
        ruled_out: other constraints, which no statement breaks, each with the reason.
        callers: who runs the statements; None where nobody looks.
    """

    folder: Path
    names: Mapping[str, str]
    registry: Registry
    owner: Owner
    roles: Roles
    ignored_tables: tuple[str, ...]
    kept_by_triggers: frozenset[str] = frozenset()
    session: Mapping[str, str] = field(default_factory=dict)
    harmless_functions: frozenset[str] = frozenset()
    violations: frozenset[str] = frozenset()
    ruled_out: Mapping[str, str] = field(default_factory=dict)
    callers: Callers | None = None

    @property
    def sql(self) -> Path:
        """The folder of the statements."""
        return self.folder / self.names["sql"]

    @property
    def migrations(self) -> Path:
        """The folder of the migrations."""
        return self.folder / self.names["migrations"]

    @property
    def rows(self) -> Path:
        """The file of the rows that plans are made on."""
        return self.folder / self.names["rows"]

    @property
    def squawk(self) -> Path:
        """The configuration of squawk."""
        return self.folder / self.names["squawk"]

    def place(self, file: Path) -> str:
        """Return the path of a file from the top of the project, as diagnostics have it: `sql/tasks.sql`."""
        return Path(os.path.relpath(file, self.folder)).as_posix()

    def at(self, folder: Path) -> "Project":
        """Return the same project as it lies in another folder, such as that of a release."""
        return replace(self, folder=folder)

    def makes(self, table: str) -> bool:
        """Tell whether a table is made by migrations, and not by the runner or by an extension for itself."""
        return not any(fnmatch(table, pattern) for pattern in self.ignored_tables)

    def line_of(self, key: str) -> int:
        """Return the line of the description on which a key stands; 1 where it is not written as such."""
        lines = (self.folder / self.names["configuration"]).read_text(encoding="utf-8").splitlines()
        written = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        return next((number for number, line in enumerate(lines, 1) if written.match(line)), 1)

    def error(self, entry: str, told: str) -> CheckError:
        """Return what to raise where an entry of the description is wrong, as it turns out later."""
        return _error(self.folder / self.names["configuration"], entry, told)


def read_project(configuration: Path) -> Project:
    """Read the description of a project.

    Args:
        configuration: a file in TOML with the table `[tool.sqlcheck]`, or a folder with a `pyproject.toml`.

    Raises:
        CheckError: it cannot be read, or describes no project; the message says what is wrong with it.
    """
    file = configuration / CONFIGURATION if configuration.is_dir() else configuration
    try:
        tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool")
    except OSError as error:
        raise CheckError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckError(f"{file} is no TOML: {one_line(error)}.") from error
    table = tools.get("sqlcheck") if isinstance(tools, dict) else None
    if not isinstance(table, dict):
        raise CheckError(f"{file} has no table [{_TABLE}]: describe the project there (docs/sql-checks.md).")
    try:
        described = DescriptionSchema().load(table)
    except marshmallow.ValidationError as error:
        raise _error(file, *_first(error.messages)) from error
    described["names"]["configuration"] = file.name
    for entry in (*_FOLDERS, *_FILES):
        path = file.parent / described["names"][entry]
        if not (path.is_dir() if entry in _FOLDERS else path.is_file()):
            raise _error(file, entry, f"There is no {'folder' if entry in _FOLDERS else 'file'} {path}.")
    with _importing_from(file.parent):
        registry = _load(file, "schemas", described.pop("schemas"), Registry)
        session, violations = (
            _load(file, entry, described.pop(entry), Mapping) if entry in described else {}
            for entry in ("session", "violations")
        )
    _make_each_schema(file, registry)
    return Project(file.parent, registry=registry, session=session, violations=frozenset(violations), **described)


class _Strict(marshmallow.Schema):
    class Meta:
        unknown = marshmallow.RAISE


class _OwnerSchema(_Strict):
    table = fields.String(required=True)
    key = fields.String(required=True)
    column = fields.String(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Owner:
        return Owner(**data)


class _RolesSchema(_Strict):
    app = fields.String(required=True)
    readonly = fields.String(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Roles:
        return Roles(**data)


class _CallersSchema(_Strict):
    package = fields.String(required=True, validate=_PACKAGE)
    queries = fields.String(required=True)
    program = fields.String(required=True)
    without = fields.List(fields.String())
    jobs = fields.Dict(keys=fields.String(), values=fields.String())

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Callers:
        return Callers(**data | {"without": tuple(data.get("without", ()))})


class DescriptionSchema(_Strict):
    """The table `[tool.sqlcheck]`."""

    sql = fields.String(required=True)
    migrations = fields.String(required=True)
    rows = fields.String(required=True)
    squawk = fields.String(load_default=".squawk.toml")
    schemas = fields.String(required=True, validate=_OBJECT)
    session = fields.String(validate=_OBJECT)
    violations = fields.String(validate=_OBJECT)
    owner = fields.Nested(_OwnerSchema, required=True)
    roles = fields.Nested(_RolesSchema, required=True)
    ignored_tables = fields.List(fields.String(), load_default=["_*", "yoyo_*"])  # what the runner and yoyo make
    kept_by_triggers = fields.List(fields.String())
    harmless_functions = fields.List(fields.String())
    ruled_out = fields.Dict(keys=fields.String(), values=fields.String())
    callers = fields.Nested(_CallersSchema)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        names = {name: data.pop(name) for name in (*_FOLDERS, *_FILES)}
        sets = {name: frozenset(data.pop(name, ())) for name in ("kept_by_triggers", "harmless_functions")}
        return data | sets | {"names": names, "ignored_tables": tuple(data.pop("ignored_tables"))}


def _error(file: Path, entry: str, told: str) -> CheckError:
    return CheckError(f"{file}: [{_TABLE}] {entry}: {told}")


def _first(messages: Any, entry: str = "") -> tuple[str, str]:  # noqa: ANN401 -- marshmallow nests them
    """Return the entry that the first of marshmallow's messages is about, and the message."""
    if isinstance(messages, dict):
        name, inner = next(iter(messages.items()))
        is_whole = name == marshmallow.exceptions.SCHEMA
        return _first(inner, entry if is_whole else f"{entry}.{name}".removeprefix("."))
    return entry, messages[0]


@contextmanager
def _importing_from(folder: Path) -> Any:  # noqa: ANN401 -- a context manager
    """Let modules be found in a folder, as Python does in the one that it is started in."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.pop(0)


def _load(file: Path, entry: str, name: str, kind: type[Any]) -> Any:  # noqa: ANN401 -- of that kind
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # the module is the project's, and may raise anything
        raise _error(file, entry, f"{name} cannot be imported: {_raised(error)}.") from error
    if not isinstance(found, kind):
        raise _error(file, entry, f"{name} is no {kind.__name__}.")
    if kind is Mapping and not all(isinstance(key, str) for key in found):
        raise _error(file, entry, f"{name} has keys that are no strings.")
    return found


def _make_each_schema(file: Path, registry: Registry) -> None:
    """Make a schema of each class, as whoever asks for its fields does.

    Raises:
        CheckError: one cannot be made.
    """
    for name, schema in registry.schemas.items():
        try:
            schema()
        except Exception as error:  # the class is the project's, and may raise anything
            raise _error(file, "schemas", f"The schema {name} cannot be made: {_raised(error)}.") from error


def _raised(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error).rstrip('.')}"
