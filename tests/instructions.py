"""The instructions of CONTRIBUTING.md as steps, to be followed in a copy of the checkout.

A block of code belongs to the file that the paragraph above it names, and is put there as a reader would put it:

- the lines of a `diff` are replaced where they are, once, or wherever a line has one of them;
- a query goes `where the alphabet puts it`, and other text `at the end`, where the paragraph says so;
- else the block is the whole of a new file, or of that of the migration that was begun: there, NNNN is its number.

Of what stands on a console, the commands are run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from service.migrate.files import read_migrations
from tests.checkouts import TOP
from tests.edits import EditError, edit, edit_everywhere

DOCUMENT = TOP / "CONTRIBUTING.md"

_FILE = re.compile(r"[\w./-]+\.(md|py|sql)")
_QUERY = re.compile(r"^-- name: (\w+)", re.MULTILINE)
# The environment is the one that this runs in; make would look for the copy's own.
_PROGRAMS = Path(sys.executable).parent
_MAKE = f"""make() {{ command make -o install BIN={_PROGRAMS} "$@"; }}"""


class StepError(Exception):
    """A step cannot be followed; the message begins with where it stands, and says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A block of code.

    Attributes:
        line: the line of the document on which it begins.
        section: the heading that it stands under.
        introduction: the paragraph above it.
        language: its language.
        text: the code.
    """

    line: int
    section: str
    introduction: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that it belongs to, of all that the paragraph names the last; nothing for a console."""
        named = [span for span in re.findall(r"`([^`]+)`", self.introduction) if _FILE.fullmatch(span)]
        return named[-1] if named and self.commands == [] else ""

    @property
    def commands(self) -> list[str]:
        """The commands that are shown; none of any other block."""
        return re.findall(r"^\$ (.+)", self.text, re.MULTILINE) if self.language == "console" else []

    def follow(self, checkout: Path) -> None:
        """Do what it says in a copy of the checkout.

        Raises:
            StepError: that cannot be done.
        """
        try:
            for command in self.commands:
                run(checkout, command)
            if self.file:
                *_, before, last = read_migrations(checkout / "migrations", check=False)
                file = self.path_in(checkout)
                text = self.text.replace("NNNN.the-migration-before", before.id).replace("NNNN", last.id[:4])
                file.write_text(self._put(text, file), encoding="utf-8")
        except (CommandError, EditError, OSError) as error:
            raise StepError(f"{DOCUMENT.name}:{self.line}: {self.file} {error}") from error

    def path_in(self, checkout: Path) -> Path:
        """Return where its file is in a copy of the checkout."""
        *_, last = read_migrations(checkout / "migrations", check=False)
        return checkout / self.file.replace("NNNN", last.id[:4])

    def _put(self, text: str, file: Path) -> str:
        """Return a file with a text in its place."""
        is_new = self.language != "diff" and not ("alphabet" in self.introduction or "At the end" in self.introduction)
        if is_new and file.exists() and "NNNN" not in self.file:
            raise EditError("is there already")
        there = "" if is_new else file.read_text(encoding="utf-8")
        if self.language == "diff":
            make = edit_everywhere if "wherever" in self.introduction else edit
            return make(there, text)
        if "alphabet" in self.introduction:
            [name] = _QUERY.findall(text)
            place = next((query.start() for query in _QUERY.finditer(there) if query[1] > name), len(there))
            return f"{there[:place]}{text}\n{there[place:]}"
        return f"{there}\n\n{text}".lstrip("\n")


class CommandError(Exception):
    """A command failed; the message is all that it said."""


def read_steps() -> list[Step]:
    """Return the steps of CONTRIBUTING.md, in their order."""
    return list(_read_steps())


def _read_steps() -> Iterator[Step]:
    section, introduction, is_heading = "", "", False
    for token in MarkdownIt("commonmark").parse(DOCUMENT.read_text(encoding="utf-8")):
        if token.type == "inline" and is_heading:
            section = token.content
        elif token.type == "inline":
            introduction = token.content
        elif token.type == "fence" and token.map:
            yield Step(token.map[0] + 1, section, introduction, token.info, token.content)
        is_heading = token.type == "heading_open"


def run(checkout: Path, command: str) -> str:
    """Run a command in a copy of the checkout, and return all that it said.

    Raises:
        CommandError: its exit code is not 0.
    """
    path = f"{_PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{_MAKE}\n{command}"],
        cwd=checkout,
        # What is started elsewhere is to find this service too, and not the one that is installed.
        env=os.environ | {"PATH": path, "PYTHONPATH": str(checkout)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"`{command}` ends with {done.returncode}:\n{done.stdout}")
    return done.stdout
