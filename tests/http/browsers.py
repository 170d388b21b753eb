"""The browser that pages are looked at in."""

import shutil
from collections.abc import AsyncIterator
from ctypes.util import find_library

import pytest
from playwright.async_api import Browser, async_playwright

# Whatever a page or the browser itself asks for, nothing leaves the machine. Playwright adds the rest of what keeps a
# browser quiet, makes a new profile, and leaves out the sandbox, which root cannot have.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
# A browser on a busy machine of two cores.
STEP_MILLISECONDS = 60_000


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not here (Debian: apt-get install chromium)")
    if find_library("atomic") is None:
        pytest.skip("libatomic, which Playwright's driver needs, is not here (Debian: apt-get install libatomic1)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=STEP_MILLISECONDS)
        yield browser
        await browser.close()
