"""The faults of docs/sql-checks.md: each is planted in the example, and told as the document shows."""

import re

import pytest
from marshmallow import fields

from service.sqlcheck.project import DescriptionSchema, Project
from service.sqlcheck.reading.statements import CHECK as READING
from service.sqlcheck.run import CHECKS
from service.sqlcheck.subject import Subject
from tests.sharing import on_one_postgresql
from tests.sqlcheck.plants import DOCUMENT, Plant, PlantError, read_plants, rewrite, tell

pytestmark = on_one_postgresql

_TEXT = DOCUMENT.read_text(encoding="utf-8")
_PLANTS = read_plants(_TEXT)


def test_the_document_has_a_plant_for_every_check() -> None:
    # What it shows of compatibility is for the tests that make a release.
    assert {plant.check for plant in _PLANTS} == {READING, *CHECKS} - {"compatibility"}
    assert len(_PLANTS) == _TEXT.count("\n```diff\n") == _TEXT.count("\n### ")


@pytest.mark.parametrize("plant", _PLANTS, ids=str)
def test_a_fault_is_told_as_the_document_shows(plant: Plant, subject: Subject) -> None:
    assert plant.told
    assert tell(plant, subject) == plant.told, "`make diagnostics` writes what is told."


def test_what_is_told_is_written_behind_each_plant() -> None:
    told = iter([f"one\ntwo {number}\n" for number in range(len(_PLANTS))])
    written = rewrite(_TEXT, lambda _: next(told))
    assert [plant.told for plant in read_plants(written)] == [f"one\ntwo {number}\n" for number in range(len(_PLANTS))]
    shown = iter(plant.told for plant in _PLANTS)
    assert rewrite(re.sub(r"```text\none\n.+\n```", "```text\n```", written), lambda _: next(shown)) == _TEXT


def test_a_fault_is_planted_where_it_belongs_or_not_at_all(copy: Project) -> None:
    before = (copy.sql / "topics.sql").read_text(encoding="utf-8")
    for line, times in (("FROM nowhere", 0), ("FROM topics", before.count("FROM topics"))):
        plant = Plant("style", "a list", f"--- sql/topics.sql\n-{line}\n+FROM notes\n", "")
        with pytest.raises(PlantError) as caught:
            plant.change(copy.folder)
        assert str(caught.value) == f"style: a list: sql/topics.sql has what is to be changed {times} times."
    assert (copy.sql / "topics.sql").read_text(encoding="utf-8") == before


def test_the_document_says_what_each_entry_of_the_description_means() -> None:
    described = DescriptionSchema()
    entries = {
        f"{name}.{part}" if part else name
        for name, field in described.fields.items()
        for part in (field.schema.fields if isinstance(field, fields.Nested) else [""])
    }
    (table,) = re.findall(r"^\| entry \|.+\n\|.+\n((?:\|.+\n)+)", _TEXT, re.MULTILINE)
    assert {name for row in table.splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1])} == entries
    (needed,) = re.findall(r"\n\n((?:`\w+`(?:, | and )?)+) have to be there", _TEXT)
    assert set(re.findall(r"\w+", needed)) - {"and"} == {
        name for name, field in described.fields.items() if field.required
    }
