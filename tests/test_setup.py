"""Set-up: `make` says in a line what the machine lacks, and makes anew what a run that was killed left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

pytestmark = pytest.mark.timeout(300)  # to make an environment takes a while where the machine is busy

_ROOT = Path(__file__).parents[1]
_FILES = 4000  # so many that to unpack them takes a while
_PYPROJECT = """\
[project]
name = "example"
version = "1"
requires-python = ">=3.11"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
_BACKEND = """\
import shutil

def build_editable(folder, settings=None, metadata=None):
    return shutil.copy("packages/example-1-py3-none-any.whl", folder).rpartition("/")[2]
"""
_LOOK = """\
from importlib.metadata import distribution

for name in ("pip", "large", "small", "example"):
    package = distribution(name)
    missing = sum(not file.locate().exists() for file in package.files)
    print(name, *(["is there"] if name == "pip" else [package.version]), *([f"without {missing}"] if missing else []))
"""


def _wheel(folder: Path, name: str, version: str, files: int = 1) -> None:
    about = f"{name}-{version}.dist-info"
    # What says that the package is installed comes first, as in a wheel it may.
    contents = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **{f"{name}/{number}.txt": "" for number in range(files)},
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in contents.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{about}/RECORD", "".join(f"{path},,\n" for path in (*contents, f"{about}/RECORD")))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that are installed here, so that no registry is asked."""
    folder = tmp_path_factory.mktemp("packages")
    for version in ("1", "2"):
        _wheel(folder, "large", version, _FILES)
    _wheel(folder, "small", "1")
    _wheel(folder, "example", "1")
    return folder


class Checkout:
    """A checkout of a small project, with our Makefile and what installs."""

    def __init__(self, folder: Path, packages: Path) -> None:
        """Make one."""
        self.folder, self.venv = folder, folder / ".venv"
        (folder / ".ci").mkdir()
        for name in ("Makefile", ".ci/install"):
            shutil.copy(_ROOT / name, folder / name)
        (folder / "packages").symlink_to(packages)
        (folder / "backend.py").write_text(_BACKEND)
        (folder / "pyproject.toml").write_text(_PYPROJECT)
        self.lock("1")

    def lock(self, version: str) -> None:
        """Ask for this version of the large package."""
        (self.folder / "requirements.lock").write_text(f"large=={version}\n    # via example\nsmall==1\n")

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Start `make` with these arguments, in a group of processes of its own."""
        ours = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "packages", "LC_ALL": "C.UTF-8"}
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
        return subprocess.Popen(
            ["make", *args],
            cwd=self.folder,
            env=environ | ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, *args: str) -> tuple[int, list[str], list[str]]:
        """Run `make`, and return its exit code and the lines that it said on stdout and on stderr."""
        process = self.start(*args)
        said, errors = process.communicate(timeout=110)
        return process.returncode, said.splitlines(), errors.splitlines()

    def install(self, python: str = sys.executable) -> list[str]:
        """Run `make install`, which has to succeed, and return what it said."""
        code, said, errors = self.make("install", f"PYTHON={python}")
        assert (code, errors) == (0, []), said
        return said

    def installed(self) -> list[str]:
        """The installed packages, and those of them that are missing."""
        look = subprocess.run(
            [self.venv / "bin" / "python", "-c", _LOOK], capture_output=True, text=True, timeout=30, check=False
        )
        return look.stdout.splitlines() + look.stderr.splitlines()

    def kill_at(self, sign: str) -> None:
        """Run `make install` and kill all of it as soon as this is there in the environment."""
        process = self.start("install", f"PYTHON={sys.executable}")
        began = monotonic()
        while not any(self.venv.glob(sign)):
            assert process.poll() is None, process.communicate()
            assert monotonic() - began < 110
            sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL


@pytest.fixture
def checkout(tmp_path: Path, packages: Path) -> Checkout:
    """A checkout in which nothing has been installed yet."""
    return Checkout(tmp_path, packages)


def _whole(version: str = "1") -> list[str]:
    return ["pip is there", f"large {version}", "small 1", "example 1"]


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def _old_pythons() -> Iterator[str]:
    for minor in range(10, 5, -1):
        kept = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")
        for found in (shutil.which(f"python3.{minor}"), *map(str, kept)):
            # What pyenv puts on the path may be there and not run.
            if found and not subprocess.run([found, "-V"], capture_output=True, timeout=30, check=False).returncode:
                yield found


def _refusal(checkout: Checkout, python: str) -> str:
    """The one line, above make's own, about a Python that does not do; nothing is left behind."""
    code, said, errors = checkout.make("install", f"PYTHON={python}")
    assert (code, said, len(errors)) == (2, [], 2), errors
    assert errors[1].startswith("make: *** ")
    assert not checkout.venv.exists()
    return errors[0]


