"""The documentation page in a real browser: it shows the whole contract, sends what it says, and asks nobody else."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Response, ViewportSize

from service.accounts.clients import create_client
from service.http.app_keys import DATABASE
from tests.conftest import Api, Service
from tests.http.browsers import STEP_MILLISECONDS
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

_WIDE: ViewportSize = {"width": 1280, "height": 720}
# Asks somebody else for something, in a way that needs no permission of theirs, and says how it went.
_ASK_ELSEWHERE = """
    url => new Promise(resolve => {
        document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        fetch(url, {mode: "no-cors"}).then(() => resolve("answered"), () => {});
    })
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """The page, with what the browser asked for and what it complained about since it was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def authorize(self, api: Api) -> None:
        """Paste an access token."""
        assert api.token
        await self.page.get_by_role("button", name="Authorize").click()
        dialog = self.page.locator(".modal-ux")
        await dialog.get_by_label("auth-bearer-value").fill(api.token)
        await dialog.get_by_role("button", name="Apply credentials").click()
        await dialog.get_by_role("button", name="Close").first.click()

    async def try_out(self, operation_id: str, tag: str = "tasks") -> Locator:
        """Open an operation, and its form."""
        operation = self.page.locator(f"#operations-{tag}-{operation_id}")
        await operation.locator(".opblock-summary-control").click()
        await operation.get_by_role("button", name="Try it out").click()
        return operation

    async def execute(self, operation: Locator) -> tuple[Response, str]:
        """Send what is in the form, and wait until the page shows the answer.

        Returns:
            The answer as it came, and the text that the page makes of it, which begins with the status.
        """
        async with self.page.expect_response("**/api/**") as coming:
            await operation.get_by_role("button", name="Execute").click()
        response = await coming.value
        shown = operation.locator(".live-responses-table .response", has_text=response.headers["x-request-id"])
        return response, await shown.inner_text()


@pytest.fixture(scope="module")
async def opened(browser: Browser) -> AsyncIterator[Visit]:
    """The page, in the profile of somebody whom the browser does not know."""
    async with await browser.new_context() as context:
        context.set_default_timeout(STEP_MILLISECONDS)
        visit = Visit(await context.new_page())

        def note(message: ConsoleMessage) -> None:
            if not message.text.startswith("[DOM]"):  # advice on how to write a form with a secret in it
                visit.complaints.append(message.text)

        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", note)
        yield visit


@pytest.fixture
async def visit(opened: Visit, service: Service) -> Visit:
    """The page, opened anew: it forgets everything, and to fetch its parts once more would take two seconds."""
    opened.requests.clear()
    opened.complaints.clear()
    await opened.page.set_viewport_size(_WIDE)
    await opened.page.goto(f"{service.url}/")
    await opened.page.locator(".opblock").first.wait_for()
    return opened


async def test_the_root_leads_to_a_page_that_shows_every_operation_of_the_contract(
    visit: Visit, service: Service, anybody: Api
) -> None:
    contract = (await anybody.get("/openapi.json")).body
    promised = {(method.upper(), path) for path, methods in contract["paths"].items() for method in methods}
    shown = [
        (
            await operation.locator(".opblock-summary-method").inner_text(),
            await operation.locator(".opblock-summary-path").get_attribute("data-path"),
        )
        for operation in await visit.page.locator(".opblock").all()
    ]
    assert visit.page.url == f"{service.url}/docs"
    assert await visit.page.title() == contract["info"]["title"]
    assert set(shown) == promised
    assert len(shown) == len(promised)
    assert visit.complaints == []
    print(f"operations {len(promised)}, shown {len(shown)}, complaints 0")  # noqa: T201 -- the figure


async def test_try_it_out_creates_a_task_with_the_token_that_was_pasted_and_asks_nobody_else(
    visit: Visit, service: Service, alice: Api
) -> None:
    await visit.authorize(alice)
    response, shown = await visit.execute(await visit.try_out("create_task"))
    task = await response.json()
    assert response.status == 201, shown
    assert shown.startswith("201")
    assert task["id"] in shown
    assert (await alice.get("/api/tasks")).body["items"] == [task]
    elsewhere = [url for url in visit.requests if not url.startswith((f"{service.url}/", "data:"))]
    assert elsewhere == []
    assert f"{service.url}/docs/swagger-ui-bundle.js" in visit.requests
    assert visit.complaints == []
    print(f"requests {len(visit.requests)}, elsewhere {len(elsewhere)}")  # noqa: T201 -- the guarantee's figure


async def test_a_service_client_gets_its_token_on_the_page_and_asks_nobody_else(
    visit: Visit, service: Service, alice: Api
) -> None:
    client, secret = await create_client(service.app[DATABASE], "a client on the page", ["tasks:read"])
    task = await alice.new_task()
    await visit.page.get_by_role("button", name="Authorize").click()
    dialog = visit.page.locator(".modal-ux")
    await dialog.get_by_label("client_id").fill(str(client["id"]))
    await dialog.get_by_label("client_secret").fill(secret)
    await dialog.get_by_text("tasks:read", exact=True).click()
    await dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
    await dialog.get_by_role("button", name="Remove authorization").wait_for()
    await dialog.get_by_role("button", name="Close").first.click()
    operation = await visit.try_out("list_tasks_of_user", "tasks_of_a_user")
    await operation.get_by_placeholder("user_id", exact=True).fill(str(alice.user_id))
    response, shown = await visit.execute(operation)
    assert response.status == 200, shown
    assert (await response.json())["items"] == [task]
    assert [url for url in visit.requests if not url.startswith((f"{service.url}/", "data:"))] == []
    assert visit.complaints == []


async def test_a_request_elsewhere_is_refused_by_the_policy_of_the_page(
    browser: Browser, visit: Visit, service: Service
) -> None:
    # The same machine by another name is another origin.
    elsewhere = service.url.replace("127.0.0.1", "localhost") + "/health/live"
    assert await visit.page.evaluate(_ASK_ELSEWHERE, elsewhere) == "connect-src"
    async with await browser.new_context(bypass_csp=True) as context:
        lenient = await context.new_page()
        await lenient.goto(f"{service.url}/docs", wait_until="commit")
        assert await lenient.evaluate(_ASK_ELSEWHERE, elsewhere) == "answered"


async def test_a_form_sends_no_header_field_that_was_not_filled_in_and_shows_a_refusal(visit: Visit) -> None:
    operation = await visit.try_out("create_task")
    fields = operation.locator('tr[data-param-in="header"] input')
    assert await fields.count() > 0
    assert {await field.input_value() for field in await fields.all()} == {""}
    response, shown = await visit.execute(operation)
    sent = await response.request.all_headers()
    assert not {"idempotency-key", "x-request-id", "traceparent"} & sent.keys()
    assert response.status == 401
    assert shown.startswith("401")
    assert "unauthenticated" in shown


async def test_a_patch_takes_if_match_and_idempotency_key_from_the_form(visit: Visit, alice: Api) -> None:
    task = await alice.new_task()
    await visit.authorize(alice)
    operation = await visit.try_out("update_task")

    async def patch(version: int, key: str) -> tuple[Response, str]:
        await operation.get_by_placeholder("id", exact=True).fill(task["id"])
        await operation.get_by_placeholder("If-Match").fill(f'"{version}"')
        await operation.get_by_placeholder("Idempotency-Key").fill(key)
        await operation.locator("textarea").fill('{"title": "Feed the cat"}')
        return await visit.execute(operation)

    key = str(uuid4())
    response, shown = await patch(1, key)
    assert response.status == 200, shown
    assert shown.startswith("200")
    assert 'etag: "2"' in shown
    assert "idempotency-replayed" not in shown
    _, shown = await patch(1, key)
    assert "idempotency-replayed: true" in shown
    _, shown = await patch(1, str(uuid4()))
    assert shown.startswith("412")
    assert 'etag: "2"' in shown
    assert (await alice.get(f"/api/tasks/{task['id']}")).body["title"] == "Feed the cat"


async def test_a_token_is_forgotten_with_the_page(visit: Visit, alice: Api) -> None:
    await visit.authorize(alice)
    await visit.page.locator(".btn.authorize.locked").wait_for()
    assert await visit.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    await visit.page.reload()
    await visit.page.locator(".btn.authorize.unlocked").wait_for()


async def test_a_narrow_window_scrolls_no_further_than_the_page_is_wide(visit: Visit) -> None:
    await visit.page.set_viewport_size({"width": 400, "height": 900})
    await visit.try_out("create_task")
    assert await visit.page.evaluate("document.documentElement.scrollWidth") == 400


async def test_what_a_problem_means_can_be_opened(browser: Browser, service: Service) -> None:
    async with await browser.new_page() as page:
        response = await page.goto(f"{service.url}/problems/validation_error", timeout=STEP_MILLISECONDS)
        assert response
        assert response.status == 200
        assert json.loads(await page.locator("pre").inner_text())["code"] == "validation_error"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("page.css", "text/css"),
        ("start.js", "text/javascript"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
    ],
)
async def test_a_part_of_the_page_says_what_it_is_and_may_be_kept(anybody: Api, name: str, content_type: str) -> None:
    answers = [await anybody.send(method, f"/docs/{name}") for method in ("GET", "HEAD")]
    for answer in answers:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == f"{content_type}; charset=utf-8"
        assert answer.headers["Cache-Control"] == "max-age=3600"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answers[0].headers["Content-Length"] == answers[1].headers["Content-Length"]
    assert len(answers[0].text.encode()) == int(answers[0].headers["Content-Length"])
    assert answers[1].text == ""


@pytest.mark.parametrize("name", ["index.html", "README.md", "..%2Fpages.py", "%2E%2E%2Fpages.py", "START.JS"])
async def test_what_is_no_part_of_the_page_is_not_found(anybody: Api, name: str) -> None:
    assert (await anybody.get(f"/docs/{name}")).code == "not_found"
