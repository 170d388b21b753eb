"""Diagnostics, each of a promise that is broken, and notes, which people should know of: what checks yield."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """A promise that is broken.

    Attributes:
        file: where, from the top of the checkout: `sql/tasks.sql`.
        line: the line of that file, from 1.
        query: the name of the query; empty where it is none's.
        check: which check found it.
        message: one sentence on what is wrong, and one on what to do.
    """

    file: str
    line: int
    query: str
    check: str
    message: str

    def __str__(self) -> str:
        """Write it as a compiler would: `sql/tasks.sql:41 list_tasks: …`."""
        return (
            f"{self.file}:{self.line} {self.query}: {self.message}"
            if self.query
            else f"{self.file}:{self.line}: {self.message}"
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A remark that people should know of and that breaks no promise; the message is one sentence."""

    message: str


class NothingToCheckError(Exception):
    """A check has nothing to look at, which is no fault; the message says why, in one line."""


class CheckError(Exception):
    """Nothing can be checked; the message is one line."""
