"""Docstrings name their subject first, in the service and in its tests.

None begins with a relative clause, or with a pronoun that stands for a noun further up.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
# No imperative begins so. SQL's WHERE and WHEN are nouns here, and so is whatever continues with a hyphen (a how-to).
_RELATIVE = re.compile(
    r"\s*([Ww]h(at|o|om|ose|ich|ere|en)(ever)?|[Ww]h(ether|y)|[Hh]ow(ever)?"
    r"|[Tt]hose|[Tt]hat of|[Tt]hey|[Ss]omething)\b(?!-)"
)


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring: of a module, a class or a function, or behind a name."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):  # no docstring is below one, and most of a tree is
            yield from _strings(child)
        elif isinstance(node, ast.Expr) and isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.lineno, child.value


def _clauses(source: str) -> list[tuple[int, str]]:
    """Return the line and the first words of each docstring that begins with a relative clause or such a pronoun."""
    return [(line, text.split("\n")[0]) for line, text in _strings(ast.parse(source)) if _RELATIVE.match(text)]


def test_no_docstring_begins_with_a_relative_clause_or_a_pronoun() -> None:
    files = sorted(file for folder in ("service", "tests") for file in (_ROOT / folder).rglob("*.py"))
    assert files
    found = [
        f"{file.relative_to(_ROOT)}:{line}: {words}"
        for file in files
        for line, words in _clauses(file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join([f"{len(found)} docstrings do not name the noun first:", *found])


@pytest.mark.parametrize(
    "words",
    [
        "What it is.",
        "Whoever asks.",
        "Whose it is.",
        "Whether it is.",
        "how it is",
        "Why.",
        "Those here.",
        "That of a.",
        "They give one.",
        "Something else.",
    ],
)
def test_a_relative_clause_or_a_pronoun_is_found_wherever_a_docstring_stands(words: str) -> None:
    lines = (
        f'"""{words}"""',
        "A = 1",
        f'"""{words}"""',
        "class B:",
        f' """{words}"""',
        " def c():",
        f'  """{words}"""',
    )
    assert _clauses("\n".join(lines)) == [(1, words), (3, words), (5, words), (7, words)]


@pytest.mark.parametrize(
    "words", ["A limit.", "Say what it is.", "Whole files.", "WHERE clauses.", "`where`.", "How-tos."]
)
def test_a_noun_or_an_imperative_is_none(words: str) -> None:
    assert _clauses(f'"""{words}"""\nprint("What is it?")\n') == []
