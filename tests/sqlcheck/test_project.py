"""`[tool.sqlcheck]`: what it describes, and what is said where it is wrong."""

import shutil
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli import main
from service.database import embedded
from service.registry import REGISTRY
from service.sqlcheck.checks import isolation
from service.sqlcheck.diagnostics import CheckError
from service.sqlcheck.project import Owner, Project, Roles, read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.run import CHECKS, check
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import rolled_back
from service.sqlcheck.trial.scratch import Connection, add_rows, scratch_database
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_CHECKOUT = Path(__file__).parents[2]


def _refused(configuration: Path) -> str:
    """Return the line that `sql check` says of a description, without the name of the file."""
    done = CliRunner().invoke(main, ["sql", "check", "--config", str(configuration)])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.output
    file = configuration / "pyproject.toml" if configuration.is_dir() else configuration
    name, _, told = done.stderr.partition(str(file))
    assert not name
    return told.removesuffix("\n")


def _edit(project: Project, before: str, after: str) -> None:
    file = project.folder / "pyproject.toml"
    text = file.read_text()
    assert text.count(before) == 1, before
    file.write_text(text.replace(before, after))


# What it describes


def test_a_project_is_what_its_description_says(project: Project) -> None:
    assert project.owner == Owner("members", "id", "member_id")
    assert project.roles == Roles("notes_app", "notes_readonly")
    assert project.registry.schemas["Note"].__name__ == "Note"
    assert project.registry.settings["revision_ttl"] is int
    assert project.session["jit"] == "off"
    assert "members_email_key" in project.violations
    assert (project.makes("notes"), project.makes("yoyo_lock")) == (True, False)
    assert project.place(project.sql / "notes.sql") == "sql/notes.sql"


def test_the_product_is_described_at_the_top_of_the_checkout() -> None:
    product = read_project(_CHECKOUT)
    assert (product.registry, product.folder) == (REGISTRY, _CHECKOUT)


def test_a_description_may_have_a_file_of_its_own(copy: Project) -> None:
    file = (copy.folder / "pyproject.toml").rename(copy.folder / "checks.toml")
    assert read_project(file).names["configuration"] == "checks.toml"


_LEAST = {
    "pyproject.toml": """
        [tool.sqlcheck]
        sql = "queries"
        migrations = "schema"
        rows = "rows.sql"
        squawk = "squawk.toml"
        schemas = "shelf:REGISTRY"
        owner = {table = "readers", key = "id", column = "reader_id"}
        roles = {app = "least_app", readonly = "least_readonly"}
        """,
    "squawk.toml": "excluded_rules = ['prefer-robust-stmts', 'require-lock-timeout', 'require-statement-timeout']",
    "shelf.py": """
        import sys
        from marshmallow import Schema, fields
        from service.schemas.fields import RowSchema
        from service.schemas.registry import Registry

        class Book(RowSchema):
            reader_id = fields.Integer(metadata={"examples": [1]})
            title = fields.String(metadata={"examples": ["Emma"]})

        REGISTRY = Registry.of(sys.modules[__name__])
        """,
    "schema/0001.create-schema.sql": """
        -- depends:
        -- Purpose: all of it.
        -- Locks: none on existing tables.
        -- Order: before the code that reads it.

        CREATE TABLE readers (id bigint CONSTRAINT readers_pkey PRIMARY KEY);
        COMMENT ON TABLE readers IS 'Who reads.';

        CREATE TABLE books (
            reader_id bigint CONSTRAINT books_reader_id_fkey REFERENCES readers (id),
            title text,
            CONSTRAINT books_pkey PRIMARY KEY (reader_id, title)
        );
        COMMENT ON TABLE books IS 'What is read.';

        CREATE ROLE least_app;
        CREATE ROLE least_readonly;
        GRANT SELECT ON books TO least_app;
        """,
    "schema/0001.create-schema.rollback.sql": """
        -- Loses: all of it.

        DROP TABLE books;
        DROP TABLE readers;
        DROP ROLE least_app;
        DROP ROLE least_readonly;
        """,
    "rows.sql": """
        INSERT INTO readers SELECT generate_series(1, 500);
        INSERT INTO books SELECT id, unnest(ARRAY['Emma', 'Ulysses', 'Walden']) FROM readers;
        """,
    "queries/books.sql": """
        -- name: get_book(reader_id, title)^
        -- A book on somebody's shelf.
        -- Takes: Book.
        -- Returns: Book, no row when it is not there.
        -- Plan: books_pkey.
        SELECT reader_id, title
        FROM books
        WHERE reader_id = :reader_id
            AND title = :title;
        """,
}


