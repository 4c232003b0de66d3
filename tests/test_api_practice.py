"""What the API offers a learner beside answering: choosing, taking back, putting aside, editing, figures."""

import html
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polling import until
from service_process import environment, running_service

CARD = "mlops:what-mlops-means"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data: Path = tmp_path_factory.mktemp("data")
    with (
        running_service(environment(data)) as service,
        httpx.Client(base_url=f"{service.url}/api/v1", timeout=30) as client,
    ):
        yield client


def answer(api: httpx.Client, card: str = CARD, text: str = "no idea", **more: Any) -> dict[str, Any]:
    body = {"card_id": card, "answer": text, "client_answer_id": uuid.uuid4().hex, **more}
    reply = api.post("/practice/answers", json=body)
    assert reply.status_code == 200, reply.text
    result: dict[str, Any] = reply.json()
    return result


def test_a_session_narrows_what_comes_next(api: httpx.Client) -> None:
    new = api.get("/practice/next", params={"deck": "mlops", "only": "new", "seed": 5}).json()
    assert new == api.get("/practice/next", params={"deck": "mlops", "only": "new", "seed": 5}).json()
    tag = new["card"]["tags"][0]
    tagged = api.get("/practice/next", params={"deck": "mlops", "tag": tag}).json()
    assert tag in tagged["card"]["tags"]
    assert tagged["new"] < new["new"]
    crammed = api.get("/practice/next", params={"deck": "mlops", "only": "cram", "session": "s"}).json()
    assert crammed["due"] == 69
    assert api.get("/practice/next", params={"only": "some"}).status_code == 422


def test_an_answer_is_taken_back(api: httpx.Client) -> None:
    before = api.get("/practice/next", params={"deck": "mlops"}).json()
    given = answer(api, before["card"]["id"])
    undone = api.post(f"/answers/{given['answer_id']}/undo")
    assert undone.json()["card"] == before["card"]
    assert api.get("/practice/next", params={"deck": "mlops"}).json() == before
    late = api.post(f"/answers/{given['answer_id']}/override", json={"rating": 5})
    assert late.status_code == 409
    assert api.post("/answers/nope/undo").status_code == 404


def test_an_unscheduled_answer_leaves_the_schedule(api: httpx.Client) -> None:
    first = answer(api)
    second = answer(api, text="building and running models", scheduled=False, hints=2, session="x")
    assert (second["scheduled"], second["due"]) == (False, first["due"])
    api.post(f"/answers/{second['answer_id']}/undo")
    api.post(f"/answers/{first['answer_id']}/undo")


def test_a_card_is_held_and_released(api: httpx.Client) -> None:
    first = api.get("/practice/next", params={"deck": "mlops"}).json()["card"]["id"]
    assert api.post(f"/cards/{first}/hold", json={"how": "suspend"}).status_code == 204
    assert api.get("/practice/next", params={"deck": "mlops"}).json()["card"]["id"] != first
    assert api.post(f"/cards/{first}/hold", json={"how": "release"}).status_code == 204
    assert api.get("/practice/next", params={"deck": "mlops"}).json()["card"]["id"] == first
    assert api.post(f"/cards/{first}/hold", json={"how": "burn"}).status_code == 422
    assert api.post("/cards/nope/hold", json={"how": "skip"}).status_code == 404


def test_hints_never_hold_the_answer(api: httpx.Client) -> None:
    points = [point["text"] for point in api.get(f"/cards/{CARD}").json()["points"]]
    many = api.get(f"/cards/{CARD}/hint").json()["points"]
    letters = api.get(f"/cards/{CARD}/hint", params={"level": 2}).json()["points"]
    assert len(many) == len(letters) == len(points)
    assert set(many) == {"…"}
    assert all(
        hint[0] == point[0] and hint[:4] != point[:4] for hint, point in zip(letters, points, strict=True)
    )


