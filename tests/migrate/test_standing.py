"""The standing of a database to the files: what it lacks, what it has had otherwise, and what to do about it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from service.migrate.files import Migration
from service.migrate.standing import Applied, State, compare

FILES = [
    Migration(f"000{number}.create-{name}", Path(), "", f"sum of {name}", {}, None, "")
    for number, name in enumerate("abc", 1)
]
ALL = {migration.id: Applied(checksum=migration.checksum) for migration in FILES}


def states(applied: Mapping[str, Applied], files: list[Migration] = FILES) -> dict[str, State]:
    return {standing.id: standing.state for standing in compare(files, applied)}


def test_a_database_has_had_all_or_none_or_the_first_ones() -> None:
    assert set(states(ALL).values()) == {State.APPLIED}
    assert set(states({}).values()) == {State.PENDING}
    assert list(states({FILES[0].id: Applied()}).values()) == [State.APPLIED, State.PENDING, State.PENDING]


def test_one_whose_content_was_not_noted_is_taken_as_it_is() -> None:
    assert set(states(dict.fromkeys(ALL, Applied())).values()) == {State.APPLIED}


def test_one_of_a_later_release_is_ahead_and_one_that_nobody_named_like_this_is_not_known() -> None:
    assert states(ALL | {"0004.create-d": Applied()})["0004.create-d"] is State.AHEAD
    assert states(ALL | {"somebodys": Applied()})["somebodys"] is State.DELETED


def test_one_that_is_missing_among_others_is_out_of_order() -> None:
    del (some := dict(ALL))[FILES[1].id]

    assert states(some)[FILES[1].id] is State.OUT_OF_ORDER
    assert states({"0004.create-d": Applied()})[FILES[0].id] is State.OUT_OF_ORDER


def test_one_with_another_content_was_edited() -> None:
    assert states(ALL | {FILES[0].id: Applied(checksum="another")})[FILES[0].id] is State.EDITED


@pytest.mark.parametrize("new_name", ["0003.make-c", "0004.create-c"])
def test_one_whose_content_has_another_name_was_renamed(new_name: str) -> None:
    files = [*FILES[:2], replace(FILES[2], id=new_name)]
    (renamed,) = [one for one in compare(files, ALL) if one.state is State.RENAMED]

    assert renamed.id == FILES[2].id
    assert renamed.problem == (f"0003.create-c was renamed to {new_name} after it was applied. Give it its name back.")


def test_one_without_a_file_was_deleted() -> None:
    assert states(ALL, FILES[1:])[FILES[0].id] is State.DELETED
    # Of another branch, which took the same number.
    assert states(ALL | {"0003.create-d": Applied()})["0003.create-d"] is State.DELETED


def test_every_problem_names_the_migration_and_says_what_to_do() -> None:
    applied = {FILES[0].id: Applied(checksum="another"), FILES[2].id: Applied(), "0002.gone": Applied()}
    for standing in compare(FILES, applied):
        wrong = standing.state not in {State.APPLIED, State.PENDING, State.AHEAD}
        assert wrong == (standing.problem is not None)
        assert standing.problem is None or standing.problem.startswith(f"{standing.id} ")
