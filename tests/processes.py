"""The service in a process of its own, as people start and stop it."""

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.settings import Settings
from tests.canary import MARK, search_file

_SECRETS = {"JWT_SECRET": MARK + "j" * 40, "PASSWORD_PEPPER": MARK + "p" * 40}
PRODUCTION = {"APP_ENV": "production", **_SECRETS}
_TALKATIVE = {"LOG_LEVEL": "debug", "DEBUG": "true"}


VARIABLES = frozenset(field.name.upper() for field in dataclasses.fields(Settings))
"""The variables that the service reads of its environment."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that serves: where, and what it said at first."""

    process: subprocess.Popen[str]
    said: list[str]
    errors: Path

    @property
    def url(self) -> str:
        """The URL that it serves on."""
        greeting = next(line for line in self.said if line.startswith("Serving on "))
        return greeting.split()[2].rstrip(".")

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        """Return the exit code."""
        return await asyncio.to_thread(self.process.wait, 30)


def bare_environ() -> dict[str, str]:
    """Return the environment, without what the service reads of it."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


def command(cwd: Path, *args: str, **variables: str) -> dict[str, Any]:
    """Return the arguments of Popen for a command of the service, which sees these variables of ours and no other."""
    quick = {"PORT": "0", "BCRYPT_COST": "4", "DATA_DIR": str(cwd / "data"), "LOG_FORMAT": "json"}
    return {
        "args": [sys.executable, "-m", "service", *args],
        "cwd": cwd,
        "env": bare_environ() | quick | variables,
        "text": True,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
    }


@asynccontextmanager
async def serving(cwd: Path, *args: str, last_line: str = "Serving on ", **variables: str) -> AsyncIterator[Process]:
    """Start the service, wait for its greeting, and leave nothing of it behind."""
    errors = cwd / "stderr"
    with errors.open("a") as stderr:
        options = command(cwd, "serve", *args, **{**_TALKATIVE, **variables})
        process = subprocess.Popen(**options, stderr=stderr, start_new_session=True)  # noqa: ASYNC220 -- it is only started here
    assert process.stdout
    try:
        said: list[str] = []
        while not (said and said[-1].startswith(last_line)):
            line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 60)
            assert line, f"it ended: {said} {errors.read_text()}"
            said.append(line.rstrip("\n"))
        yield Process(process, said, errors)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        process.stdout.close()
        search_file(errors)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that `nobody` can reach, so that what root's PostgreSQL keeps stays within and goes with it."""
    with tempfile.TemporaryDirectory(prefix="task-service-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def postgres_processes(data_dir: Path) -> list[psutil.Process]:
    """Return every process of a PostgreSQL whose data are below this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(data_dir):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
