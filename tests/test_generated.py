"""Files that are generated: written where they are looked for, and known when they drift."""

from pathlib import Path

import pytest

from service.generated import NotWritten, drifted, save


def test_files_are_written_as_they_should_be(tmp_path: Path) -> None:
    save({tmp_path / "a.md": "ä\n", tmp_path / "b.md": ""})

    assert (tmp_path / "a.md").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b.md").read_bytes() == b""


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match=r"^Cannot write .*/nowhere/a\.md: No such file or directory\.$"):
        save({tmp_path / "nowhere" / "a.md": ""})


def test_a_file_that_is_as_it_should_be_has_not_drifted_and_one_that_is_missing_has(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("a\nb\n")

    assert drifted({path: "a\nb\n"}, "make it") == []
    assert drifted({path: "a\nb\nc\n"}, "make it") == [f"{path}:3 is out of date: run `make it`."]
    assert drifted({tmp_path / "b.md": ""}, "make it") == [f"{tmp_path}/b.md is missing: run `make it`."]
