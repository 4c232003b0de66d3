"""A store that has grown: up to 100,000 cards and 1,000,000 reviews, and what waits on it."""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.measure import Row
from bench.service import Server, free_port
from freerecall import practice, scheduling
from freerecall.cards import Card, Deck
from freerecall.store import Only, Session, Store
from freerecall.store.rows import dump_json, time_text

SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""Reviews; there is a card for each ten."""
TIMES = 30
NOW = datetime.now(UTC)


def grown(folder: Path) -> list[Row]:
    """How the next card and the figures take longer as the store grows from 10³ to 10⁶ reviews."""
    rows: list[Row] = []
    base: dict[str, float] = {}
    for size in SIZES:
        path = folder / f"{size}" / "freerecall.db"
        fill(path, size)
        with Store.open(path) as store:
            timed = {
                "next due card": _median(lambda: practice.next_card(store, "large", now=NOW)),
                "next new card": _median(
                    lambda: practice.next_card(store, "large", now=NOW, session=Session(Only.NEW))
                ),
                "figures": _median(lambda: store.statistics(None, NOW)),
                "search": _median(lambda: store.find_cards("large", "number 7")),
            }
        limits = {"next due card": 5.0, "figures": 300.0}
        for name, took in timed.items():
            first = base.setdefault(name, took)
            limit = limits.get(name)
            last = size == SIZES[-1]
            rows.append(
                Row(
                    f"{name}, {size:,} reviews",
                    f"{took:.2f} ms",
                    f"{first:.2f} ms ({SIZES[0]:,})",
                    took / first,
                    f"≤ {limit:.0f} ms" if limit and last else "",
                    not (limit and last) or took <= limit,
                )
            )
    return rows + _in_the_browser(folder / str(SIZES[-1]))


def fill(path: Path, reviews: int) -> None:
    """Write a store with `reviews` reviews of a tenth as many cards; nine in ten of these were seen."""
    chance = random.Random(1)  # noqa: S311
    count = reviews // 10
    cards = tuple(
        Card(
            f"large:{i}",
            f"What is number {i}?",
            f"the number {i} of group {i % 97}",
            tags=(f"group{i % 97}",),
        )
        for i in range(count)
    )
    with Store.open(path) as store:
        store.put_deck(Deck("large", "Large", cards))
    db = sqlite3.connect(path)
    seen = [card for card in cards if chance.random() < 0.9]
    versions = dict(db.execute("SELECT id, version FROM cards"))
    states = [_state(card.id, chance) for card in seen]
    with db:
        db.executemany(
            "INSERT INTO card_states (learner, card_id, deck_id, due, state)"
            " VALUES ('local', ?, 'large', ?, ?)",
            ((s.card_id, time_text(s.due or NOW), dump_json(s.to_dict())) for s in states),
        )
        for number in range(reviews):
            state = states[number % len(states)]
            at = time_text(NOW - timedelta(minutes=chance.randrange(2, 700_000)))
            id = f"a{number}"
            rating = chance.choice((1, 2, 3, 4, 4, 5, 5))
            db.execute(
                "INSERT INTO answers (id, learner, client_answer_id, card_id, card_version, text, mode,"
                " answered_at, elapsed_ms, stage)"
                " VALUES (?, 'local', ?, ?, ?, 'x', 'embedded', ?, 5000, 'settled')",
                (id, id, state.card_id, versions[state.card_id], at),
            )
            db.execute(
                "INSERT INTO grades (answer_id, graded_at, rating, score, confidence, decided_by,"
                " provisional, evidence, feedback, calibration, prompt, model, latency_ms, tokens_in,"
                " tokens_out, cost_usd, cached, error)"
                " VALUES (?, ?, ?, 0.5, 0.5, 'embedded', 0, ?, '', '', '', '', 1, 0, 0, 0, 0, '')",
                (id, at, rating, '[["the number","missing","",null,0.0,1.0]]'),
            )
            known = dump_json(state.to_dict())
            db.execute(
                "INSERT INTO reviews (answer_id, learner, card_id, at, day, phase, rating, source, prior,"
                " result) VALUES (?, 'local', ?, ?, ?, 'review', ?, 'grade', ?, ?)",
                (id, state.card_id, at, at[:10], rating, known, known),
            )
    db.execute("ANALYZE")
    db.close()


def _state(card_id: str, chance: random.Random) -> scheduling.CardState:
    due = NOW + timedelta(minutes=chance.randrange(-60_000, 300_000))
    return scheduling.CardState(card_id, "review", None, 20.0, 5.0, due, due - timedelta(days=20))


def _median(call: Callable[[], object]) -> float:
    """Return the median time in ms."""
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def _in_the_browser(data: Path) -> list[Row]:
    """From the key press that submits to the grade being drawn, in headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        return [Row("key press to visible grade", "no Chromium", "", None, "≤ 100 ms", False)]
    from playwright.sync_api import sync_playwright

    port = free_port()
    server = Server("freerecall", "--port", str(port), port=port, data=data)
    try:
        server.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            taken = [_key_to_grade(page, f"http://127.0.0.1:{port}") for _ in range(TIMES)]
            browser.close()
    finally:
        server.stop()
    took = median(taken[3:])
    name = f"key press to visible grade, {SIZES[-1]:,} reviews"
    return [Row(name, f"{took:.0f} ms", "", None, "≤ 100 ms", took <= 100)]


def _key_to_grade(page: object, url: str) -> float:
    page.goto(f"{url}/practice/large")  # type: ignore[attr-defined]
    page.fill("#answer", "the number 12 of some group")  # type: ignore[attr-defined]
    page.evaluate(_WATCH)  # type: ignore[attr-defined]
    page.keyboard.press("Control+Enter")  # type: ignore[attr-defined]
    took: float = page.evaluate(_TOOK)  # type: ignore[attr-defined]
    return took


_WATCH = """
(() => {
  let pressed = 0;
  addEventListener("keydown", () => { pressed ||= performance.now(); }, { capture: true });
  new MutationObserver((_, observer) => {
    if (!document.querySelector("#verdict .number")) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.took = performance.now() - pressed; }));
  }).observe(document.documentElement, { childList: true, subtree: true });
})()
"""
"""Time from the key to the second frame after the grade came in: by then it has been drawn."""
_TOOK = """
new Promise((done) => {
  const look = () => (window.took ? done(window.took) : requestAnimationFrame(look));
  look();
})
"""
