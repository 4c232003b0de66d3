"""A self-test in headless Chromium: composed, sat, interrupted, handed in, reported; a class by its code."""

import re
from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service_process import environment, running_service

NewPage = Callable[..., Page]


def compose(page: Page, url: str, count: int = 3, minutes: int = 0) -> None:
    page.goto(f"{url}/exams")
    page.get_by_label("Deck", exact=True).select_option("mlops")
    page.get_by_label("Questions", exact=True).fill(str(count))
    page.get_by_label("Minutes").fill(str(minutes))
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Weights").fill("list=2")
    page.get_by_role("button", name="Compose").click()
    page.wait_for_url(re.compile("/exams/."))


def serious(page: Page) -> list[tuple[str, str]]:
    return [
        (rule["id"], node["html"])
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def graded(page: Page) -> None:
    """Look again until every answer is graded."""
    for _ in range(40):
        if "look again" not in page.locator(".meta").inner_text():
            return
        page.get_by_role("link", name="Look again").click()
        page.wait_for_load_state()
    raise AssertionError("not graded")


def test_a_sitting_survives_a_reload_and_is_reported(url: str, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 360, "height": 740})
    compose(page, url, minutes=30)
    assert serious(page) == []
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile("/sittings/"))
    expect(page.locator("#left")).to_contain_text("left")
    first = page.locator("textarea").first
    first.fill("typed before the browser died")
    page.get_by_label("come back to this one").nth(1).check()
    expect(page.locator("#kept")).to_have_text("Kept.")
    page.get_by_role("button", name="One at a time").click()
    page.get_by_role("link", name="2, flagged").click()
    expect(page.locator("textarea").nth(1)).to_be_focused()
    expect(page.locator("textarea").first).to_be_hidden()
    page.reload()
    expect(page.locator("textarea").first).to_have_value("typed before the browser died")
    expect(page.get_by_label("come back to this one").nth(1)).to_be_checked()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url(re.compile("/report"))
    graded(page)
    expect(page.locator(".meta")).to_contain_text("Between")
    expect(page.get_by_text("typed before the browser died")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="Let these answers count").click()
    expect(page.get_by_role("button", name="Let these answers count")).to_have_count(0)


def test_what_the_server_did_not_get_is_sent_when_it_is_back(tmp_path: Path, new_page: NewPage) -> None:
    page = new_page()
    with running_service(environment(tmp_path)) as service:
        compose(page, service.url)
        page.get_by_role("button", name="Begin").click()
        page.wait_for_url(re.compile("/sittings/"))
        page.locator("textarea").first.fill("kept at once")
        expect(page.locator("#kept")).to_have_text("Kept.")
        page.route("**/api/v1/sittings/**", lambda route: route.fulfill(status=503, body="away"))
        page.locator("textarea").first.fill("typed while it was away")
        expect(page.locator("#kept")).to_contain_text("trying again")
        page.unroute("**/api/v1/sittings/**")
        page.reload()
        expect(page.locator("textarea").first).to_have_value("typed while it was away")
        expect(page.locator("#kept")).to_have_text("Kept.")


def test_a_class_sits_by_code_and_the_teacher_marks(url: str, new_page: NewPage) -> None:
    teacher = new_page()
    compose(teacher, url)
    teacher.get_by_role("button", name="Publish to a class").click()
    address = teacher.get_by_role("link", name="/sit/").get_attribute("href")
    for name in ("Ada", "Bob"):
        learner = new_page()
        learner.goto(f"{url}{address}")
        learner.get_by_label("Your name").fill(name)
        learner.get_by_role("button", name="Begin").click()
        learner.wait_for_url(re.compile("/sittings/"))
        learner.locator("textarea").first.fill("pipelines, mostly")
        expect(learner.locator("#kept")).to_have_text("Kept.")
        learner.get_by_role("button", name="Hand in").click()
        learner.wait_for_url(re.compile("/report"))
        graded(learner)
        learner.get_by_text("Not fair?").first.click()
        learner.get_by_label("Why").first.fill("I meant the whole of it")
        learner.get_by_role("button", name="Ask").first.click()
        expect(learner.get_by_text("asked: I meant the whole of it")).to_have_count(1)
    teacher.reload()
    expect(teacher.get_by_role("link", name="Bob")).to_be_visible()
    expect(teacher.locator(".mark").first).to_contain_text("appeal")
    assert serious(teacher) == []
    teacher.locator(".mark").first.get_by_role("button", name="4, nearly all").click()
    expect(teacher.get_by_text("The grader agrees with 1 mark")).to_be_visible()


def test_without_scripts_a_paper_can_be_sat(url: str, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    compose(page, url)
    page.get_by_role("button", name="Begin").click()
    page.locator("textarea").first.fill("plain old form")
    page.get_by_role("button", name="Hand in").click()
    page.wait_for_url(re.compile("/report"))
    graded(page)
    expect(page.get_by_text("plain old form")).to_be_visible()
