"""The OpenAPI document: it is what the routes are, word for word, and each word can be held against the service."""

import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import orjson
import pytest
from click.testing import CliRunner

from service import cli
from service.app import openapi
from service.http.problems import KINDS
from tests.conftest import Answer, Api, Service
from tests.sharing import NewUser, on_one_postgresql

pytestmark = on_one_postgresql

PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"
DOCUMENT = openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
PROTECTED = [name for name, operation in OPERATIONS.items() if operation["security"]]


def _resolved(part: Any) -> Any:
    """Follow references to components."""
    while "$ref" in part:
        kind, name = part["$ref"].removeprefix("#/components/").split("/")
        part = DOCUMENT["components"][kind][name]
    return part


def _parameters(operation: Any, place: str) -> dict[str, Any]:
    parameters = [_resolved(parameter) for parameter in operation["parameters"]]
    return {parameter["name"]: parameter for parameter in parameters if parameter["in"] == place}


def _codes(operation: Any) -> set[str]:
    """The codes of the problems that an operation is said to answer with."""
    contents = [_resolved(response).get("content", {}) for response in operation["responses"].values()]
    problems = [content[PROBLEM]["schema"] for content in contents if PROBLEM in content]
    return {code for problem in problems for code in problem["properties"]["code"]["enum"]}


def _schema(part: Any) -> Any:
    """Return a schema that stands by itself."""
    return {**part, "components": DOCUMENT["components"]}


async def _send(api: Api, name: str, task_id: str, **options: Any) -> Answer:
    """Send a request of an operation, about a task of the user, with the document's own example as its body."""
    method, path = name.split(" ")
    values = {"user_id": api.user_id, "id": task_id, "code": "not_found", "file": "start.js"}
    path = re.sub(r"{(\w+)}", lambda found: str(values[found[1]]), path)
    body = OPERATIONS[name].get("requestBody")
    if body and "body" not in options and "data" not in options:
        media_type, content = next(iter(body["content"].items()))
        options["data" if media_type == FORM else "body"] = content["example"]
    return await api.send(method, path, allow_redirects=False, **options)


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_the_document_names_the_licence_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["license"] == {"name": "Apache License 2.0", "identifier": project["license"]}


def test_every_route_is_in_the_document_and_nothing_else_is(service: Service) -> None:
    routes = Counter(
        f"{route.method} {route.resource.canonical}"
        for route in service.app.router.routes()
        if route.resource is not None and route.method != "HEAD"  # HEAD mirrors GET
    )
    assert routes == Counter(list(OPERATIONS))


def test_every_get_has_its_head(service: Service) -> None:
    def paths(method: str) -> set[str]:
        found = (route for route in service.app.router.routes() if route.method == method)
        return {route.resource.canonical for route in found if route.resource is not None}

    assert paths("HEAD") == paths("GET")
    assert paths("OPTIONS") == set()  # answered for every path, in one place


async def test_the_document_is_served_and_printed_alike(anybody: Api) -> None:
    answer = await anybody.get("/openapi.json")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/json", DOCUMENT)
    printed = CliRunner().invoke(cli.main, ["openapi"])
    assert (printed.exit_code, orjson.loads(printed.output)) == (0, DOCUMENT)


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_tag() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == tags


