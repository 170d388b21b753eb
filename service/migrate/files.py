"""The files of `migrations/`: each migration with its header and its rollback, held against `checksums.txt`."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, TypeAlias

CHECKSUMS: Final = "checksums.txt"
"""The file that holds the SHA-256 of every other, as `sha256sum` writes and checks it."""

Direction: TypeAlias = Literal["apply", "rollback"]
"""The direction in which a migration is run, and so which of its two files."""

_ID = re.compile(r"\d{4}\.[a-z0-9]+(-[a-z0-9]+)*")
_ENTRY = re.compile(r"-- (?P<key>depends|transactional|lock_timeout|statement_timeout|[A-Z][a-z]+):(?P<value>.*)")
_TIMEOUT = re.compile(r"0|[1-9]\d*(ms|s|min|h)")


class MigrationError(Exception):
    """A refusal to migrate, or a run that stopped.

    The message is one line, without any password: what failed, why, and what state that leaves.
    """


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration, as its two files have it.

    Attributes:
        id: the file's name without `.sql`: `0003.create-tasks`.
        path: the file that applies it.
        text: its SQL, comments included.
        checksum: the SHA-256 of it, in hexadecimal.
        header: its entries by name, each in one line: `depends`, `transactional`, `lock_timeout`, `statement_timeout`,
            `Purpose`, `Locks`, `Order`. An entry that it leaves out is not in there.
        rollback: the SQL that takes it back; None where there is none.
        loses: what the rollback says under `Loses:`; empty where it says nothing.
    """

    id: str
    path: Path
    text: str
    checksum: str
    header: dict[str, str]
    rollback: str | None
    loses: str

    @property
    def number(self) -> int:
        """The number that its id begins with, and that orders migrations."""
        return int(self.id[:4])

    @property
    def rollback_path(self) -> Path:
        """The path of its rollback, whether the file is there or not."""
        return self.path.with_suffix(".rollback.sql")

    @property
    def locks_path(self) -> Path:
        """The path of the file that says what it locks, whether the file is there or not."""
        return self.path.with_suffix(".locks.txt")

    @property
    def is_transactional(self) -> bool:
        """True if it happens whole or not at all."""
        return self.header.get("transactional") != "false"

    @property
    def goes_after(self) -> bool:
        """True if it goes after the code that belongs to it, by `Order:` in its header."""
        return self.header.get("Order", "").startswith("after")

    @property
    def loses_data(self) -> bool:
        """True if its rollback loses data that cannot be had again."""
        return not self.loses.startswith("nothing")

    def sql(self, direction: Direction) -> str:
        """Return the SQL that runs in a direction; empty where there is no rollback."""
        return self.text if direction == "apply" else self.rollback or ""


def read_migrations(folder: Path, *, check: bool = True) -> tuple[Migration, ...]:
    """Read every migration, in the order in which they apply.

    Args:
        folder: where they are.
        check: whether to hold each file against `checksums.txt`.

    Raises:
        MigrationError: a file cannot be read, is not named or headed as a migration is, or has changed.
    """
    if not folder.is_dir():
        raise MigrationError(f"There is no folder {folder}.")
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise MigrationError(f"{folder} cannot be read: {error.strerror}.") from error
    paths = [path for path in files if path.suffix in {".sql", ".py"} and not path.name.endswith(".rollback.sql")]
    migrations = tuple(map(_read, paths))
    expected = {path for migration in migrations for path in (migration.rollback_path, migration.locks_path)}
    for path in files:
        if path.name.endswith((".rollback.sql", ".locks.txt")) and path not in expected:
            raise MigrationError(f"{path.name} belongs to a migration that is not here: put it back, or remove this.")
    for earlier, later in pairwise(migrations):
        if earlier.number == later.number:
            raise MigrationError(
                f"{earlier.id} and {later.id} have one number: give the later one the next that is free."
            )
    _check_depends(migrations)
    if check:
        _check_checksums(folder, migrations)
    return migrations


def checksums(migrations: Sequence[Migration]) -> str:
    """Return the text of `checksums.txt` as it should be: a line for each file, in the order of their numbers.

    Two branches that each add a migration both add to its end, so that git asks which of them comes first.
    """
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for migration in migrations
        for path in _files(migration)
    )


