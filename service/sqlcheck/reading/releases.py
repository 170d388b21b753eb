"""The last release, as git has it: its statements, its migrations, and the rows that it is checked on."""

import io
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.migrate.files import CHECKSUMS, MigrationError, write_checksums
from service.sqlcheck.diagnostics import CheckError, NothingToCheckError
from service.sqlcheck.project import Project

# What is on its way to a release, such as v2.0.0-rc.1, is none.
_VERSION: Final = re.compile(r"v\d+(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Release:
    """A revision of a project, in a folder of its own.

    Attributes:
        name: its tag, or how else it was named.
        project: the project as it was then, but described as it is today.
    """

    name: str
    project: Project


@contextmanager
def released(project: Project, revision: str | None = None) -> Iterator[Release]:
    """Lend a release for the length of the block. The working tree is left as it is.

    Args:
        project: the project as it is today.
        revision: a tag, a branch or a commit; without it, the newest version that HEAD has been tagged with.

    Raises:
        NothingToCheckError: nothing has been released yet, or there is no repository to read it out of.
        CheckError: it cannot be had, and what to do.
    """
    checkout = project.folder
    paths = {part: project.names[part] for part in ("sql", "migrations", "rows")}
    if _git(checkout, "rev-parse", "--is-inside-work-tree").returncode:
        raise (CheckError if revision else NothingToCheckError)(
            f"Compared with nothing, since {checkout} is in no git repository that git is here to read: use a clone."
        )
    name = revision or _last_version(checkout)
    found = _git(checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise CheckError(f"The git repository of {checkout} has no revision {name}: name one that it has, or fetch it.")
    commit = found.stdout.decode().strip()
    listed = _git(checkout, "ls-tree", "-r", "--name-only", "-z", commit, "--", *paths.values()).stdout.decode()
    there = [path for path in paths.values() if any(f"{file}/".startswith(f"{path}/") for file in listed.split("\0"))]
    if missing := [paths[part] for part in ("sql", "migrations") if paths[part] not in there]:
        raise CheckError(f"{name} has no {' and no '.join(missing)}: compare with a later revision.")
    # As a zip: reading a tar from elsewhere safely needs more than Python 3.11.2, Debian 12's own, has.
    archive = _git(checkout, "-c", "core.autocrlf=false", "archive", "--format=zip", commit, "--", *there)
    if archive.returncode:
        said = " ".join(archive.stderr.decode(errors="replace").split())
        raise CheckError(f"git cannot read {name}: {said}. Fetch it whole.")
    with tempfile.TemporaryDirectory(prefix="sqlcheck-") as folder:
        with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
            files.extractall(folder)
        release = Release(name, project.at(Path(folder)))
        # A release from before there were checksums has them from here on, since the runner insists on them.
        if not (release.project.migrations / CHECKSUMS).exists():
            try:
                write_checksums(release.project.migrations)
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