def test_every_link_leads_to_an_operation() -> None:
    names = {operation["operationId"] for operation in OPERATIONS.values()}
    links = [
        link["operationId"]
        for operation in OPERATIONS.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    assert set(links) <= names


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    documented = {code for operation in OPERATIONS.values() for code in _codes(operation)}
    # What a path has not been asked in the document cannot be answered there; the introduction speaks of it.
    assert documented == KINDS.keys() - {"method_not_allowed"}
    assert "405" in DOCUMENT["info"]["description"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_example_fits_its_schema(name: str) -> None:
    operation = OPERATIONS[name]
    contents = [_resolved(response).get("content", {}) for response in operation["responses"].values()]
    contents.append(operation.get("requestBody", {}).get("content", {}))
    shown = 0
    for content in contents:
        for media_type in content.values():
            examples = [example["value"] for example in media_type.get("examples", {}).values()]
            examples += [media_type["example"]] if "example" in media_type else []
            for example in examples:
                jsonschema.validate(example, _schema(media_type["schema"]))
                shown += 1
    assert shown


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_request_as_in_the_example_is_answered_as_documented(new_user: NewUser, name: str) -> None:
    user = await new_user()
    task = await user.new_task()
    operation = OPERATIONS[name]
    answer = await _send(user, name, task["id"])
    response = _resolved(operation["responses"][str(answer.status)])
    # The example of these is not of this user, but of somebody else or of nobody.
    assert answer.status < 400 or name.endswith(("register", "login", "password", "refresh", "token")), answer.text
    headers = {header: _resolved(described) for header, described in response["headers"].items()}
    for header, described in headers.items():
        if header in answer.headers:
            jsonschema.validate(answer.headers[header], described["schema"])
        else:
            assert not described["required"], header
    media_type = answer.headers.get("Content-Type", "").split(";")[0]
    if media_type.endswith("json"):
        jsonschema.validate(answer.body, _schema(response["content"][media_type]["schema"]))
    else:
        assert bool(response.get("content")) is bool(answer.text)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_token_is_asked_for_where_the_document_says_so(alice: Api, name: str) -> None:
    task = await alice.new_task()
    answer = await _send(replace(alice, token=None), name, task["id"])
    if name in PROTECTED:
        assert (answer.status, answer.code) == (401, "unauthenticated")
    else:
        assert answer.status != 401 or "unauthenticated" not in answer.text


MALFORMED = [
    ("If-Match", "malformed", "invalid_precondition"),
    ("If-None-Match", "malformed", "invalid_precondition"),
    ("Idempotency-Key", '"malformed', "invalid_idempotency_key"),
    ("Idempotency-Key", "", "invalid_idempotency_key"),
]


def test_an_error_of_oauth_and_a_problem_of_one_status_are_told_apart() -> None:
    content = OPERATIONS["POST /api/auth/token"]["responses"]["400"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/OAuthError"}
    assert content[PROBLEM]["schema"]["properties"]["code"]["enum"] == ["bad_request"]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_header_is_heeded_where_the_document_says_so(new_user: NewUser, name: str) -> None:
    for header, value, code in MALFORMED:
        user = await new_user()
        task = await user.new_task()
        answer = await _send(user, name, task["id"], headers={header: value})
        if header in _parameters(OPERATIONS[name], "header"):
            assert (answer.status, answer.code) == (400, code)
            assert code in _codes(OPERATIONS[name])
        else:
            assert answer.status < 400 or code not in answer.text


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_body_is_refused_by_the_schema_that_the_document_has(alice: Api, name: str) -> None:
    operation = OPERATIONS[name]
    if "requestBody" not in operation:
        assert operation["responses"].keys() & {"415"} == set()
        return
    task = await alice.new_task()
    refused = await _send(alice, name, task["id"], data=b"{}", headers={"Content-Type": "text/plain"})
    accept = f"Accept-{name.split(maxsplit=1)[0].capitalize()}"
    assert refused.headers[accept].split(", ") == list(operation["requestBody"]["content"])
    if FORM in operation["requestBody"]["content"]:
        return  # what OAuth refuses, it refuses in a shape of its own
    schema = _resolved(next(iter(operation["requestBody"]["content"].values()))["schema"])
    wrong: dict[str, object] = {member: ["of no member's type"] for member in schema["properties"]}
    answer = await _send(alice, name, task["id"], body={**wrong, "of_nobody": 1})
    assert answer.code == "validation_error"
    assert {error["pointer"] for error in answer.body["errors"]} == {f"/{member}" for member in (*wrong, "of_nobody")}
    missing = await _send(alice, name, task["id"], body={})
    named = {error["pointer"] for error in missing.body.get("errors", [])}
    assert named == {f"/{member}" for member in schema.get("required", [])}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if _parameters(OPERATIONS[name], "query")])
async def test_a_query_string_may_hold_what_the_document_has_and_nothing_else(alice: Api, name: str) -> None:
    parameters = _parameters(OPERATIONS[name], "query")
    page = await _send(alice, name, "", params={"of_nobody": "1"})
    assert [error["parameter"] for error in page.body["errors"]] == ["of_nobody"]
    for parameter, described in parameters.items():
        value = described["schema"]["examples"][0]
        answer = await _send(alice, name, "", params={parameter: str(value).lower() if value is True else str(value)})
        assert answer.status == 200 or parameter == "cursor", answer.text


def test_what_is_sent_is_closed_and_what_is_answered_may_grow() -> None:
    sent = {
        content["schema"]["$ref"].rsplit("/", 1)[1]: media_type
        for operation in OPERATIONS.values()
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items()
    }
    for name, schema in DOCUMENT["components"]["schemas"].items():
        # In a form, what is unknown is ignored (RFC 6749, section 3.2).
        assert (schema.get("additionalProperties") is False) is (sent.get(name, FORM) != FORM), name
        if name not in sent and name not in {"Fault", "ValidationProblem"}:
            assert set(schema["required"]) == set(schema["properties"]), name
