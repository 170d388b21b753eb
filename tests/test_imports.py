"""A process that serves loads neither the prover nor what is under the GPL, whatever it imports on its way."""

import subprocess
import sys

import pytest

_UNWANTED = ("service.sqlcheck", "pglast", "jinja2", "playwright", "pytest")


@pytest.mark.parametrize("module", ["service.cli", "service.workers"])
def test_what_serves_does_not_load_the_prover(module: str) -> None:
    code = f"import {module}, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert [name for name in loaded if name.startswith(_UNWANTED)] == []
