"""
A headless Chromium for the tests of this folder.

Playwright's synchronous interface runs an event loop of its own beneath the
test, so these tests are plain functions, and the servers they need run in
other processes (the demo) or in a thread (:mod:`.serving`).
"""

from __future__ import annotations

import pathlib

import pytest
from playwright.sync_api import sync_playwright

# Chromium's own conversations with the world, which these tests do without.
FLAGS = [
    "--no-sandbox",  # it refuses to run as root with one, as in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

SCREENSHOTS = pathlib.Path(__file__).parent / "screenshots"


@pytest.fixture(scope="module")
def browser(chromium):
    """Start the browser that is installed on this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window(browser):
    """Open a browser window: its tabs share cookies, but no session storage."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 760}, color_scheme="light"
    )
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def screenshot():
    """Save pictures of pages, to be looked at by people."""
    SCREENSHOTS.mkdir(exist_ok=True)

    def save(page, name):
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return save
