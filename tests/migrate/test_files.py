"""A folder of migrations is read whole, or refused with the name of the file at fault."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from service.migrate.files import CHECKSUMS, MigrationError, read_migrations, write_checksums
from tests.migrate.example import MIGRATIONS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two migrations."""
    (tmp_path / "0001.create-a.sql").write_text("-- depends:\n-- Purpose: a.\nCREATE TABLE a ();\n")
    (tmp_path / "0001.create-a.rollback.sql").write_text("-- Loses: every a,\n-- and more.\n\nDROP TABLE a;\n")
    (tmp_path / "0002.index-a.sql").write_text(
        "-- depends: 0001.create-a\n-- transactional: false\n-- lock_timeout: 500ms\n-- Purpose: find it.\n--\n"
        "-- A word.\n"
    )
    note(tmp_path)
    return tmp_path


def note(folder: Path) -> None:
    write_checksums(folder)


def refusal(folder: Path) -> str:
    with pytest.raises(MigrationError) as refused:
        read_migrations(folder)
    return str(refused.value)


def test_a_migration_is_read_with_its_header_and_its_way_back(folder: Path) -> None:
    first, second = read_migrations(folder)

    assert (first.id, first.number, first.is_transactional) == ("0001.create-a", 1, True)
    assert first.header == {"depends": "", "Purpose": "a."}
    assert (first.loses, first.loses_data) == ("every a, and more.", True)
    assert first.checksum == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert second.header == {
        "depends": "0001.create-a",
        "transactional": "false",
        "lock_timeout": "500ms",
        "Purpose": "find it.",
    }
    assert (second.is_transactional, second.rollback, second.loses) == (False, None, "")


def test_what_loses_nothing_says_so(folder: Path) -> None:
    (folder / "0002.index-a.rollback.sql").write_text("-- Loses: nothing but time.\n")
    note(folder)

    assert not read_migrations(folder)[1].loses_data


def test_the_checksums_are_those_that_sha256sum_checks() -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS], cwd=MIGRATIONS, check=False)

    assert done.returncode == 0
    assert (MIGRATIONS / CHECKSUMS).read_text().count("\n") == len(list(MIGRATIONS.glob("*.sql")))


def test_two_branches_that_add_a_migration_each_conflict_in_the_checksums(folder: Path) -> None:
    def git(*arguments: str) -> int:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=folder, check=False, capture_output=True, env={"PATH": "/usr/bin:/bin"}
        ).returncode

    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "--message=begin")
    for branch in ("one", "other"):
        git("checkout", "-b", branch, "main")
        (folder / f"0003.create-{branch}.sql").write_text(f"-- depends: 0002.index-a\nCREATE TABLE {branch} ();\n")
        note(folder)
        git("add", ".")
        git("commit", "--message=add")

    assert git("merge", "one") != 0
    (folder / "0003.create-one.sql").rename(folder / "0004.create-one.sql")
    assert refusal(folder) == f"{CHECKSUMS} has a merge conflict: number one branch's migrations after the other's."


def test_a_file_that_changed_after_it_was_noted_is_refused(folder: Path) -> None:
    for name in ("0001.create-a.sql", "0001.create-a.rollback.sql"):
        before = (folder / name).read_text()
        (folder / name).write_text(before + "-- More.\n")
        assert refusal(folder) == (
            f"{name} has changed since {CHECKSUMS} was written: undo that, as what was applied never changes; or, where"
            " no database has had it, `make schema`."
        )
        (folder / name).write_text(before)


def test_a_file_that_was_not_noted_is_refused_and_one_that_is_gone(folder: Path) -> None:
    (folder / "0003.create-c.sql").write_text("")
    assert refusal(folder) == f"0003.create-c.sql is not in {CHECKSUMS}: `make schema` adds it."

    (folder / "0003.create-c.sql").unlink()
    (folder / "0002.index-a.sql").unlink()
    assert refusal(folder) == (
        f"0002.index-a.sql is in {CHECKSUMS} but not in {folder}: it was deleted or renamed. Put it back."
    )


def test_checksums_that_are_missing_or_in_another_order_are_refused(folder: Path) -> None:
    lines = (folder / CHECKSUMS).read_text().splitlines(keepends=True)
    (folder / CHECKSUMS).write_text("".join(reversed(lines)))
    assert refusal(folder) == f"{CHECKSUMS} is not as `make schema` writes it."

    (folder / CHECKSUMS).unlink()
    assert refusal(folder) == f"There is no {CHECKSUMS} in {folder}: `make schema` writes it."


def test_files_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / CHECKSUMS).write_bytes(b"\xff")
    assert refusal(folder).startswith(f"{CHECKSUMS} cannot be read: ")

    (folder / "0002.index-a.sql").write_text("\ufeff-- depends: 0001.create-a\n")
    assert refusal(folder) == "0002.index-a cannot be read: it begins with a byte order mark. Save it without one."


def test_an_empty_line_among_the_checksums_is_no_file(folder: Path) -> None:
    (folder / CHECKSUMS).write_text((folder / CHECKSUMS).read_text() + "\n")

    assert refusal(folder) == f"{CHECKSUMS} is not as `make schema` writes it."


def test_two_migrations_of_one_number_are_refused(folder: Path) -> None:
    (folder / "0002.create-b.sql").write_text("")

    assert refusal(folder) == (
        "0002.create-b and 0002.index-a have one number: give the later one the next that is free."
    )


@pytest.mark.parametrize("name", ["0003.create-c.rollback.sql", "0003.create-c.locks.txt"])
def test_what_belongs_to_no_migration_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("")

    assert refusal(folder) == f"{name} belongs to a migration that is not here: put it back, or remove this."


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("-- transactional: no", "`transactional` is true or false, not no."),
        ("-- lock_timeout: soon", "`lock_timeout` is like 500ms, 5s, 10min or 1h, not soon."),
        ("-- statement_timeout: 10 min", "`statement_timeout` is like 500ms, 5s, 10min or 1h, not 10 min."),
    ],
)
def test_a_header_that_means_nothing_is_refused(folder: Path, header: str, said: str) -> None:
    (folder / "0003.create-c.sql").write_text(f"-- depends:\n{header}\n")

    assert refusal(folder) == f"0003.create-c cannot be read: {said}"
