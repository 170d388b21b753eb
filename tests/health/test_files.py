"""A release whose files are not as they were checked in does not begin to serve, and says why."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.dsn import Dsn
from service.resources import resource_folder
from tests.conftest import as_app
from tests.processes import PRODUCTION, command
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_SERVE = """
import sys
from pathlib import Path

import service.app
from service.cli import main

folder = Path(sys.argv.pop(1))
service.app.resource_folder = lambda name: folder / name
main()
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_migrations_that_are_not_as_checked_in_are_one_clear_line(
    shared_dsn: Dsn, tmp_path: Path, workers: str
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(resource_folder("migrations"), folder)
    with (folder / "0003.create-tasks.sql").open("a") as edited:
        edited.write("-- Nobody will notice.\n")
    options = command(tmp_path, **PRODUCTION, DATABASE_URL=as_app(shared_dsn).libpq_url, WORKERS=workers)
    options["args"] = [sys.executable, "-c", _SERVE, str(tmp_path), "serve"]
    started = subprocess.run(**options, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (started.returncode, started.stdout) == (1, "")
    lines = [line for line in started.stderr.splitlines() if not line.startswith("{")]  # which is the log
    assert len(lines) == 1, started.stderr
    assert lines[0].startswith("0003.create-tasks.sql has changed since checksums.txt was written: undo that")
