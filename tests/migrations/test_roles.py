import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from service.database import embedded
from service.dsn import Dsn
from service.migrate import planning, runner
from service.migrate.files import read_migrations, write_checksums
from service.migrate.runner import MigrationError
from service.migrate.snapshot import dump
from service.migrate.standing import State
from service.resources import resource_folder
from service.sqlcheck.checks import grants
from service.sqlcheck.project import read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.execution import explain, rolled_back
from service.sqlcheck.trial.scratch import fill
from tests.conftest import POSTGRESQL_15
from tests.sharing import on_each_postgresql, on_one_postgresql

pytestmark = on_one_postgresql

MIGRATIONS = resource_folder("migrations")
ROLES_SCRIPT = MIGRATIONS.parent / "docs" / "roles.sql"
# How many migrations to take back until the roles have lost what they were granted.
BACK_TO_ROLES = sum(migration.id >= "0011." for migration in read_migrations(MIGRATIONS))
ROLES = ("task_owner", "task_app", "task_readonly")
PASSWORD = "canary-7d1f-password"
_numbers = count(1)

NewDatabase = Callable[..., Dsn]
RunScript = Callable[..., subprocess.CompletedProcess[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a server of its own as conftest.py has what needs one that is shared."""
    mark = metafunc.definition.get_closest_marker("on_postgresql")
    if mark and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", mark.args, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """A server of the module's own: roles are of a whole server, and other tests need theirs."""
    if request.param == "postgresql-15" and not POSTGRESQL_15.is_dir():
        pytest.skip(f"PostgreSQL 15 is not here: {POSTGRESQL_15}")
    binaries = POSTGRESQL_15 if request.param == "postgresql-15" else None
    with embedded.temporary(binaries=binaries, options={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def new_database(server: embedded.Server) -> Iterator[NewDatabase]:
    """Make databases for a test, each of an owner; in the end, drop them with every role that the test has made."""
    made = []

    def new_database(owner: str = "postgres") -> Dsn:
        name = f"roles_{next(_numbers)}"
        run(server.dsn, "CREATE DATABASE {} OWNER {}", name, owner)
        made.append(name)
        return replace(server.dsn, database=name)

    yield new_database
    for name in made:
        run(server.dsn, "DROP DATABASE {} WITH (FORCE)", name)
    for (role,) in run(server.dsn, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'task%' OR rolname = 'plain'"):
        run(server.dsn, "DROP ROLE {}", str(role))


@pytest.fixture
def run_script(server: embedded.Server) -> RunScript:
    """Run docs/roles.sql, as an administrator does."""

    def run_script(dsn: Dsn, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(server.binaries / "psql"), "--no-psqlrc", f"--dbname={dsn.libpq_url}", f"--file={ROLES_SCRIPT}"]
        passwords = {"OWNER_PASSWORD": PASSWORD, "APP_PASSWORD": PASSWORD} | environment
        given = {name: value for name, value in passwords.items() if value}
        return subprocess.run(
            command, env={"PATH": os.environ["PATH"], **given}, capture_output=True, text=True, check=False
        )

    return run_script


def run(dsn: Dsn, statement: str, *names: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn.libpq_url, autocommit=True) as connection:
        cursor = connection.execute(SQL(statement).format(*map(Identifier, names)))
        return cursor.fetchall() if cursor.description else []


def make_plain_login(dsn: Dsn, options: str = "") -> Dsn:
    run(dsn, f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}' {options}")
    return replace(dsn, user="plain", password=PASSWORD)


def as_(dsn: Dsn, user: str) -> Dsn:
    return replace(dsn, user=user, password=PASSWORD)


def roles(dsn: Dsn) -> list[tuple[object, ...]]:
    return run(dsn, "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'task%' ORDER BY rolname")


def privileges(dsn: Dsn) -> set[tuple[object, ...]]:
    """Return whatever has been granted in a database to one of the roles."""
    return set(
        run(
            dsn,
            "SELECT pg_describe_object(classid, objid, objsubid), refobjid::regrole::text FROM pg_shdepend"
            " WHERE refclassid = 'pg_authid'::regclass AND refobjid::regrole::text LIKE 'task%' AND deptype = 'a'"
            " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
    )


def test_the_roles_are_made_where_there_are_none_and_nobody_can_log_in_as_one(new_database: NewDatabase) -> None:
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)

    assert roles(dsn) == [("task_app", False, False), ("task_owner", False, False), ("task_readonly", False, False)]


@on_each_postgresql
def test_who_is_no_superuser_but_may_create_roles_makes_them(
    server: embedded.Server, new_database: NewDatabase
) -> None:
    plain = make_plain_login(server.dsn, "CREATEROLE")
    dsn = replace(plain, database=new_database("plain").database)
    runner.apply(dsn, MIGRATIONS)

    assert [name for name, *_ in roles(dsn)] == ["task_app", "task_owner", "task_readonly"]


def test_roles_that_exist_are_left_as_they_are(server: embedded.Server, new_database: NewDatabase) -> None:
    for role in ROLES:
        run(server.dsn, "CREATE ROLE {} LOGIN", role)
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)

    assert roles(dsn) == [("task_app", True, False), ("task_owner", True, False), ("task_readonly", True, False)]


@on_each_postgresql
def test_an_owner_who_may_not_create_roles_migrates_where_they_exist(
    server: embedded.Server, new_database: NewDatabase
) -> None:
    for role in ROLES:
        run(server.dsn, "CREATE ROLE {}", role)
    plain = make_plain_login(server.dsn)
    dsn = new_database("plain")
    runner.apply(replace(plain, database=dsn.database), MIGRATIONS)
    other = new_database()
    runner.apply(other, MIGRATIONS)

    assert privileges(dsn) == privileges(other) != set()


@on_each_postgresql
def test_where_roles_can_neither_be_found_nor_made_nothing_changes_until_the_script_has_run(
    server: embedded.Server, new_database: NewDatabase, run_script: RunScript
) -> None:
    plain = make_plain_login(server.dsn)
    dsn = new_database("plain")
    as_plain = replace(plain, database=dsn.database)
    with pytest.raises(MigrationError) as refused:
        runner.apply(as_plain, MIGRATIONS)
    applied = [migration.id for migration in runner.status(as_plain, MIGRATIONS) if migration.is_applied]

    assert str(refused.value) == (
        "0011.create-roles, apply: there is no role task_owner, and plain may not create roles: have docs/roles.sql run"
        " first. It changed nothing."
    )
    assert applied[-1].startswith("0010.")
    assert roles(dsn) == []

    done = run_script(dsn)

    assert done.returncode == 0, done.stderr
    assert runner.apply(as_plain, MIGRATIONS)[0] == "0011.create-roles"


def test_a_role_that_another_database_is_making_is_waited_for(new_database: NewDatabase) -> None:
    dsn = new_database()
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(dsn.libpq_url) as other,
        psycopg.connect(dsn.libpq_url, autocommit=True) as watching,
    ):
        other.execute("CREATE ROLE task_owner")
        migrating = pool.submit(runner.apply, dsn, MIGRATIONS)
        began = monotonic()
        while not watching.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert monotonic() - began < 30
            assert not migrating.done()
            sleep(0.01)
        other.commit()

        assert migrating.result()[-1] == runner.status(dsn, MIGRATIONS)[-1].id
    assert len(roles(dsn)) == 3


def test_two_databases_of_a_server_can_be_migrated_at_once(new_database: NewDatabase) -> None:
    dsns = [new_database(), new_database()]
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda dsn: runner.apply(dsn, MIGRATIONS), dsns))

    assert applied[0] == applied[1]
    assert privileges(dsns[0]) == privileges(dsns[1]) != set()


@on_each_postgresql
def test_what_a_deployment_makes_belongs_to_the_owner_and_the_service_runs_on_it(
    new_database: NewDatabase, run_script: RunScript
) -> None:
    dsn = new_database()
    run_script(dsn).check_returncode()
    runner.apply(as_(dsn, "task_deploy"), MIGRATIONS)
    owners = run(
        dsn,
        "SELECT DISTINCT owner::regrole::text FROM ("
        " SELECT relowner, relnamespace FROM pg_class UNION ALL SELECT proowner, pronamespace FROM pg_proc"
        " UNION ALL SELECT collowner, collnamespace FROM pg_collation) AS made (owner, namespace)"
        " WHERE namespace = 'public'::regnamespace",
    )
    project = read_project(MIGRATIONS.parent)
    with psycopg.connect(dsn.libpq_url, autocommit=True) as administrator:
        fill(project, administrator)

    assert owners == [("task_owner",)]
    with psycopg.connect(as_(dsn, "task_service").libpq_url, autocommit=True) as service:
        for statement in read_statements(project):
            with rolled_back(service):
                explain(service, statement, analyse=True)
        for forbidden in (
            "CREATE TABLE mine ()",
            "TRUNCATE tasks",
            "UPDATE tasks SET version = 1",
            "SET ROLE task_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(forbidden)


def test_the_roles_may_do_what_the_statements_need_and_read_no_secret(new_database: NewDatabase) -> None:
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)
    project = read_project(MIGRATIONS.parent)
    with psycopg.connect(dsn.libpq_url, autocommit=True) as administrator:
        fill(project, administrator)
        subject = Subject.of(project, read_statements(project), administrator)

        assert [str(diagnostic) for diagnostic in grants.check(subject)] == []


def test_a_deployment_can_go_on_to_migrate(new_database: NewDatabase, run_script: RunScript) -> None:
    dsn = new_database()
    run_script(dsn).check_returncode()
    as_deploy = as_(dsn, "task_deploy")
    runner.apply(as_deploy, MIGRATIONS)
    granted = privileges(dsn)
    runner.rollback(as_deploy, MIGRATIONS, count=BACK_TO_ROLES, lose_data=True)
    runner.apply(as_deploy, MIGRATIONS)

    assert privileges(dsn) == granted


def test_the_script_can_be_run_again(new_database: NewDatabase, run_script: RunScript) -> None:
    dsn = new_database()
    run_script(dsn).check_returncode()
    before = roles(dsn), privileges(dsn)
    run_script(dsn, APP_PASSWORD="canary-7d1f-another").check_returncode()

    assert (roles(dsn), privileges(dsn)) == before
    with psycopg.connect(replace(dsn, user="task_service", password="canary-7d1f-another").libpq_url):
        pass


@pytest.mark.parametrize("missing", ["OWNER_PASSWORD", "APP_PASSWORD"])
def test_without_a_password_the_script_changes_nothing(
    new_database: NewDatabase, run_script: RunScript, missing: str
) -> None:
    dsn = new_database()
    done = run_script(dsn, **{missing: ""})

    assert done.returncode == 3
    assert 'syntax error at or near ":"' in done.stderr
    assert roles(dsn) == []


def test_rolled_back_and_applied_again_the_grants_are_the_same(
    server: embedded.Server, new_database: NewDatabase
) -> None:
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)
    before = dump(dsn, server.binaries / "pg_dump")
    runner.rollback(dsn, MIGRATIONS, count=BACK_TO_ROLES, lose_data=True)
    runner.apply(dsn, MIGRATIONS)

    assert "TO task_app" in before
    assert dump(dsn, server.binaries / "pg_dump") == before


