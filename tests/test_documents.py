"""The documents of the project: the files, headings, paths and commands that they point at exist.

Anchors are GitHub's: a heading's text in lower case, without punctuation, joined by hyphens.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import click
from markdown_it import MarkdownIt
from markdown_it.token import Token

from service.cli import main
from tests.instructions import read_steps

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = sorted(
    [
        *_ROOT.glob("*.md"),
        *(file for name in ("docs", "migrations", "service", "sql") for file in (_ROOT / name).rglob("*.md")),
    ]
)
_CONFIGURATION = sorted([*_ROOT.glob("*.toml"), _ROOT / "Makefile", *_ROOT.glob(".ci/*")])
_FOLDERS = r"\.ci|\.github|docs|migrations(?!/\d)|service|sql|tests"
_MADE = {step.file for step in read_steps()}
_HTML = {"html_block", "html_inline"}


@cache
def _tokens(document: Path) -> tuple[Token, ...]:
    """The tokens of a document, each line's own before those of what stands in it."""
    blocks = MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))
    return tuple(token for block in blocks for token in (block, *(block.children or ())))


@cache
def _anchors(document: Path) -> frozenset[str]:
    """The anchors that a link can lead to."""
    anchors: set[str] = set()
    seen: Counter[str] = Counter()
    for token, text in pairwise(_tokens(document)):
        if token.type == "heading_open":
            words = "".join(child.content for child in text.children or ())
            slug = re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        elif token.type in _HTML:
            anchors.update(re.findall(r'\bid="([^"]+)"', token.content))
    return frozenset(anchors)


def _links() -> Iterator[tuple[Path, str]]:
    """Yield each document with each link in it that leads to a file or a heading of the project."""
    for document in _DOCUMENTS:
        for token in _tokens(document):
            targets = [token.attrGet("href"), token.attrGet("src")]
            if token.type in _HTML:
                targets += re.findall(r'\b(?:href|src)="([^"]+)"', token.content)
            yield from ((document, unquote(str(target))) for target in targets if target and "://" not in str(target))


def _is_broken(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    return not target.exists() or bool(anchor and anchor not in _anchors(target))


def test_every_link_leads_to_a_file_and_a_heading_that_exist() -> None:
    links = list(_links())
    assert len(links) >= 100
    assert [(document, link) for document, link in links if _is_broken(document, link)] == []


def test_every_path_that_is_named_exists() -> None:
    named = [
        (document, re.split("[: ]", token.content)[0])
        for document in _DOCUMENTS
        for token in _tokens(document)
        # An example of a migration is still to be made, and so is what CONTRIBUTING.md adds.
        if token.type == "code_inline" and token.content not in _MADE and re.match(f"({_FOLDERS})/", token.content)
    ]
    assert len(named) >= 100
    assert [(document, path) for document, path in named if not any(_ROOT.glob(path))] == []


def test_every_path_that_a_comment_of_the_configuration_names_exists() -> None:
    named = [
        (file, path)
        for file in _CONFIGURATION
        for comment in re.findall("#.*", file.read_text(encoding="utf-8"))
        for path in re.findall(rf"(?<![\w/])(?:{_FOLDERS})/(?:[\w./-]*\w)?", comment)
    ]
    assert len(named) >= 10
    assert [(file, path) for file, path in named if not (_ROOT / path).exists()] == []


def _is_command(words: list[str]) -> bool:
    """Tell whether the command line has these commands and options."""
    command: click.Command = main
    for word in words:
        if word.startswith("--"):
            if not any(word in (*option.opts, *option.secondary_opts) for option in command.params):
                return False
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return False
            command = command.commands[word]
    return True


def test_every_command_that_is_shown_can_be_given() -> None:
    targets = re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    texts = {document: document.read_text(encoding="utf-8") for document in _DOCUMENTS}
    made = [(name, word) for name, text in texts.items() for word in re.findall(r"(?:`|\$ )make ([a-z-]+)", text)]
    run = [
        (name, words.split())
        for name, text in texts.items()
        for words in re.findall(r"python -m service((?: [a-z][a-z-]*| --[a-z-]+)+)", text)
    ]
    assert len(made) >= 20
    assert len(run) >= 20
    assert [(name, target) for name, target in made if target not in targets] == []
    assert [(name, words) for name, words in run if not _is_command(words)] == []