def write_checksums(folder: Path) -> None:
    """Write `checksums.txt` anew.

    Raises:
        MigrationError: a file cannot be read, or is not named or headed as a migration is.
    """
    (folder / CHECKSUMS).write_text(checksums(read_migrations(folder, check=False)), encoding="utf-8")


def _files(migration: Migration) -> Iterator[Path]:
    yield migration.path
    if migration.rollback is not None:
        yield migration.rollback_path


def _read(path: Path) -> Migration:
    if path.suffix != ".sql" or not _ID.fullmatch(path.stem):
        raise MigrationError(f"{path.name} is not named like a migration: NNNN.verb-words.sql.")
    try:
        content = path.read_bytes()
        text = content.decode()
        back = path.with_suffix(".rollback.sql")
        rollback = back.read_text(encoding="utf-8") if back.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"{path.stem} cannot be read: {error}.") from error
    if "\ufeff" in {text[:1], (rollback or "")[:1]}:
        raise MigrationError(f"{path.stem} cannot be read: it begins with a byte order mark. Save it without one.")
    header = _header(text)
    if header.get("transactional", "true") not in {"true", "false"}:
        raise MigrationError(
            f"{path.stem} cannot be read: `transactional` is true or false, not {header['transactional']}."
        )
    for name in ("lock_timeout", "statement_timeout"):
        if not _TIMEOUT.fullmatch(header.get(name, "0")):
            raise MigrationError(
                f"{path.stem} cannot be read: `{name}` is like 500ms, 5s, 10min or 1h, not {header[name]}."
            )
    return Migration(
        id=path.stem,
        path=path,
        text=text,
        checksum=hashlib.sha256(content).hexdigest(),
        header=header,
        rollback=rollback,
        loses=_header(rollback or "").get("Loses", ""),
    )


def _header(text: str) -> dict[str, str]:
    """Return the entries of the comment that a file begins with.

    An entry that the runner reads is one line. One for people goes on until the next entry, or an empty line.
    """
    entries: dict[str, str] = {}
    key = None
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if found := _ENTRY.match(line):
            key = found["key"]
            entries[key] = found["value"].strip()
        elif not line.removeprefix("--").strip():
            key = None
        elif key and key[0].isupper():
            entries[key] += f" {line.removeprefix('--').strip()}"
    return entries


def _check_depends(migrations: Sequence[Migration]) -> None:
    earlier: set[str] = set()
    for migration in migrations:
        missing = set(migration.header.get("depends", "").split()) - earlier
        if missing:
            raise MigrationError(f"{migration.id} depends on {', '.join(sorted(missing))}, which is not before it.")
        earlier.add(migration.id)


def _check_checksums(folder: Path, migrations: Sequence[Migration]) -> None:
    try:
        text = (folder / CHECKSUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MigrationError(f"There is no {CHECKSUMS} in {folder}: `make schema` writes it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"{CHECKSUMS} cannot be read: {error}.") from error
    expected = checksums(migrations)
    if text == expected:
        return
    if "\n>>>>>>>" in text:
        raise MigrationError(f"{CHECKSUMS} has a merge conflict: number one branch's migrations after the other's.")
    noted, found = _by_name(text), _by_name(expected)
    for name in sorted(noted | found):
        if name not in found:
            raise MigrationError(
                f"{name} is in {CHECKSUMS} but not in {folder}: it was deleted or renamed. Put it back."
            )
        if name not in noted:
            raise MigrationError(f"{name} is not in {CHECKSUMS}: `make schema` adds it.")
        if noted[name] != found[name]:
            raise MigrationError(
                f"{name} has changed since {CHECKSUMS} was written: undo that, as what was applied never changes; or,"
                " where no database has had it, `make schema`."
            )
    raise MigrationError(f"{CHECKSUMS} is not as `make schema` writes it.")


def _by_name(text: str) -> dict[str, str]:
    return {name: checksum for checksum, _, name in (line.partition("  ") for line in text.splitlines() if line)}
