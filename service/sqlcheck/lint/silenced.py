"""Exceptions to squawk: each is for one statement, and has its reason beside it."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script

_IGNORE: Final = re.compile(r"--\s*squawk-ignore\b")
_IGNORE_FILE: Final = re.compile(r"--\s*squawk-ignore-file\b")
_REASON: Final = re.compile(r"\s*--(?!\s*squawk-)\s*\w")


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield where squawk is silenced for a whole file, or without a reason."""
    # It does not judge rollbacks, nor what cannot be read.
    lines = [] if script.is_rollback or script.unreadable else script.text.splitlines()
    for number, (above, line) in enumerate(pairwise(["", *lines]), 1):
        if _IGNORE_FILE.search(line):
            yield script.diagnostic(
                number,
                "Silences squawk for the whole file: write `-- squawk-ignore the-rule` above the statement instead.",
            )
        elif _IGNORE.search(line) and not _REASON.match(above):
            yield script.diagnostic(
                number, "Silences squawk and does not say why: write the reason in a comment above it."
            )
