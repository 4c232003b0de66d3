"""The HTTP interface, over real HTTP, against the real service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service_process import environment, running_service

SCRIPT = "<script>alert(1)</script>"
DECK = f"""
title = "Biology {SCRIPT}"
[[cards]]
id = "mitosis"
kind = "definition"
question = "What is mitosis? {SCRIPT}"
reference = "Cell division that yields two identical daughter cells"
points = ["cell division", "two identical daughter cells"]
[[cards]]
id = "rna"
kind = "true-false"
question = "True or false: RNA is usually double-stranded."
reference = "False"
points = [{{ text = "False", accept = ["no"] }}]
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    env = environment(tmp_path_factory.mktemp("api"))
    with running_service(env) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        upload = client.post("/api/v1/decks?name=bio.toml", content=DECK)
        assert upload.status_code == 201, upload.text
        yield client


def answer(api: httpx.Client, client_id: str, text: str, card: str = "bio:mitosis") -> httpx.Response:
    body = {"card_id": card, "answer": text, "client_answer_id": client_id, "elapsed_ms": 1200}
    return api.post("/api/v1/practice/answers", json=body)


def assert_problem(response: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    assert "Traceback" not in response.text
    return problem


def test_grade_is_stateless_and_shows_its_evidence(api: httpx.Client) -> None:
    body = {
        "question": "Name three cloud platforms.",
        "reference": "AWS, Azure, GCP",
        "key_points": ["AWS", "Azure", "GCP"],
        "answer": "aws and azure",
    }
    grade = api.post("/api/v1/grade", json=body).json()
    assert [item["verdict"] for item in grade["evidence"]] == ["covered", "covered", "missing"]
    assert [item["quote"] for item in grade["evidence"]] == ["aws", "azure", ""]
    assert 2 <= grade["rating"] <= 4
    assert 0 < grade["score"] < 1
    assert grade["decided_by"] == "embedded"
    assert grade["provisional"] is False
    assert grade["provenance"]["calibration"]


def test_an_answer_is_graded_scheduled_and_found_again(api: httpx.Client) -> None:
    given = answer(api, "one", "a cell divides into two identical daughter cells")
    assert given.status_code == 200
    result = given.json()
    assert result["rating"] >= 4
    assert result["pending"] is False
    assert result["card"]["reference"].startswith("Cell division")
    assert result["due"] > "2026"
    assert api.get(f"/api/v1/answers/{result['answer_id']}").json() == result


def test_the_same_answer_sent_twice_counts_once(api: httpx.Client) -> None:
    first, second = answer(api, "twice", "cell division"), answer(api, "twice", "cell division")
    assert first.json() == second.json()
    assert_problem(answer(api, "twice", "another text"), 409, "client_answer_id")


def test_a_false_verdict_is_not_knowledge(api: httpx.Client) -> None:
    assert answer(api, "tf-1", "true", "bio:rna").json()["rating"] == 1
    assert answer(api, "tf-2", "no", "bio:rna").json()["rating"] == 5


def test_an_override_stands_and_reschedules(api: httpx.Client) -> None:
    result = answer(api, "override", "something about cells").json()
    path = f"/api/v1/answers/{result['answer_id']}/override"
    changed = api.post(path, json={"rating": 5, "reason": "I meant division"}).json()
    assert changed["rating"] == 5
    assert changed["overridden"] is True
    assert changed["grade_rating"] == result["rating"]
    assert changed["interval_s"] > result["interval_s"]
    for rating in (0, 6, "5", 4.5, True):
        assert_problem(api.post(path, json={"rating": rating}), 422, "rating")


def test_next_card_hides_the_answer(api: httpx.Client) -> None:
    following = api.get("/api/v1/practice/next", params={"deck": "mlops"}).json()
    assert following["new"] == 69
    assert set(following["card"]) == {"id", "question", "kind", "tags"}


def test_decks_and_cards(api: httpx.Client) -> None:
    decks = {deck["id"]: deck for deck in api.get("/api/v1/decks").json()}
    assert decks["mlops"]["cards"] == 69
    cards = api.get("/api/v1/decks/mlops/cards").json()
    assert len(cards) == 69
    assert all(card["points"] for card in cards)
    assert api.get("/api/v1/decks/mlops/cards?limit=2&offset=67").json() == cards[67:]


def test_upload_as_a_form_and_twice(api: httpx.Client) -> None:
    deck = DECK.replace("mitosis", "meiosis").encode()
    first = api.post("/api/v1/decks", files={"file": ("meio.toml", deck)})
    assert first.status_code == 201
    assert first.json()["added"] == 2
    again = api.post("/api/v1/decks", files={"file": ("meio.toml", deck)}).json()
    assert (again["added"], again["unchanged"]) == (0, 2)


def test_a_malformed_deck_names_its_line_and_leaves_nothing(api: httpx.Client) -> None:
    before = api.get("/api/v1/decks").json()
    broken = 'title = "x"\n[[cards]]\nquestion = "a"\nreference = 7\n'
    assert_problem(api.post("/api/v1/decks?name=broken.toml", content=broken), 422, "broken.toml:")
    assert_problem(api.post("/api/v1/decks", files={"other": b"x"}), 422, "file")
    assert api.get("/api/v1/decks").json() == before


@pytest.mark.parametrize(
    "path",
    ["/api/v1/answers/none", "/api/v1/decks/none/cards", "/api/v1/practice/next?deck=none", "/api/v1/x"],
)
def test_what_is_not_there_is_404(api: httpx.Client, path: str) -> None:
    assert_problem(api.get(path), 404)


def test_malformed_requests_are_explained(api: httpx.Client) -> None:
    assert_problem(answer(api, "", "text"), 422, "client_answer_id")
    assert_problem(answer(api, "long", "x" * 10_001), 422, "answer")
    assert_problem(answer(api, "gone", "text", "bio:none"), 404)
    assert_problem(api.post("/api/v1/grade", json={"question": "q", "answer": "a"}), 422, "reference")
    not_json = api.post("/api/v1/grade", content=b"{", headers={"content-type": "application/json"})
    assert_problem(not_json, 422)
    assert_problem(api.post("/api/v1/grade", json={"question": "q"}), 422, "answer")
    assert_problem(api.put("/api/v1/grade", json={}), 405)


def test_large_bodies_are_refused(api: httpx.Client) -> None:
    assert_problem(api.post("/api/v1/grade", content=b"x" * (1 << 20 | 1)), 413, "1 MiB")

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 16)

    headers = {"content-type": "application/json"}
    assert_problem(api.post("/api/v1/grade", content=endless(), headers=headers), 413)


