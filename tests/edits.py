"""The edits that documents show as diffs."""

import re
from collections.abc import Iterator
from typing import Final

_HUNK: Final = re.compile(r"^@@(?: (.+))?\n", re.MULTILINE)
_RUN: Final = re.compile(r"((?:^-.*\n)+)((?:^\+.*\n)+)", re.MULTILINE)


class EditError(Exception):
    """An edit cannot be made; the message says how often what is to be changed is there."""


def edit(text: str, diff: str) -> str:
    """Return a text after an edit of the lines that a diff shows.

    Args:
        text: the text, which has each hunk once.
        diff: hunks of lines that begin with a blank, `-` or `+`. An `@@` begins another one; a line of the text behind
            it is one that the hunk is the first below.

    Raises:
        EditError: a hunk has no place, or several.
    """
    for line, before, after in _hunks(diff):
        above, found, below = text.partition(f"{line}\n") if line else ("", "", text)
        count = below.count(before) if found or not line else 0
        if count != 1 and not (line and count):
            raise EditError(f"has what is to be changed {count} times")
        text = above + found + below.replace(before, after, 1)
    return text


def edit_everywhere(text: str, diff: str) -> str:
    """Return a text after an edit wherever it can be made.

    Args:
        text: the text.
        diff: lines with `-`, or parts of lines, and those with `+` that take their place; then others.

    Raises:
        EditError: there is no place for one of them.
    """
    for before, after in _RUN.findall(diff):
        old, new = (re.sub(r"^[-+]", "", run, flags=re.MULTILINE).removesuffix("\n") for run in (before, after))
        if old not in text:
            raise EditError(f"has what is to be changed 0 times: {old}")
        text = text.replace(old, new)
    return text


def _hunks(diff: str) -> Iterator[tuple[str, str, str]]:
    """Yield each hunk: the line that it stands below, or nothing; its lines before the edit; and those after it."""
    first, *others = _HUNK.split(diff)
    for line, hunk in [("", first), *zip(others[::2], others[1::2], strict=True)]:
        # Editors take the blank from the end of a line.
        lines = [one if one.strip() else " \n" for one in hunk.splitlines(keepends=True)]
        if lines:
            before, after = ("".join(one[1:] for one in lines if one[0] in f" {sign}") for sign in "-+")
            yield line or "", before, after
