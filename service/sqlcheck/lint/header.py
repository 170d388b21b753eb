"""Headers: a migration says of itself all that it should, in one order, and nothing that nobody reads."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from service.migrate.locks import mismatches, read
from service.sqlcheck.diagnostics import Diagnostic
from service.sqlcheck.lint.scripts import Script

_DIRECTIVES: Final = ("depends", "transactional", "lock_timeout", "statement_timeout")
"""The entries that the runner reads, and yoyo below it."""

_SAID: Final = ("Purpose", "Locks", "Order")
"""The entries that people read, and every migration has."""

_ENTRIES: Final = (*_DIRECTIVES, *_SAID)
_ORDERS: Final = ("before", "after", "at any time")

# As loosely as people write it, and as yoyo reads it; an address is none.
_ENTRY_LIKE: Final = re.compile(r"\s*--\s*(?P<name>\w+)\s*:(?!//)(?P<value>.*)")


class _Entry(NamedTuple):
    line: int
    name: str
    value: str
    is_exact: bool
    in_header: bool


def check(script: Script) -> Iterator[Diagnostic]:
    """Yield what is wrong with the header of a file."""
    entries = list(_entries(script.text))
    yield from _of_rollback(script) if script.is_rollback else _of_migration(script, entries)
    yield from _unread(script, entries, ("Loses",) if script.is_rollback else _ENTRIES)


def _of_migration(script: Script, entries: list[_Entry]) -> Iterator[Diagnostic]:
    previous = script.earlier[-1].migration if script.earlier else None
    header = script.migration.header
    names = [entry.name for entry in entries if entry.in_header and entry.name in _ENTRIES]
    if not script.text.startswith("-- depends:"):
        yield script.diagnostic(
            1, "Does not begin with `-- depends:`, which yoyo does not see further down: put it first."
        )
    elif header["depends"] != (previous.id if previous else ""):
        wanted = f"-- depends: {previous.id}" if previous else "-- depends:"
        before = f"the migration before it is {previous.id}" if previous else "it is the first migration"
        yield script.diagnostic(1, f"Depends on {header['depends'] or 'nothing'}, but {before}: write `{wanted}`.")
    for name in _SAID:
        if not header.get(name):
            yield script.diagnostic(1, f"Does not say its {name}: add a line `-- {name}: …` to its header.")
    order = [name for name in _ENTRIES if name in names]
    if list(dict.fromkeys(names)) != order:
        yield script.diagnostic(1, f"Has its header out of order: write {', '.join(order)}.")
    when = header.get("Order", "").strip()
    if when and not when.startswith(_ORDERS):
        yield script.diagnostic(
            next(entry.line for entry in entries if entry.name == "Order"),
            f"Says `Order: {when}`: begin with `before the code …`, `after the code …` or `at any time`.",
        )
    # That it was measured, and is as it would be today, `migrate snapshot --check` says, which has a database.
    if header.get("Locks") and (locks := read(script.migration)) is not None:
        line = next(entry.line for entry in entries if entry.name == "Locks")
        for told in mismatches(script.migration, locks):
            yield script.diagnostic(line, told)


def _of_rollback(script: Script) -> Iterator[Diagnostic]:
    if not script.text.startswith("-- Loses:") or not script.migration.loses:
        yield script.diagnostic(
            1,
            "Does not begin with what it loses: write `-- Loses: …` first, or `-- Loses: nothing.` if that is so.",
        )


def _unread(script: Script, entries: list[_Entry], known: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Yield the entries that look as if they said something, and are not read, or not by all."""
    seen = set[str]()
    for entry in entries:
        is_directive = entry.name.lower() in _DIRECTIVES
        if not entry.in_header:
            if is_directive:
                yield script.diagnostic(
                    entry.line,
                    f"Says `{entry.name}:` below its header, which is the first comment: put it there, or say it in"
                    " other words.",
                )
        elif entry.name not in known:
            yield script.diagnostic(
                entry.line,
                f"Says `{entry.name}:`, which nobody reads: what this header may say is {', '.join(known)}.",
            )
        elif not entry.is_exact:
            yield script.diagnostic(
                entry.line,
                f"Does not say `{entry.name}:` as the runner reads it: write `-- {entry.name}: {entry.value.strip()}`.",
            )
        elif entry.name in seen:
            yield script.diagnostic(entry.line, f"Says `{entry.name}:` twice: keep one of them.")
        seen.add(entry.name)


def _entries(text: str) -> Iterator[_Entry]:
    """Yield each line of a file that reads `-- name: value`, or nearly so."""
    in_header = True
    for number, line in enumerate(text.splitlines(), 1):
        in_header = in_header and line.startswith("--")
        if found := _ENTRY_LIKE.match(line):
            name = found["name"]
            yield _Entry(number, name, found["value"], line.startswith(f"-- {name}:"), in_header)
