"""The pages in headless Chromium: by keyboard, on a phone, in the dark, without scripts, with a model."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import scripted_llm as llm
from service_process import environment, running_service

NewPage = Callable[..., Page]
PARTIAL = "teams build and deploy ML models, maybe with kubernetes"


def test_a_sitting_by_keyboard_alone(url: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{url}/practice/mlops")
    question = page.locator("h1").inner_text()
    expect(page.locator("#answer")).to_be_focused()
    page.keyboard.type(PARTIAL)
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/answers/"))

    expect(page.locator("#verdict")).to_be_focused()
    expect(page.locator("h1")).to_have_text(question)
    assert page.locator(".rating .number").inner_text() in "234"
    assert page.locator("mark").all_inner_texts() == ["build and deploy ML models"]
    expect(page.get_by_text("Reference")).to_be_visible()
    expect(page.get_by_text("This one comes again in")).to_be_visible()

    page.keyboard.press("5")
    expect(page.locator(".rating .number")).to_have_text("5")
    expect(page.locator("#status")).to_contain_text("Your own rating")

    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()

    page.keyboard.press("n")
    page.wait_for_url(re.compile("/practice/"))
    expect(page.locator("h1")).not_to_have_text(question)
    expect(page.locator("#answer")).to_be_focused()


def test_i_do_not_know_is_a_one(url: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{url}/practice/mlops")
    page.get_by_role("button", name="I don’t know").click()
    expect(page.locator(".rating .number")).to_have_text("1")


def test_without_scripts(url: str, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(url)
    page.get_by_role("link", name="Practise MLOps").click()
    page.get_by_label("Your answer").fill(PARTIAL)
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="4, nearly all").click()
    expect(page.locator(".rating .number")).to_have_text("4")
    page.get_by_role("link", name="Next card").click()
    expect(page.get_by_label("Your answer")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_overflows_and_all_can_be_read(url: str, new_page: NewPage, scheme: str) -> None:
    page = new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(url)
    seen = [_widest(page), _faintest(page)]
    page.goto(f"{url}/practice/mlops")
    seen += [_widest(page), _faintest(page)]
    page.fill("#answer", "x" * 400 + " " + PARTIAL)
    page.get_by_role("button", name="Check").click()
    page.wait_for_url(re.compile("/answers/"))
    seen += [_widest(page), _faintest(page)]
    assert max(seen[::2]) <= 360
    assert min(seen[1::2]) >= 4.5


def _widest(page: Page) -> float:
    return float(page.evaluate("document.documentElement.scrollWidth"))


def _faintest(page: Page) -> float:
    """The lowest contrast of any text with its background (WCAG 2.2, relative luminance)."""
    return float(
        page.evaluate(
            """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let faintest = 21;
  for (const node of document.querySelectorAll("main *, header *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("kbd, .sr")) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    faintest = Math.min(faintest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return faintest;
}"""
        )
    )


def test_the_page_takes_in_the_models_verdict(tmp_path: Path, new_page: NewPage) -> None:
    with llm.ScriptedLLM(llm.covered()) as model:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_PROMPT="rubric-v1",
            FREERECALL_API_BASE=model.api_base,
            FREERECALL_API_KEY="k",
            FREERECALL_GRADER="llm",
        )
        with running_service(env) as service:
            page = new_page()
            page.goto(f"{service.url}/practice/mlops")
            page.fill("#answer", "how people run and look after learned systems day by day")
            page.keyboard.press("Control+Enter")
            page.wait_for_url(re.compile("/answers/"))
            expect(page.locator("#status")).to_contain_text("The language model", timeout=30_000)
            expect(page.locator(".rating .number")).to_have_text("5")
            expect(page.locator("#changes li").first).to_contain_text("covered")
