"""Login, account and people in headless Chromium: by keyboard, on a phone, without scripts, for axe."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from freerecall.access import Role
from people import PASSWORD, add_people
from service_process import environment, running_service

NewPage = Callable[..., Page]
PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.fixture
def school(tmp_path: Path) -> Iterator[str]:
    add_people(tmp_path, {"ann": Role.LEARNER, "root": Role.ADMIN})
    with running_service(environment(tmp_path)) as service:
        yield service.url


def log_in(page: Page, url: str, name: str) -> None:
    """By keyboard alone: the name is focused when the page opens."""
    page.goto(url)
    page.wait_for_url(re.compile("/login"))
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(url + "/")


def assert_sound(page: Page) -> None:
    """Nothing for axe to tell, and nothing wider than the phone."""
    assert Axe().run(page).response["violations"] == []
    width = "Math.max(...[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().right))"
    assert page.evaluate(width) <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_on_a_phone(school: str, new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme, **PHONE)
    page.goto(school)
    assert_sound(page)
    log_in(page, school, "root")
    assert_sound(page)
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_role("heading", name="root")).to_be_visible()
    page.get_by_text("Erase all of it").click()
    assert_sound(page)
    page.get_by_role("link", name="People").click()
    page.locator("summary", has_text="ann").click()
    assert_sound(page)


def test_a_password_is_changed_and_the_account_erased_by_keyboard(school: str, new_page: NewPage) -> None:
    page = new_page()
    log_in(page, school, "ann")
    page.goto(f"{school}/account")
    page.get_by_label("Your password").first.focus()
    page.keyboard.type("not my password")
    page.keyboard.press("Tab")
    page.keyboard.type("another password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not your password")
    page.get_by_label("Your password").first.focus()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type("another password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all of it").press("Enter")
    assert download.value.suggested_filename == "freerecall.json"
    page.locator("summary", has_text="Erase all of it").press("Enter")
    page.locator("#erase-password").fill("another password")
    page.get_by_label("I am sure").press("Space")
    page.get_by_role("button", name="Erase everything").press("Enter")
    page.wait_for_url(re.compile("/login"))


def test_people_without_scripts(school: str, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(school)
    page.get_by_label("Name").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{school}/people")
    page.locator("#name").fill("tess")
    page.locator("#role").select_option("teacher")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("tess can log in now")
    page.locator("summary", has_text="tess").click()
    page.get_by_role("button", name="End all sessions of tess").click()
    expect(page.get_by_role("status")).to_contain_text("0 sessions of tess ended")
    page.goto(f"{school}/account")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Name")).to_be_visible()
