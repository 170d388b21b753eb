"""Generated files, which are kept in the repository: written by a command, or checked against what it would write."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path


class NotWritten(Exception):  # noqa: N818 -- it names a state that is reported
    """A file cannot be written; the message is one line."""


def save(contents: Mapping[Path, str]) -> list[Path]:
    """Write each file that does not say yet what it should.

    Returns:
        Those that were written.

    Raises:
        NotWritten: one of them cannot be written.
    """
    written = []
    for path, text in contents.items():
        try:
            if path.is_file() and path.read_bytes() == text.encode():
                continue
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise NotWritten(f"Cannot write {path}: {error.strerror}.") from error
        written.append(path)
    return written


def drifted(contents: Mapping[Path, str], command: str) -> list[str]:
    """Return a line for each file that is not as it should be: its first line that differs, and the command to run."""
    lines = []
    for path, text in contents.items():
        if not path.is_file():
            lines.append(f"{path} is missing: run `{command}`.")
        elif (kept := path.read_text("utf-8", errors="replace")) != text:
            pairs = zip_longest(kept.split("\n"), text.split("\n"))
            number = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
            lines.append(f"{path}:{number} is out of date: run `{command}`.")
    return lines
