"""The rules, each of which stands in a file of its own, as its test does: one file, one line here, one test."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint import (
    cascade,
    comments,
    concurrently,
    header,
    if_exists,
    loses,
    names,
    printed_rows,
    rollbacks,
    settings,
    silenced,
    syntax,
    transactions,
    truncate,
)
from service.sqlcheck.lint.scripts import Script

Rule: TypeAlias = Callable[[Script], Iterator[Diagnostic]]
"""Yields what is wrong with a file."""

RULES: Final[tuple[Rule, ...]] = (
    syntax.check,
    header.check,
    rollbacks.check,
    loses.check,
    transactions.check,
    concurrently.check,
    settings.check,
    if_exists.check,
    cascade.check,
    truncate.check,
    printed_rows.check,
    names.check,
    comments.check,
    silenced.check,
)
"""Every rule that is ours; those of squawk are in `squawk`."""