def test_the_least_that_a_project_needs_is_enough(postgres: embedded.Server, tmp_path: Path) -> None:
    for name, text in _LEAST.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(dedent(text).lstrip())
    project = read_project(tmp_path)
    with scratch_database(project, postgres.dsn) as connection:
        try:
            results = list(check(Subject.of(project, read_statements(project), connection), CHECKS))
        finally:
            # They are the server's, and outlive the database.
            connection.execute("DROP OWNED BY least_app, least_readonly")
            connection.execute("DROP ROLE least_app, least_readonly")
    assert [str(diagnostic) for result in results for diagnostic in result.diagnostics] == []
    assert [result.check for result in results if result.is_skipped] == ["compatibility"]


def test_a_file_is_named_from_the_top_of_the_project_wherever_it_lies(
    copy: Project, scratch: Connection, project: Project
) -> None:
    for part in ("sql", "migrations"):
        shutil.move(copy.folder / part, copy.folder / "db" / part)
        _edit(copy, f'{part} = "{part}"', f'{part} = "./db/{part}/"')
    moved = read_project(copy.folder)
    topics, migration = moved.sql / "topics.sql", max(moved.migrations.glob("*.sql"))
    topics.write_text(topics.read_text().replace("SELECT topic, is_closed, position", "SELECT *"))
    migration.write_text(migration.read_text().replace("-- Purpose:", "-- Why:"))
    results = check(Subject.of(moved, read_statements(moved), scratch), ["style", "migrations"])
    files = {diagnostic.file for result in results for diagnostic in result.diagnostics}
    assert files == {f"db/{project.place(project.sql / 'topics.sql')}", f"db/migrations/{migration.name}"}


def test_a_function_is_harmless_where_the_project_says_so(subject: Subject, copy: Project) -> None:
    server = copy.sql / "server.sql"
    server.write_text(server.read_text().replace("current_setting('server_version')", "quote_ident(lower('A'))"))
    changed = replace(subject, statements=[one for one in read_statements(copy) if one.name == "get_server_version"])
    (diagnostic,) = isolation.check(changed)
    assert diagnostic.message == (
        "quote_ident() is not known to read no table, and no predicate limits what it reads. Look at it, and if it"
        " reads none, name it under harmless_functions in [tool.sqlcheck] of pyproject.toml."
    )
    _edit(copy, "kept_by_triggers", 'harmless_functions = ["quote_ident"]\nkept_by_triggers')
    assert list(isolation.check(replace(changed, project=read_project(copy.folder)))) == []


