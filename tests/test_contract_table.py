"""The tables of docs/ that name tests: they are worth something as long as those exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = {"contract.md": 80, "migrations.md": 35, "security.md": 20}


@cache
def _tests_in(file: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("name", PROMISES)
def test_every_promise_names_tests_that_exist(name: str) -> None:
    lines: list[str] = []
    is_table_of_proofs = False
    for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            is_table_of_proofs = False
        elif line.endswith("| proved by |"):
            is_table_of_proofs = True
        elif is_table_of_proofs and not line.startswith("|---"):
            lines.append(line)
    assert len(lines) >= PROMISES[name]
    for line in lines:
        proofs = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
        assert proofs, line
        for file, test in proofs:
            assert test in _tests_in(file), f"{file}::{test}"
