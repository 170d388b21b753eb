"""docs/contract.md: a table that names tests is worth something as long as they exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")


def test_every_line_of_the_contract_names_tests_that_exist() -> None:
    lines = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| the contract")]
    assert lines
    for line in lines:
        proofs = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
        assert proofs, line
        for file, name in proofs:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            tests = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
            assert name in tests, f"{file}::{name}"
