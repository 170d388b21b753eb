"""Files that are generated: written where they are looked for, and known when they drift."""

from pathlib import Path

import pytest

from service.generated import NotWritten, drifted, save


def test_files_are_written_as_they_should_be(tmp_path: Path) -> None:
    paths = [tmp_path / "a.md", tmp_path / "b.md"]

    assert save(dict(zip(paths, ("ä\n", ""), strict=True))) == paths
    assert (tmp_path / "a.md").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b.md").read_bytes() == b""


def test_a_file_that_says_what_it_should_is_left_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("current.md", "drifted.md", "cr.md", "missing.md")]
    for path, text in zip(paths, ("ä\n", "b\n", "c\r\n"), strict=False):
        path.write_text(text, newline="")
    paths[0].chmod(0o444)
    before = paths[0].stat().st_mtime_ns
    contents = dict(zip(paths, ("ä\n", "B\n", "c\n", "d\n"), strict=True))

    assert save(contents) == paths[1:]
    assert save(contents) == []
    assert paths[0].stat().st_mtime_ns == before
    assert [path.read_bytes().decode() for path in paths] == list(contents.values())


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match=r"^Cannot write .*/nowhere/a\.md: No such file or directory\.$"):
        save({tmp_path / "nowhere" / "a.md": ""})


def test_a_file_that_is_as_it_should_be_has_not_drifted_and_one_that_is_missing_has(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("a\nb\n")

    assert drifted({path: "a\nb\n"}, "make it") == []
    assert drifted({path: "a\nb\nc\n"}, "make it") == [f"{path}:3 is out of date: run `make it`."]
    assert drifted({tmp_path / "b.md": ""}, "make it") == [f"{tmp_path}/b.md is missing: run `make it`."]
