"""A file of sql/ that cannot be loaded stops what runs queries, in a line, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkouts import copy_checkout
from tests.processes import bare_environ

_MISTAKE = "-- name: get_nothing(id)^\nSELECT 1;\n\n-- name: get_more(id)^\nSELECT 1;\n"
_TOLD = "sql/zz.sql:1 get_nothing: Lists id, which its statement does not use: remove that, or use it."


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose sql/ has a file with two mistakes."""
    folder = copy_checkout(tmp_path_factory.mktemp("broken") / "checkout")
    (folder / "sql" / "zz.sql").write_text(_MISTAKE)
    return folder


def _run(checkout: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", *arguments]
    environ = bare_environ() | environment
    return subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [["--help"], ["keys", "generate", "--help"], ["migrate", "--help"]])
def test_what_runs_no_query_does_not_mind(checkout: Path, arguments: list[str]) -> None:
    done = _run(checkout, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_does_not_start_and_says_why_in_a_line(checkout: Path) -> None:
    done = _run(checkout, "serve", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{_TOLD} (1 more: `sql check` tells of all.)\n"


def test_a_command_that_runs_a_query_says_so_too(checkout: Path) -> None:
    done = _run(checkout, "purge", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{_TOLD} (1 more: `sql check` tells of all.)\n"


def test_the_check_tells_of_each_mistake(checkout: Path) -> None:
    done = _run(checkout, "sql", "check")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[:3] == [
        _TOLD,
        _TOLD.replace(":1 get_nothing", ":4 get_more"),
        "reading: Nothing else was checked, since these statements cannot be read.",
    ]