def test_a_function_of_the_project_is_harmless_only_where_it_says_so(subject: Subject, copy: Project) -> None:
    server = copy.sql / "server.sql"
    server.write_text(server.read_text().replace("current_setting('server_version')", "lower('A')"))
    with rolled_back(subject.connection):
        subject.connection.execute("CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
        changed = Subject.of(
            copy, [one for one in read_statements(copy) if one.name == "get_server_version"], subject.connection
        )
        (diagnostic,) = isolation.check(changed)
        assert diagnostic.message.startswith("lower() is not known to read no table")
        assert not list(
            isolation.check(replace(changed, project=replace(copy, harmless_functions=frozenset({"lower"}))))
        )


# What is wrong with it


_OWNER = '[tool.sqlcheck.owner]\ntable = "members"\nkey = "id"\ncolumn = "member_id"\n'
_WRONG = {
    "an entry that nobody reads": ('sql = "sql"', 'sql = "sql"\nspeed = 3', "speed: Unknown field."),
    "an entry that is missing": ('sql = "sql"\n', "", "sql: Missing data for required field."),
    "a table that is missing": (_OWNER, "", "owner: Missing data for required field."),
    "a part that is missing": ('key = "id"\n', "", "owner.key: Missing data for required field."),
    "a part that nobody reads": ('key = "id"', 'key = "id"\nname = "id"', "owner.name: Unknown field."),
    "another type": ('sql = "sql"', "sql = 3", "sql: Not a valid string."),
    "a list that is none": (
        'sql = "sql"',
        'sql = "sql"\nignored_tables = "_*"',
        "ignored_tables: Not a valid list.",
    ),
    "another type in a list": ('["closed_at"', "[3", "kept_by_triggers.0: Not a valid string."),
    "another type in a table": (
        '"the statement finds the note that it adds the revision to"',
        "3",
        "ruled_out.revisions_member_id_note_id_fkey.value: Not a valid string.",
    ),
    "a table that is none": (
        '[tool.sqlcheck.callers.jobs]\n"notebook.web._purge_now_and_then" =',
        "jobs =",
        "callers.jobs: Not a valid mapping type.",
    ),
    "a package that is none": (
        'package = "notebook"',
        'package = "a.b"',
        "callers.package: Must be the name of a package.",
    ),
    "no folder of statements": ('sql = "sql"', 'sql = "sqll"', "sql: There is no folder {folder}/sqll."),
    "no folder of migrations": (
        'migrations = "migrations"',
        'migrations = "rows.sql"',
        "migrations: There is no folder {folder}/rows.sql.",
    ),
    "no rows": ('rows = "rows.sql"', 'rows = "row.sql"', "rows: There is no file {folder}/row.sql."),
    "no configuration of squawk": ('squawk = "squawk.toml"\n', "", "squawk: There is no file {folder}/.squawk.toml."),
    "no object": ("schemas:REGISTRY", "schemas", "schemas: Must be like `package.module:NAME`."),
    "no module": (
        "schemas:REGISTRY",
        "schemata:REGISTRY",
        "schemas: schemata:REGISTRY cannot be imported: ModuleNotFoundError: No module named 'schemata'.",
    ),
    "no such object": (
        "schemas:SESSION",
        "schemas:SESSIONS",
        "session: schemas:SESSIONS cannot be imported: AttributeError: module 'schemas' has no attribute 'SESSIONS'.",
    ),
    "an object of another kind": ("schemas:REGISTRY", "schemas:SESSION", "schemas: schemas:SESSION is no Registry."),
    "another object of another kind": (
        "schemas:VIOLATIONS",
        "schemas:Note",
        "violations: schemas:Note is no Mapping.",
    ),
}


@pytest.mark.parametrize("title", _WRONG)
def test_a_wrong_entry_is_told_in_one_line(copy: Project, title: str) -> None:
    before, after, told = _WRONG[title]
    _edit(copy, before, after)
    assert _refused(copy.folder).startswith(f": [tool.sqlcheck] {told.format(folder=copy.folder)}")


_MODULES = {
    "raises": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero."),
    "is_no_python": ("REGISTRY =", "cannot be imported: SyntaxError: invalid syntax (is_no_python.py, line 1)."),
    "has_keys_of_another_type": ("REGISTRY = {1: 'off'}", "has keys that are no strings."),
}


@pytest.mark.parametrize("module", _MODULES)
def test_a_module_that_cannot_be_used_is_told_in_one_line(copy: Project, module: str) -> None:
    text, told = _MODULES[module]
    (copy.folder / f"{module}.py").write_text(f"{text}\n")
    _edit(copy, "schemas:SESSION", f"{module}:REGISTRY")
    assert _refused(copy.folder) == f": [tool.sqlcheck] session: {module}:REGISTRY {told}"


_SCHEMAS = """
import sys, types
from marshmallow import Schema
from service.schemas.registry import Registry

other = types.ModuleType("other")
other.Twin = type("Twin", (Schema,), {"__module__": "other"})

class One(Schema):
    BODY

REGISTRY = Registry.of(sys.modules[__name__], OTHERS)
"""
_BROKEN = {
    "a_schema_that_raises": (
        "def __init__(self, **_):\n        raise RuntimeError('Not today.')",
        "",
        "The schema One cannot be made: RuntimeError: Not today.",
    ),
    "a_schema_with_a_field_that_is_not_there": (
        "class Meta:\n        fields = ('nowhere',)",
        "",
        "The schema One cannot be made: KeyError: 'nowhere'.",
    ),
    "schemas_of_one_name": (
        "pass\n\nclass Twin(Schema):\n    pass",
        "other",
        (
            "schemas_of_one_name:REGISTRY cannot be imported: ValueError: Twin is a schema of schemas_of_one_name and"
            " of other: rename one."
        ),
    ),
}


@pytest.mark.parametrize("module", _BROKEN)
def test_a_schema_that_cannot_be_used_is_told_in_one_line(copy: Project, module: str) -> None:
    body, others, told = _BROKEN[module]
    (copy.folder / f"{module}.py").write_text(_SCHEMAS.replace("BODY", body).replace("OTHERS", others))
    _edit(copy, "schemas:REGISTRY", f"{module}:REGISTRY")
    assert _refused(copy.folder) == f": [tool.sqlcheck] schemas: {told}"


_FILES = {
    "no TOML": (b"[tool", " is no TOML: Expected ']' at the end of a table declaration (at end of document)."),
    "no text": (b"\xff", " is no TOML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte."),
    "nothing": (b"", " has no table [tool.sqlcheck]: describe the project there (docs/sql-checks.md)."),
    "a tool that is none": (
        b"tool = 3",
        " has no table [tool.sqlcheck]: describe the project there (docs/sql-checks.md).",
    ),
    "a table that is none": (
        b"[tool]\nsqlcheck = 3",
        " has no table [tool.sqlcheck]: describe the project there (docs/sql-checks.md).",
    ),
}


@pytest.mark.parametrize("title", _FILES)
def test_a_file_that_describes_nothing_is_told_in_one_line(copy: Project, title: str) -> None:
    content, told = _FILES[title]
    (copy.folder / "pyproject.toml").write_bytes(content)
    assert _refused(copy.folder) == told


def test_a_folder_without_a_description_is_told_in_one_line(tmp_path: Path) -> None:
    assert _refused(tmp_path) == " cannot be read: No such file or directory."


def test_a_description_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["sql", "check", "--config", str(tmp_path / "nowhere")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr.splitlines()[-1]
        == f"Error: Invalid value for '--config': Path '{tmp_path}/nowhere' does not exist."
    )


_BELIED: dict[str, tuple[dict[str, Any], str]] = {
    "a table of owners": (
        {"owner": Owner("people", "id", "member_id")},
        "owner.table: No migration makes a table people.",
    ),
    "a key of owners": ({"owner": Owner("members", "key", "member_id")}, "owner.key: members has no column key."),
    "a column of owners": (
        {"owner": Owner("members", "id", "user_id")},
        "owner.column: No table has a column user_id.",
    ),
    "what triggers keep": (
        {"kept_by_triggers": frozenset({"made_at"})},
        "kept_by_triggers: No table has a column made_at.",
    ),
    "what callers are told of": (
        {"violations": frozenset({"members_email_key", "members_emial_key"})},
        "violations: No table has a constraint members_emial_key.",
    ),
    "a harmless function": (
        {"harmless_functions": frozenset({"quote_ident", "pg_catalog.quote_ident", "quote_indent"})},
        "harmless_functions: There is no function quote_indent.",
    ),
    "a role of the program": (
        {"roles": Roles("nobody", "notes_readonly")},
        "roles.app: No migration makes a role nobody.",
    ),
    "a role of readers": ({"roles": Roles("notes_app", "nobody")}, "roles.readonly: No migration makes a role nobody."),
}


@pytest.mark.parametrize("title", _BELIED)
def test_what_the_database_does_not_have_is_told(project: Project, scratch: Connection, title: str) -> None:
    wrong, told = _BELIED[title]
    with pytest.raises(CheckError) as caught:
        Subject.of(replace(project, **wrong), [], scratch)
    assert str(caught.value) == f"{project.folder}/pyproject.toml: [tool.sqlcheck] {told}"


def test_a_violation_may_be_of_an_index_or_be_raised_by_a_function(project: Project, scratch: Connection) -> None:
    with rolled_back(scratch):
        scratch.execute("CREATE UNIQUE INDEX notes_title_idx ON notes (member_id, id, title)")
        scratch.execute(
            "CREATE FUNCTION refuse() RETURNS void LANGUAGE plpgsql"
            " AS $$BEGIN RAISE check_violation USING CONSTRAINT = 'notes_quota'; END$$"
        )
        told_of = replace(project, violations=frozenset({"notes_title_idx", "notes_quota"}))
        assert Subject.of(told_of, [], scratch).project == told_of


def test_a_setting_that_postgresql_does_not_have_is_told(project: Project, postgres: embedded.Server) -> None:
    wrong = replace(project, session={"enable_magic": "on"})
    with pytest.raises(CheckError) as caught, scratch_database(wrong, postgres.dsn):
        pass
    assert str(caught.value) == (
        f"{project.folder}/pyproject.toml: [tool.sqlcheck] session: PostgreSQL does not take enable_magic = on:"
        ' unrecognized configuration parameter "enable_magic".'
    )


def test_rows_that_cannot_be_read_are_told(copy: Project, scratch: Connection) -> None:
    copy.rows.unlink()
    with pytest.raises(CheckError) as caught:
        add_rows(copy, scratch)
    assert str(caught.value) == "rows.sql cannot be read: No such file or directory."
