"""The page about the queries in a real browser: all of it is there, readable at any width, and it asks for no more.

It is that of the checks' example, in the place of the service's own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, ViewportSize

import service.app
from service.database import embedded
from service.dsn import Dsn
from service.resources import resource_folder
from service.settings import Settings
from service.sqlcheck.catalogue.documents import write
from service.sqlcheck.catalogue.gathering import gather
from service.sqlcheck.project import read_project
from service.sqlcheck.reading.statements import read_statements
from service.sqlcheck.subject import Subject
from service.sqlcheck.trial.scratch import scratch_database
from tests.conftest import Api, Service, started
from tests.http.browsers import STEP_MILLISECONDS
from tests.sharing import on_one_postgresql
from tests.sqlcheck.conftest import EXAMPLE

pytestmark = on_one_postgresql

_PROJECT = read_project(EXAMPLE)
_STATEMENTS = read_statements(_PROJECT)
_NAMES = sorted(statement.name for statement in _STATEMENTS)

# The boxes of the text and of the frame around it, as they are on the screen.
_TEXTS_OUTSIDE = """
    () => {
        const box = element => element.getBoundingClientRect();
        const isWithin = (one, other) =>
            one.left >= other.left && one.right <= other.right && one.top >= other.top && one.bottom <= other.bottom;
        const diagram = document.querySelector(".diagram");
        return [...diagram.querySelectorAll("text")]
            .filter(text => {
                const frame = text.closest(".box")?.querySelector(".frame") ?? diagram;
                return !isWithin(box(text), box(frame));
            })
            .map(text => text.textContent);
    }
"""
# Of a row no part lies upon another, and no word on a line upon a table.
_TEXTS_ON_TEXTS = """
    () => {
        const box = element => element.getBoundingClientRect();
        const meet = (one, other) =>
            one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
        const found = [];
        const texts = [...document.querySelectorAll(".diagram .box text")];
        for (const [number, one] of texts.entries()) {
            for (const other of texts.slice(number + 1)) {
                // A line of text is higher than its letters.
                const [a, b] = [box(one), box(other)];
                if (one.textContent && other.textContent && Math.abs(a.top - b.top) < 8 && meet(a, b)) {
                    found.push([one.textContent, other.textContent]);
                }
            }
        }
        for (const label of document.querySelectorAll(".diagram .label")) {
            for (const frame of document.querySelectorAll(".diagram .frame")) {
                if (meet(box(label), box(frame))) found.push([label.textContent, "a table"]);
            }
        }
        return found;
    }
"""
_DEAD_LINKS = """
    () => [...document.links]
        .filter(link => link.origin !== location.origin || !document.getElementById(link.hash.slice(1)))
        .map(link => link.href)
