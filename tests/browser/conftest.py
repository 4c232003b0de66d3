"""A headless Chromium, and pages in it that may neither fail nor ask anybody else."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from service_process import environment, running_service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason="no Chromium on this machine (make browser-deps)")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(missing)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with running_service(environment(tmp_path)) as service:
        yield service.url


NewPage = Callable[..., Page]


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[NewPage]:
    """Open pages that fail the test on a script error or a request to anywhere else."""
    contexts: list[BrowserContext] = []
    trouble: list[str] = []

    def open_page(**options: object) -> Page:
        context = chromium.new_context(**{"reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda line: trouble.append(line.text) if _is_trouble(line) else None)
        page.on("request", lambda request: _own(request.url) or trouble.append(request.url))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def _is_trouble(line: ConsoleMessage) -> bool:
    """Chromium also logs a form that came back with a remark (422), and a service that is away (503)."""
    return line.type == "error" and not re.search(r"status of (422|503)", line.text)


def _own(address: str) -> bool:
    return address.startswith(("http://127.0.0.1:", "data:"))
