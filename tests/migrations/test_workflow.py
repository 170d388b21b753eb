"""The steps of .github/workflows/migrations.yml, done to a database as they stand there."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from service.dsn import Dsn
from tests.processes import bare_environ
from tests.sharing import on_each_postgresql

pytestmark = [pytest.mark.faults, on_each_postgresql]

_TOP = Path(__file__).parents[2]
_WORKFLOW = yaml.safe_load((_TOP / ".github" / "workflows" / "migrations.yml").read_text())


def _is_run_here(step: dict[str, Any]) -> bool:
    """Tell whether a step is run here: one that installs, or needs the branch of a pull request, is not."""
    return "run" in step and step["name"] != "Install" and "base_ref" not in step.get("if", "")


@pytest.mark.timeout(300)  # five steps, each a few processes
def test_every_step_of_the_workflow_succeeds(empty_database: Dsn, tmp_path: Path) -> None:
    steps = [step for step in _WORKFLOW["jobs"]["migrate"]["steps"] if _is_run_here(step)]
    assert [step["name"] for step in steps] == [
        "Look",
        "Apply, by three runs at once",
        "Verify",
        "Roll back, and apply again",
        "Hold the statements against this version",
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "DATABASE_URL": empty_database.libpq_url, "RUNNER_TEMP": str(tmp_path)}
    for step in steps:
        done = subprocess.run(
            # As GitHub runs them.
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=_TOP,
            env=bare_environ() | ours,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