def test_the_rollback_takes_every_privilege_away_and_leaves_the_roles(
    new_database: NewDatabase,
) -> None:
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)
    run(dsn, "CREATE ROLE task_service LOGIN PASSWORD 'canary-7d1f-password' IN ROLE task_app")
    with psycopg.connect(as_(dsn, "task_service").libpq_url, autocommit=True) as service:
        service.execute("SELECT FROM tasks")
        runner.rollback(dsn, MIGRATIONS, count=BACK_TO_ROLES, lose_data=True)

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("SELECT FROM tasks")
    assert privileges(dsn) == set()
    assert [name for name, *_ in roles(dsn)] == ["task_app", "task_owner", "task_readonly", "task_service"]


def test_the_rollback_leaves_what_the_script_has_granted(new_database: NewDatabase, run_script: RunScript) -> None:
    dsn = new_database()
    run_script(dsn).check_returncode()
    runner.apply(dsn, MIGRATIONS)
    runner.rollback(dsn, MIGRATIONS, count=BACK_TO_ROLES, lose_data=True)

    assert run(dsn, "SELECT has_schema_privilege('task_owner', current_schema(), 'CREATE')") == [(True,)]


def test_who_may_only_read_can_ask_how_the_migrations_stand(new_database: NewDatabase, tmp_path: Path) -> None:
    dsn = new_database()
    runner.apply(dsn, MIGRATIONS)
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    edited = read_migrations(folder)[0]
    edited.path.write_text(edited.text + "-- More.\n")
    write_checksums(folder)
    reader = make_plain_login(dsn, "IN ROLE task_readonly")

    standing = runner.status(reader, folder)[0]

    assert (standing.id, standing.state) == (edited.id, State.EDITED)
    assert planning.plan(reader, folder).problems == [standing.problem]


def test_the_tables_may_be_in_a_schema_of_their_own(new_database: NewDatabase, run_script: RunScript) -> None:
    dsn = new_database()
    run(dsn, "CREATE SCHEMA ours")
    run(dsn, "ALTER DATABASE {} SET search_path = ours", dsn.database)
    run_script(dsn).check_returncode()
    runner.apply(as_(dsn, "task_deploy"), MIGRATIONS)

    assert run(as_(dsn, "task_service"), "SELECT count(*) FROM task_statuses") == [(3,)]
    assert run(dsn, "SELECT to_regclass('public.tasks')") == [(None,)]
