"""Nothing secret is logged: what the service logs in any test is searched for secrets, and one hit fails the run.

A plugin of pytest, which tests/conftest.py registers. The tests' passwords and keys are known by marks; tokens, hashes
and the like by their shape. What is searched:

- what each test and its fixtures leave in pytest's capture: structlog and the standard library, at every level;
- every line that the service's own writer writes in the process of the tests, wherever a test has it written;
- the standard error of each service that tests/processes.py starts, at LOG_LEVEL=debug and DEBUG=true unless the test
  says otherwise;
- the log of the tests' PostgreSQL servers, which quotes statements that failed.

What is not: what a test takes for itself (by `capsys`, `capture_logs` or a pipe from a command), and with `-s` what is
not captured at all. What a command prints because it was asked to, such as a new client's secret, is no log.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict

from service.logs import _Writer

Kinds = Mapping[str, re.Pattern[str]]

MARK = "canary-7d1f"
"""Begins each key of the tests, and whatever else of theirs must not be logged."""
_PASSWORDS = "correct horse battery|another horse"

# Each matches within one line.
SECRETS: Kinds = {
    "a marked secret": re.compile(rf"{MARK}[^\s\"']*|{_PASSWORDS}", re.IGNORECASE),
    "a JSON Web Token": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "a refresh token": re.compile(r"tsr_[\w-]{40,}"),
    "a client secret": re.compile(r"tsc_[\w-]{40,}"),
    "a password hash": re.compile(r"\$2[abxy]\$\d\d\$[^\s\"']*"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*"),
    "a database password": re.compile(r"postgres(?:ql)?(?:\+\w+)?://[^\s:@/]*:[^\s@]+@"),
    "credentials": re.compile(
        r"authorization[^\w\n]{0,3}[:=,][^\w\n]{0,4}\w[^\"'\n]*|(?:bearer|basic) [\w.~+/-]{8,}=*", re.IGNORECASE
    ),
}
# The hashes are PostgreSQL's to keep, and its log quotes a row that breaks a constraint.
SECRETS_OF_POSTGRESQL: Kinds = {kind: pattern for kind, pattern in SECRETS.items() if kind != "a password hash"}

_MAX_SHOWN = 50
_MAX_LENGTH = 300

_hits: list[str] = []
# How many lines of each log; a log is that of a test or a file.
_lines: Counter[str] = Counter()


def findings(text: str, kinds: Kinds = SECRETS) -> list[str]:
    """Return of each line that holds a secret its number, what it holds, and the rest of it."""
    if not any(pattern.search(text) for pattern in kinds.values()):
        return []
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if held := [kind for kind, pattern in kinds.items() if pattern.search(line)]:
            rest = reduce(lambda rest, pattern: pattern.sub("[...]", rest), SECRETS.values(), line)
            found.append(f"line {number} holds {', '.join(held)}: {rest.strip()[:_MAX_LENGTH]}")
    return found


def search(text: str, log: str, kinds: Kinds = SECRETS) -> None:
    """Search what was logged; what is found in it will fail the run."""
    _lines[log] += text.count("\n")
    _hits.extend(f"{log}, {finding}" for finding in findings(text, kinds))


def search_file(file: Path, kinds: Kinds = SECRETS) -> None:
    """Search a file that was logged to."""
    search(file.read_text(errors="replace"), f"{_current_test()}, {file.name}", kinds)


def _current_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "no test (at all)").rpartition(" (")[0]


def pytest_configure(config: pytest.Config) -> None:
    """Have everything logged, as the service logs it, and search what its writer writes."""
    config.option.log_level = config.option.log_level or "DEBUG"
    # Where Rich is installed, as it is for development, structlog's default is to show the values of variables. The
    # service's own writer never does.
    ConsoleRenderer.get_active().exception_formatter = plain_traceback
    render = _Writer._line  # noqa: SLF001 -- all that it writes passes through there

    def render_and_search(writer: _Writer, event: EventDict) -> str:
        line = render(writer, event)
        search(line, _current_test())
        return line

    _Writer._line = render_and_search  # type: ignore[method-assign, assignment]  # noqa: SLF001 -- the same


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Search what a test left in the capture. Its last report has all of it, that of its fixtures as well."""
    is_of_worker = hasattr(report, "node")  # which has searched it
    if report.when == "teardown" and not is_of_worker:
        for _, text in report.sections:
            search(text, report.nodeid)


@pytest.hookimpl(trylast=True)  # after the last fixtures
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if anything was found; a worker of xdist hands on what it has."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["canary"] = dict(_lines), _hits
    elif _hits and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker has; one that has crashed has nothing, and fails the run anyway."""
    lines, hits = getattr(node, "workeroutput", {}).get("canary", ({}, []))
    _lines.update(lines)
    _hits.extend(hits)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was found, and how much was searched."""
    if _hits:
        terminalreporter.section("secrets were logged", red=True)
        for hit in _hits[:_MAX_SHOWN]:
            terminalreporter.write_line(hit)
    terminalreporter.write_line(f"canary: {_lines.total()} lines of {len(_lines)} logs searched, hits = {len(_hits)}")
