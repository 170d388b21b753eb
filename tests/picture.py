"""The picture of `/sql` that the README shows: `make picture` takes it anew, of docs/queries.html in Chromium."""

import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import ViewportSize, async_playwright

from tests.http.browsers import FLAGS

_DOCS = Path(__file__).parents[1] / "docs"
_QUERY = "get_task"
_SIZE = ViewportSize(width=1200, height=900)


async def take(program: str) -> Path:
    """Take the picture.

    Args:
        program: the path of Chromium.

    Returns:
        The file that it was written to.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = await browser.new_page(viewport=_SIZE)
        await page.goto(f"{(_DOCS / 'queries.html').as_uri()}#query-{_QUERY}")
        picture = _DOCS / "queries.png"
        await page.screenshot(path=picture)
        await browser.close()
    return picture


def main() -> None:
    """Take the picture, or say what is missing."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("Chromium is not here (Debian: apt-get install chromium libatomic1).")
    sys.stdout.write(f"Wrote {asyncio.run(take(program)).relative_to(_DOCS.parent)}.\n")


if __name__ == "__main__":
    main()
