"""What a learner does besides answering, each in headless Chromium: the whole page, nothing stubbed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

NewPage = Callable[..., Page]
DECK = """
id = "tiny"
title = "Tiny"
[[cards]]
id = "a"
kind = "list"
question = "Name three primary colours of light."
reference = "Red, green and blue"
points = [{text = "red"}, {text = "green"}, {text = "blue"}]
tags = ["optics"]
[[cards]]
id = "b"
question = "What is osmosis?"
reference = "Water moving through a membrane"
footnote = "<script>document.title = 'hacked'</script>"
"""


def answer(page: Page, text: str) -> None:
    page.fill("#answer", text)
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/answers/"))


def leave_the_text(page: Page) -> None:
    expect(page.locator("#answer")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#answer")).not_to_be_focused()


def load(page: Page, url: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(DECK)
    page.goto(f"{url}/import")
    page.set_input_files("#file", file)
    page.get_by_role("button", name="Look inside").click()
    expect(page.get_by_text("Tiny: 2 cards, 4 key points.")).to_be_visible()
    page.get_by_role("button", name="Add 2 cards").click()
    page.wait_for_url(re.compile("/decks/tiny"))


def test_a_hint_says_how_many_then_the_first_letters(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.get_by_role("link", name="Practise").click()
    page.fill("#answer", "red")
    leave_the_text(page)
    page.keyboard.press("h")
    expect(page.locator("#help")).to_have_text("3 key points")
    page.keyboard.press("h")
    expect(page.locator("#help li")).to_have_text(["r··", "g····", "b···"])
    expect(page.locator("#answer")).to_have_value("red")


def test_undo_gives_the_card_back_as_it_was(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.goto(f"{url}/practice/tiny")
    answer(page, "red green blue")
    page.keyboard.press("u")
    page.wait_for_url(re.compile("/practice/tiny.*card="))
    expect(page.locator("h1")).to_have_text("Name three primary colours of light.")
    page.goto(f"{url}/practice/tiny")
    expect(page.locator(".counts")).to_contain_text("2 new")


def test_trying_again_is_no_review(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.goto(f"{url}/practice/tiny")
    answer(page, "red")
    again = page.get_by_text("This one comes again").inner_text()
    page.keyboard.press("r")
    expect(page.locator("#kind")).to_contain_text("2 key points to find")
    answer(page, "red, green, blue")
    expect(page.locator(".rating .number")).to_have_text("5")
    expect(page.locator("#status")).to_contain_text("did not count as a review")
    expect(page.get_by_text("This one comes again")).to_have_text(again)


@pytest.mark.parametrize("key", ["s", "b", "x"])
def test_a_card_can_be_put_aside_by_one_key(url: str, new_page: NewPage, tmp_path: Path, key: str) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.goto(f"{url}/practice/tiny")
    leave_the_text(page)
    page.keyboard.press(key)
    expect(page.locator("h1")).to_have_text("What is osmosis?")


def test_d_is_i_do_not_know_and_the_footnote_stays_text(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.goto(f"{url}/practice/tiny?card=tiny:b")
    leave_the_text(page)
    page.keyboard.press("d")
    expect(page.locator(".rating .number")).to_have_text("1")
    expect(page.locator(".footnote")).to_contain_text("<script>")
    assert "hacked" not in page.title()


def test_cramming_asks_every_card_once_and_leaves_the_schedule(
    url: str, new_page: NewPage, tmp_path: Path
) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.get_by_role("link", name="Cram").click()
    for _ in range(2):
        answer(page, "water red")
        page.keyboard.press("n")
        page.wait_for_load_state()
    expect(page.locator("h1")).to_have_text("That’s all for now.")
    page.goto(f"{url}/practice/tiny")
    expect(page.locator(".counts")).to_contain_text("2 new")


def test_a_card_is_edited_and_tried_before_it_is_saved(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.get_by_label("Search the cards").fill("primary colo")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Name three primary").click()
    page.get_by_label("Key points").fill("red | rouge\ngreen | vert\nblue | bleu")
    page.get_by_label("An answer to try").fill("rouge, vert, bleu")
    page.get_by_role("button", name="Grade it").click()
    expect(page.locator(".verdict b")).to_have_text("5 of 5, perfectly.")
    page.goto(page.url)
    expect(page.get_by_label("Key points")).to_have_value("red\ngreen\nblue")
    page.get_by_label("Key points").fill("red | rouge\ngreen\nblue (x2)")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_have_text("Saved.")
    page.get_by_label("Question").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_contain_text("the question is empty")


def test_limits_are_set_and_kept(url: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{url}/decks/mlops")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("New cards a day").fill("1")
    page.get_by_label("To be remembered when due").fill("95 %")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_have_text("Saved.")
    expect(page.locator("#retention")).to_have_value("0.95")
    page.goto(f"{url}/practice/mlops")
    expect(page.locator(".counts")).to_contain_text("1 new")
    page.goto(f"{url}/decks/mlops")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("New cards a day").fill("many")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_contain_text("no whole number")


def test_progress_is_drawn_and_told(url: str, new_page: NewPage, tmp_path: Path) -> None:
    page = new_page()
    load(page, url, tmp_path)
    page.goto(f"{url}/practice/tiny")
    answer(page, "red")
    page.keyboard.press("5")
    expect(page.locator("#status")).to_contain_text("Your own rating")
    page.get_by_role("link", name="Progress").click()
    expect(page.get_by_text("1 ratings overridden: 1 up, 0 down")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("1")
    expect(page.get_by_text("1 times").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    url: str, new_page: NewPage, tmp_path: Path, scheme: str
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
    load(page, url, tmp_path)
    found = {}

    def check(name: str) -> None:
        serious = [
            (rule["id"], node["html"])
            for rule in Axe().run(page).response["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if serious or wide > 360:
            found[name] = (serious, wide)

    check("deck")
    page.goto(f"{url}/practice/tiny")
    leave_the_text(page)
    page.keyboard.press("h")
    page.wait_for_selector("#help p")
    check("question")
    page.goto(f"{url}/practice/tiny")
    answer(page, "red, yellow")
    check("result")
    page.keyboard.press("?")
    check("keys")
    for name in ("", "statistics", "import", "cards/tiny:a", "practice/tiny?only=due&tag=none"):
        page.goto(f"{url}/{name}")
        check(name or "decks")
    assert found == {}