"""
# What somebody who got in would try: a script and a style of their own, and asking somebody else.
_BREAK_IN = """
    elsewhere => new Promise(resolve => {
        const refused = new Set();
        document.addEventListener("securitypolicyviolation", event => {
            refused.add(event.effectiveDirective);
            if (refused.size === 4) resolve([...refused].sort());
        });
        const script = document.createElement("script");
        script.textContent = "document.title = 'broken'";
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        document.body.append(script, style);
        new Image().src = elsewhere;
        fetch(elsewhere, {mode: "no-cors"}).catch(() => {});
    })
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """The page, with what the browser asked for and what it complained about since it was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def shown(self, selector: str) -> list[str]:
        """Return the texts of what is to be seen."""
        return await self.page.locator(f"{selector}:visible").all_inner_texts()


_WIDE: ViewportSize = {"width": 1400, "height": 1000}


@pytest.fixture(scope="module")
def docs(postgres: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the catalogue of the example."""
    folder = tmp_path_factory.mktemp("docs")
    with scratch_database(_PROJECT, postgres.dsn) as connection:
        contents = write(gather(Subject.of(_PROJECT, _STATEMENTS, connection)))
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@contextmanager
def showing(docs: Path) -> Iterator[None]:
    """Have the services that are started in the block show the catalogue in this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.app, "resource_folder", lambda name: docs if name == "docs" else resource_folder(name))
        yield


@pytest.fixture(scope="module")
async def service_of_example(settings: Settings, shared_dsn: Dsn, docs: Path) -> AsyncIterator[Service]:
    """The service, with the page of the example."""
    with showing(docs):
        async with started(settings, shared_dsn) as service:
            yield service


@asynccontextmanager
async def opening(browser: Browser, service: Service) -> AsyncIterator[Visit]:
    """Open the page as somebody who is not logged in."""
    async with await browser.new_context(viewport=_WIDE) as context:
        context.set_default_timeout(STEP_MILLISECONDS)
        visit = Visit(await context.new_page())
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        await visit.page.goto(f"{service.url}/sql")
        yield visit


@pytest.fixture(scope="module")
async def opened(browser: Browser, service_of_example: Service) -> AsyncIterator[Visit]:
    """The page, opened once for all."""
    async with opening(browser, service_of_example) as visit:
        yield visit


@pytest.fixture
async def visit(opened: Visit) -> Visit:
    """The page as it was when it was opened: it takes a second to lay out, and looking at it changes nothing else."""
    await opened.page.emulate_media(color_scheme="light")
    await opened.page.set_viewport_size(_WIDE)
    await opened.page.get_by_label("Filter by name").fill("")
    return opened


async def test_it_shows_every_query_and_asks_for_nothing_else(visit: Visit, service_of_example: Service) -> None:
    assert sorted(await visit.shown("article.query h4 a")) == _NAMES
    assert sorted(set(await visit.shown("nav li a")) & set(_NAMES)) == _NAMES
    assert visit.requests == [f"{service_of_example.url}/sql"]
    assert visit.complaints == []


async def test_every_link_leads_to_something_on_the_page(visit: Visit) -> None:
    assert await visit.page.evaluate(_DEAD_LINKS) == []
    await visit.page.locator("nav a", has_text="get_topic").click()
    article = visit.page.locator("#query-get_topic")
    assert await article.evaluate("article => article.matches(':target')")
    await article.locator(".plan a", has_text="topics").first.click()
    assert visit.page.url.endswith("/sql#table-topics")
    await visit.page.locator("#table-topics a", has_text="list_topics").first.click()
    await visit.page.locator("#query-list_topics a", has_text="GET /topics").click()
    row = visit.page.locator("tr:target")
    assert "list_topics" in await row.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_each_text_of_the_diagram_has_room_in_its_box(visit: Visit, scheme: str) -> None:
    await visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    assert await visit.page.locator(".diagram text").count() > 50
    assert await visit.page.evaluate(_TEXTS_OUTSIDE) == []
    assert await visit.page.evaluate(_TEXTS_ON_TEXTS) == []


async def test_a_window_of_any_width_scrolls_no_further_than_it_is_wide(visit: Visit) -> None:
    for width in (360, 420, 768, 1400, 2200):
        await visit.page.set_viewport_size({"width": width, "height": 900})
        assert await visit.page.evaluate("document.documentElement.scrollWidth") == width


async def test_the_diagram_is_shown_whole_on_a_wide_screen(visit: Visit) -> None:
    room = await visit.page.evaluate("document.querySelector('.diagram').parentElement.clientWidth")
    box = await visit.page.locator(".diagram").bounding_box()
    assert box
    assert box["width"] <= room


async def test_the_filter_leaves_what_has_the_text_in_its_name(visit: Visit) -> None:
    matching = [name for name in _NAMES if "revision" in name]
    await visit.page.get_by_label("Filter by name").fill(" Revision")
    assert sorted(await visit.shown("article.query h4 a")) == matching
    assert await visit.shown("article.table h3 a") == ["revisions"]
    assert await visit.shown("h3.file") == await visit.shown("nav .file") == ["sql/revisions.sql"]
    await visit.page.get_by_label("Filter by name").fill("")
    assert sorted(await visit.shown("article.query h4 a")) == _NAMES
    assert await visit.shown("#lists > h2") == ["Lists"]


async def test_without_scripts_everything_is_there_but_the_filter(
    browser: Browser, service_of_example: Service
) -> None:
    async with await browser.new_context(java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(f"{service_of_example.url}/sql")
        assert await page.locator("article.query:visible").count() == len(_NAMES)
        assert not await page.locator("#filter").is_visible()


async def test_no_script_style_or_request_but_the_pages_own_gets_through(
    visit: Visit, service_of_example: Service, anybody: Api
) -> None:
    title = await visit.page.title()
    elsewhere = service_of_example.url.replace("127.0.0.1", "localhost") + "/health/live"
    assert await visit.page.evaluate(_BREAK_IN, elsewhere) == [
        "connect-src",
        "img-src",
        "script-src-elem",
        "style-src-elem",
    ]
    assert await visit.page.title() == title
    policy = (await replace(anybody, url=service_of_example.url).get("/sql")).headers["Content-Security-Policy"]
    assert {"frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} <= set(policy.split("; "))


async def test_the_services_own_page_can_be_read_too(browser: Browser, service: Service) -> None:
    async with opening(browser, service) as visit:
        assert visit.complaints == []
        for wrong in (_DEAD_LINKS, _TEXTS_OUTSIDE, _TEXTS_ON_TEXTS):
            assert await visit.page.evaluate(wrong) == []


async def test_it_is_read_anew_each_time(settings: Settings, shared_dsn: Dsn, anybody: Api, tmp_path: Path) -> None:
    with showing(tmp_path):
        async with started(settings, shared_dsn) as other:
            api = replace(anybody, url=other.url)
            # In a wheel there is no such folder.
            assert (await api.get("/sql")).code == "not_found"
            for text in ("<p>once</p>", "<p>again</p>"):
                (tmp_path / "queries.html").write_text(text)
                answer = await api.get("/sql")
                assert (answer.status, answer.text) == (200, text)
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_there_is_no_such_page_in_production(settings: Settings, shared_dsn: Dsn, anybody: Api) -> None:
    async with started(replace(settings, app_env="production"), shared_dsn) as other:
        assert (await replace(anybody, url=other.url).get("/sql")).code == "not_found"