_REMEDY = "install Python 3.11 or later, or name one: make PYTHON=/usr/local/bin/python3"


def test_a_python_that_is_not_there_is_one_line(checkout: Checkout) -> None:
    assert _refusal(checkout, "nowhere/python3") == f"nowhere/python3 is not here, or does not run: {_REMEDY}"


def test_a_python_that_is_too_old_is_one_line(checkout: Checkout, tmp_path: Path) -> None:
    old = next(_old_pythons(), None) or _script(tmp_path / "python3", "echo 3.9.18")
    told = _refusal(checkout, old)
    assert re.sub(r"is Python 3\.\d+\.\d+,", "is Python …,", told) == f"{old} is Python …, which is too old: {_REMEDY}"


def test_a_python_without_the_venv_module_is_one_line(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "ensurepip.py").write_text("raise ModuleNotFoundError(\"No module named 'ensurepip'\")\n")
    python = _script(tmp_path / "python3", f'PYTHONPATH={tmp_path}/debian exec {sys.executable} "$@"')
    package = f"python3.{sys.version_info.minor}-venv"
    told = f"{python} has no venv module: on Debian and Ubuntu, apt-get install {package}"
    assert _refusal(checkout, python) == told


@pytest.mark.faults
def test_an_environment_without_pip_is_made_anew_and_one_that_is_whole_is_kept(checkout: Checkout) -> None:
    venv.create(checkout.venv, symlinks=True)  # as Debian's Python leaves it
    version = ".".join(map(str, sys.version_info[:3]))
    said = checkout.install()
    how_long = "it takes a minute or two, on a slow line longer."
    assert said[0] == f"Installing 2 packages into .venv, with Python {version}: {how_long}"
    assert said[1].startswith("Installed in ")
    assert checkout.installed() == _whole()
    assert checkout.install("nowhere") == ["make: Nothing to be done for 'install'."]
    checkout.lock("2")
    assert checkout.install("nowhere")[0] == "Bringing .venv up to date with requirements.lock."
    assert checkout.installed() == _whole("2")


@pytest.mark.faults
@pytest.mark.parametrize(
    "sign",
    [
        "pyvenv.cfg",
        "lib/python*/site-packages/pip",
        "lib/python*/site-packages/large/9.txt",
        "lib/python*/site-packages/example-*.dist-info",
    ],
    ids=["venv", "pip", "requirements", "project"],
)
def test_an_install_that_is_killed_is_done_anew(checkout: Checkout, sign: str) -> None:
    checkout.kill_at(sign)
    assert not (checkout.venv / ".stamp").exists()
    assert checkout.install()[0].startswith("Installing 2 packages ")
    assert checkout.installed() == _whole()


@pytest.mark.faults
def test_an_update_that_is_killed_is_done_anew(checkout: Checkout) -> None:
    checkout.install()
    checkout.lock("2")
    checkout.kill_at("lib/python*/site-packages/large-2.dist-info")
    assert checkout.installed() != _whole("2")
    assert checkout.install()[0].startswith("Installing 2 packages ")
    assert checkout.installed() == _whole("2")


@pytest.mark.faults
def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "bin" / "python").symlink_to(checkout.folder / "nowhere")
    (checkout.venv / ".stamp").touch()
    assert checkout.install()[0].startswith("Installing 2 packages ")
    assert checkout.installed() == _whole()


@pytest.mark.faults
def test_what_installs_is_waited_for_even_where_its_make_was_killed(checkout: Checkout) -> None:
    first = checkout.start("install", f"PYTHON={sys.executable}")
    while not (checkout.venv / "pyvenv.cfg").exists():
        assert first.poll() is None
        sleep(0.001)
    first.kill()
    assert checkout.install() == ["Waiting for another make that installs into .venv."]
    assert checkout.installed() == _whole()
    assert first.communicate(timeout=10)[0].splitlines()[-1].startswith("Installed in ")


@pytest.mark.parametrize("failing", ["", "sql check", "sql catalogue --check", "migrate snapshot --check"])
def test_make_sql_goes_through_all_of_its_steps_and_fails_where_one_does(checkout: Checkout, failing: str) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    # In the place of the service, whose commands have tests of their own.
    _script(checkout.venv / "bin" / "python", f'shift 2\necho "$*" >>steps\n[ "$*" != "{failing}" ]')
    (checkout.folder / "postgresql").mkdir()
    code, _, errors = checkout.make("sql", "POSTGRESQL_15=postgresql", "--assume-old=.venv/.stamp")
    assert (checkout.folder / "steps").read_text().splitlines() == [
        "sql check",
        "sql check --programs postgresql",
        "sql catalogue --check",
        "migrate snapshot --check",
    ]
    assert code == (2 if failing else 0), errors
