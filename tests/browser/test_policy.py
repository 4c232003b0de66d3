"""No page breaks its own content security policy, as Chromium sees it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

NOTED = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.broken.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    context.add_init_script(NOTED)
    yield context.new_page()
    context.close()


def broken(page: Page) -> list[str]:
    page.wait_for_load_state("networkidle")
    found: list[str] = page.evaluate("window.broken")
    return found


def test_no_page_breaks_its_policy(url: str, page: Page) -> None:
    seen: list[str] = []
    for path in ("/", "/practice/mlops", "/decks/mlops", "/cards/mlops:container", "/import", "/nowhere"):
        page.goto(f"{url}{path}")
        seen += broken(page)
    page.goto(f"{url}/practice/mlops")
    page.fill("#answer", "teams build and deploy ML models")
    page.get_by_role("button", name="Check").click()
    page.wait_for_url(re.compile("/answers/"))
    seen += broken(page)
    for path in ("/statistics", "/exams"):
        page.goto(f"{url}{path}")
        seen += broken(page)
    page.get_by_label("Deck", exact=True).select_option("mlops")
    page.get_by_label("Questions", exact=True).fill("2")
    page.get_by_role("button", name="Compose").click()
    page.wait_for_url(re.compile("/exams/."))
    seen += broken(page)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile("/sittings/"))
    seen += broken(page)
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url(re.compile("/report"))
    seen += broken(page)
    assert seen == []


@pytest.mark.parametrize(
    ("insert", "directive"),
    [
        (
            "Object.assign(document.createElement('script'), { textContent: 'window.ran = true' })",
            "script-src",
        ),
        ("Object.assign(document.createElement('style'), { textContent: 'p { color: red }' })", "style-src"),
        ("Object.assign(new Image(), { src: 'http://192.0.2.1/x.png' })", "img-src"),
    ],
)
def test_what_a_page_may_not_do_is_stopped(url: str, page: Page, insert: str, directive: str) -> None:
    page.goto(url)
    page.evaluate(f"document.body.append({insert})")
    page.wait_for_function("window.broken.length > 0")
    assert [line.split()[0].removesuffix("-elem") for line in broken(page)] == [directive]
    assert page.evaluate("window.ran") is None