def test_a_card_is_changed_and_bad_changes_are_refused(api: httpx.Client) -> None:
    card = api.get(f"/cards/{CARD}").json()
    body = {name: value for name, value in card.items() if name != "id"}
    changed = {**body, "footnote": "<b>seen</b>", "points": [{"text": "a|b", "accept": ["c"], "weight": 2}]}
    reply = api.put(f"/cards/{CARD}", json=changed)
    assert reply.status_code == 200, reply.text
    assert reply.json()["footnote"] == "<b>seen</b>"
    assert api.put(f"/cards/{CARD}", json={**body, "reference": ""}).status_code == 422
    assert api.put("/cards/nope", json=body).status_code == 404
    assert api.put(f"/cards/{CARD}", json=body).json() == card


def test_a_card_keeps_what_a_form_would_split(api: httpx.Client) -> None:
    card = api.get(f"/cards/{CARD}").json()
    body = {name: card[name] for name in card if name != "id"}
    points = [
        {"text": "a | b", "accept": ["c|d", "\\|"], "weight": 2.5},
        {"text": "doubled (x2)", "accept": [], "weight": 1.0},
    ]
    changed = {**body, "points": points, "tags": ["two words", "one"], "alternatives": ["first\nsecond"]}
    assert api.put(f"/cards/{CARD}", json=changed).status_code == 200
    stored = api.get(f"/cards/{CARD}").json()
    assert {name: stored[name] for name in changed} == changed

    site = str(api.base_url).removesuffix("/api/v1/")
    page = httpx.get(f"{site}/cards/{CARD}").text
    shown = {
        name: html.unescape(re.search(f'name="{name}"[^>]*>([^<]*)</textarea>', page)[1])  # type: ignore[index]
        for name in ("question", "reference", "points", "footnote")
    }
    tags = html.unescape(re.search('name="tags" value="([^"]*)"', page)[1])  # type: ignore[index]
    form = {**shown, "kind": card["kind"], "tags": tags}
    assert httpx.post(f"{site}/cards/{CARD}", data=form).status_code == 200
    stored = api.get(f"/cards/{CARD}").json()
    assert (stored["points"], stored["tags"]) == (points, ["two words", "one"])
    for weight in (0, -1, 101):
        reply = api.put(f"/cards/{CARD}", json={**body, "points": [{**points[0], "weight": weight}]})
        assert (reply.status_code, "weight" in reply.json()["detail"]) == (422, True)
    assert api.put(f"/cards/{CARD}", json=body).json() == card


def test_settings_of_a_deck(api: httpx.Client) -> None:
    given = {"new_per_day": 0, "reviews_per_day": 10, "retention": 0.8, "parameters": []}
    assert api.put("/decks/mlops/settings", json=given).json() == given
    assert api.get("/practice/next", params={"deck": "mlops", "only": "new"}).json()["card"] is None
    none = {"new_per_day": None, "reviews_per_day": None, "retention": None, "parameters": []}
    assert api.put("/decks/mlops/settings", json=none).json() == none
    assert api.put("/decks/mlops/settings", json={"retention": 2}).status_code == 422
    assert api.put("/decks/nope/settings", json=none).status_code == 404


def test_figures(api: httpx.Client) -> None:
    answer(api)
    found = api.get("/statistics", params={"deck": "mlops"}).json()
    assert sum(found["ratings"]) >= 1
    assert len(found["days"]) == 90
    assert len(found["forecast"]) == 30
    assert found["hardest"][0]["card"]["id"] == CARD
    assert api.get("/statistics", params={"deck": "nope"}).status_code == 404


def test_it_says_when_it_is_ready(api: httpx.Client) -> None:
    root = str(api.base_url).removesuffix("/api/v1/")

    def ready() -> bool:
        return httpx.get(f"{root}/readyz").status_code == 200

    until(ready)
    assert httpx.get(f"{root}/readyz").json()["status"] == "ready"