def test_other_sites_are_refused(api: httpx.Client) -> None:
    body = {"question": "q", "reference": "r", "answer": "a"}
    for headers in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        assert_problem(api.post("/api/v1/grade", json=body, headers=headers), 403)
    assert_problem(api.get("/api/v1/decks", headers={"host": "elsewhere.example"}), 400, "elsewhere")
    own = str(api.base_url).rstrip("/")
    assert api.post("/api/v1/grade", json=body, headers={"origin": own}).status_code == 200


def test_openapi_documents_the_contract(api: httpx.Client) -> None:
    document = api.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    wanted = {
        "/api/v1/grade": "post",
        "/api/v1/decks": "post",
        "/api/v1/decks/{deck_id}/cards": "get",
        "/api/v1/practice/next": "get",
        "/api/v1/practice/answers": "post",
        "/api/v1/answers/{answer_id}/override": "post",
    }
    for path, method in wanted.items():
        responses = document["paths"][path][method]["responses"]
        assert "application/problem+json" in responses["422"]["content"], path
    assert "Problem" in document["components"]["schemas"]
    assert not [path for path in document["paths"] if path.startswith("/practice")]


def test_nothing_is_run_in_a_page(api: httpx.Client) -> None:
    shown = answer(api, "script", f"cell division {SCRIPT}").json()
    for path in ("/", "/practice/bio", f"/answers/{shown['answer_id']}"):
        page = api.get(path)
        assert page.status_code == 200
        assert SCRIPT not in page.text
        assert path == "/practice/bio" or "&lt;script&gt;" in page.text
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_token_guards_everything_but_health(tmp_path: Path) -> None:
    env = environment(tmp_path, FREERECALL_TOKEN="a secret")
    with running_service(env) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        assert client.get("/healthz").status_code == 200
        assert_problem(client.get("/api/v1/decks"), 401)
        assert_problem(client.get("/api/v1/decks", headers={"authorization": "Bearer wrong"}), 401)
        held = client.get("/api/v1/decks", headers={"authorization": "Bearer a secret"})
        assert held.status_code == 200
        assert client.get("/").headers["location"] == "/login"
        assert client.post("/login", data={"token": "wrong"}).status_code == 403
        inside = client.post("/login", data={"token": "a secret"})
        assert "httponly" in inside.headers["set-cookie"].lower()
        assert "a secret" not in inside.headers["set-cookie"]
        assert client.get("/").status_code == 200


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with running_service(env) as service:
        body = {"card_id": "mlops:container", "answer": "an environment", "client_answer_id": "1"}
        before = httpx.post(f"{service.url}/api/v1/practice/answers", json=body).json()
    with running_service(env) as service:
        after = httpx.get(f"{service.url}/api/v1/answers/{before['answer_id']}").json()
        following = httpx.get(f"{service.url}/api/v1/practice/next?deck=mlops").json()
    assert after == before
    assert following["new"] == 68
    assert json.dumps(after)
