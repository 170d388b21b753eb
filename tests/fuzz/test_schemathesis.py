"""Schemathesis against the service, from its own document: whatever is sent, the answer is one that was promised."""

import asyncio
import json
import os
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import Case, Response

from tests.conftest import PASSWORD, Api

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]

CONFIG = Path(__file__).with_name("schemathesis.toml")
# The answers that the links of the document lead to, on each of the two paths to a task.
LIFE = {("POST", 201), ("GET", 200), ("GET", 304), ("PATCH", 200), ("PATCH", 412), ("DELETE", 204)}
LIFE |= {(method, 404) for method in ("GET", "PATCH", "DELETE")}

Answers = Counter[tuple[str, str, int]]
"""The number of answers, by method, route and status."""


async def _counted(api: Api) -> Answers:
    """Return what the service has counted itself."""
    metrics = (await api.get("/metrics")).text
    return Counter(
        {
            (sample.labels["method"], sample.labels["route"], int(sample.labels["status"])): int(sample.value)
            for family in text_string_to_metric_families(metrics)
            for sample in family.samples
            if sample.name == "http_requests_total"
        }
    )


async def _undocumented(api: Api, answers: Answers) -> set[tuple[str, str, int]]:
    """Return the answers that the document does not know; what no route matched is 404, 405, or the 204 of OPTIONS."""
    paths = (await api.get("/openapi.json")).body["paths"]
    return {
        (method, route, status)
        for method, route, status in answers
        if (
            status not in {204, 404, 405}
            if route == "unmatched"
            else str(status) not in paths[route]["get" if method == "HEAD" else method.lower()]["responses"]
        )
    }


async def test_no_answer_is_outside_the_document(alice: Api, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    before = await _counted(alice)
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", f"{alice.url}/openapi.json"),
        *("--phases", "examples,coverage,fuzzing", "--header", f"Authorization: Bearer {alice.token}"),
        *("--report-json-path", report),
        env={**os.environ, "USER_ID": str(alice.user_id)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()
    print(output.decode())  # noqa: T201 -- what was sent, and what was wrong
    assert run.returncode == 0
    told = json.loads(report.read_text())
    assert told["operations"]["tested"] == told["operations"]["total"] - 1 > 20  # all but delete_me
    answers = await _counted(alice) - before
    faults = {answer for answer in answers if answer[2] >= 500}
    undocumented = await _undocumented(alice, answers)
    print(  # noqa: T201 -- the guarantee's figure
        f"operations {told['operations']['tested']}, cases {told['test_cases']['generated']}, "
        f"requests {answers.total()}, 5xx {len(faults)}, undocumented {len(undocumented)}"
    )
    assert (faults, undocumented) == (set(), set())


async def test_no_sequence_of_requests_is_answered_outside_the_document(
    alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER_ID", str(alice.user_id))
    answers: Answers = Counter()
    # The service answers on the loop of this thread.
    scenarios = await asyncio.to_thread(_play, alice.url, answers)
    faults = {answer for answer in answers if answer[2] >= 500}
    print(  # noqa: T201 -- the guarantee's figure
        f"scenarios {scenarios}, requests {answers.total()}, by answer {sorted(answers.items())}, 5xx {len(faults)}"
    )
    assert faults == set()
    for path in ("/api/tasks", "/api/{user_id}/tasks"):
        assert {(method, status) for method, route, status in answers if route.startswith(path)} >= LIFE


def _play(url: str, answers: Answers) -> int:
    """Play scenarios along the document's links, count the answers, and return how many scenarios there were."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=schemathesis.Config.from_path(CONFIG))
    numbers = count(1)
    with requests.Session() as session:

        class Scenario(schema.as_state_machine()):  # type: ignore[misc]  # it is made at run time
            """Each is a new user's, so that what happened before does not matter and it can be played again."""

            def setup(self) -> None:
                login = {"email": f"scenario-{next(numbers)}@example.com", "password": PASSWORD}
                self.user_id = session.post(f"{url}/api/auth/register", json=login).json()["id"]
                token = session.post(f"{url}/api/auth/login", json=login).json()["access_token"]
                self.headers = {"Authorization": f"Bearer {token}"}

            def before_call(self, case: Case[Any]) -> None:
                if "user_id" in case.path_parameters:
                    case.path_parameters["user_id"] = self.user_id

            def get_call_kwargs(self, _case: Case[Any]) -> dict[str, Any]:
                return {"session": session, "headers": self.headers}

            def after_call(self, response: Response, case: Case[Any]) -> None:
                super().after_call(response, case)
                answers[case.operation.method.upper(), case.operation.path, response.status_code] += 1

        Scenario.run(
            settings=hypothesis_settings(
                max_examples=100,
                stateful_step_count=10,
                derandomize=True,
                database=None,
                deadline=None,
                # Schemathesis makes scenarios of two steps or more, and draws much for each.
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
        )
    return next(numbers) - 1
