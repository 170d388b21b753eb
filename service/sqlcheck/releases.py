"""The last release, as git has it: its statements, its migrations, and the rows that it is checked on."""

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.history.files import CHECKSUMS, MigrationError, write_checksums
from service.sqlcheck.faults import CheckError, NothingToCheckError

_ROWS: Final = "service/sqlcheck/rows.sql"
_PARTS: Final = ("sql", "migrations", _ROWS)
# What is on its way to a release, such as v2.0.0-rc.1, is none.
_VERSION: Final = re.compile(r"v\d+(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Release:
    """What a revision has of what is checked, in a folder of its own.

    Attributes:
        name: its tag, or how else it was named.
        folder: where `sql/` and `migrations/` are.
    """

    name: str
    folder: Path

    @property
    def sql(self) -> Path:
        """The folder of its statements."""
        return self.folder / "sql"

    @property
    def migrations(self) -> Path:
        """The folder of its migrations."""
        return self.folder / "migrations"

    @property
    def rows(self) -> Path | None:
        """The file of its rows; None where it has none yet."""
        rows = self.folder / _ROWS
        return rows if rows.is_file() else None


@contextmanager
def released(checkout: Path, revision: str | None = None) -> Iterator[Release]:
    """Lend a release for the length of the block. The working tree is left as it is.

    Args:
        checkout: the folder in which `sql/` and `migrations/` are.
        revision: a tag, a branch or a commit; without it, the newest version that HEAD has been tagged with.

    Raises:
        NothingToCheckError: nothing has been released yet, or there is no repository to read it out of.
        CheckError: it cannot be had, and what to do.
    """
    if _git(checkout, "rev-parse", "--is-inside-work-tree").returncode:
        raise (CheckError if revision else NothingToCheckError)(
            f"Compared with nothing, since {checkout} is in no git repository that git is here to read: use a clone."
        )
    name = revision or _last_version(checkout)
    found = _git(checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise CheckError(f"The git repository of {checkout} has no revision {name}: name one that it has, or fetch it.")
    commit = found.stdout.decode().strip()
    listed = _git(checkout, "ls-tree", "-r", "--name-only", "-z", commit, "--", *_PARTS).stdout.decode()
    parts = [part for part in _PARTS if any(f"{file}/".startswith(f"{part}/") for file in listed.split("\0"))]
    if missing := [part for part in ("sql", "migrations") if part not in parts]:
        raise CheckError(f"{name} has no {' and no '.join(missing)}: compare with a later revision.")
    archive = _git(checkout, "-c", "core.autocrlf=false", "archive", "--format=tar", commit, "--", *parts)
    if archive.returncode:
        said = " ".join(archive.stderr.decode(errors="replace").split())
        raise CheckError(f"git cannot read {name}: {said}. Fetch it whole.")
    with tempfile.TemporaryDirectory(prefix="task-service-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        release = Release(name, Path(folder))
        # A release from before there were checksums has them from here on, since the runner insists on them.
        if not (release.migrations / CHECKSUMS).exists():
            try:
                write_checksums(release.migrations)
            except MigrationError as error:
                raise CheckError(f"{name} cannot be compared with: {error}") from error
        yield release


def _last_version(checkout: Path) -> str:
    tags = _git(checkout, "tag", "--list", "v*", "--merged", "HEAD").stdout.decode().split()
    versions = [tag for tag in tags if _VERSION.fullmatch(tag)]
    if versions:
        return max(versions, key=lambda tag: [int(part) for part in tag[1:].split(".")])
    is_shallow = _git(checkout, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    fetching = "This clone is shallow, and may lack it: git fetch --unshallow --tags." if is_shallow else ""
    raise NothingToCheckError(
        "Compared with nothing, since HEAD has no release behind it: a tag like v1.2.3."
        f" {fetching or 'Until there is one, --against names a revision.'}"
    )


def _git(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # A clone that is another user's, as in a container, is no danger here: its code is what runs.
    command = [shutil.which("git") or "false", "-c", "safe.directory=*", "-C", str(checkout), *arguments]
    return subprocess.run(  # noqa: S603 -- a revision comes behind --end-of-options first, and no shell reads it
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    )
