"""Self-tests over HTTP: with and without the token, and through kills of the server."""

import io
import os
import random
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from polling import until
from service_process import environment, running_service

KILLS = int(os.environ.get("FREERECALL_KILLS", "20"))
"""`make kills` does 300."""


def paper(client: httpx.Client, **spec: Any) -> dict[str, Any]:
    reply = client.post("/api/v1/exams", json={"decks": ["mlops"], "count": 3, "seed": 1, **spec})
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


def begin(client: httpx.Client, paper_id: str, name: str = "Ada") -> str:
    reply = client.post(f"/api/v1/exams/{paper_id}/sittings", json={"name": name})
    assert reply.status_code == 201, reply.text
    sitting: str = reply.json()["id"]
    return sitting


def test_a_sitting_from_paper_to_gradebook(tmp_path: Path) -> None:
    with (
        running_service(environment(tmp_path)) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        made = paper(client, minutes=5)
        assert "reference" not in str(made)
        sitting = begin(client, made["id"])
        path = f"/api/v1/sittings/{sitting}"
        assert 0 < client.get(path).json()["remaining_s"] <= 300
        assert client.get(f"{path}/report").status_code == 409
        saved = client.put(f"{path}/answers/1", json={"text": "x ← Δ слово", "revision": 2})
        assert saved.json() == {"kept": True}
        assert client.put(f"{path}/answers/1", json={"text": "y", "revision": 1}).json() == {"kept": False}
        assert client.put(f"{path}/answers/9", json={"text": "y", "revision": 1}).status_code == 422
        once, twice = (client.post(f"{path}/submit").json() for _ in range(2))
        assert once["submitted_at"] == twice["submitted_at"]
        late = client.put(f"{path}/answers/1", json={"text": "z", "revision": 3})
        assert late.status_code == 409

        def final() -> dict[str, Any] | None:
            found: dict[str, Any] = client.get(f"{path}/report").json()
            return found if found["final"] else None

        report = until(final)
        assert (report["graded"], len(report["items"])) == (3, 3)
        assert report["low"] <= report["share"] <= report["high"]
        mark = {"sitting_id": sitting, "number": 1, "rating": 5, "reason": "said aloud"}
        assert client.post(f"/api/v1/exams/{made['id']}/marks", json=mark).status_code == 204
        assert client.post(f"{path}/answers/2/appeal", json={"text": "look again"}).status_code == 204
        found = client.get(f"/api/v1/exams/{made['id']}/class").json()
        assert found["agreement"]["marks"] == 1
        assert found["queue"][0]["why"] == "appeal"
        assert '"gold": 5' in client.get(f"/api/v1/exams/{made['id']}/gold.jsonl").text
        assert "Ada" in client.get(f"/api/v1/exams/{made['id']}/gradebook.csv").text
        file = client.get(f"/api/v1/exams/{made['id']}/file").content
        assert client.post("/api/v1/exams/file", content=file).json()["id"] == made["id"]
        assert client.post("/api/v1/exams/file", content=b"\xff").status_code == 422
        pdf = PdfReader(io.BytesIO(client.get(f"/sittings/{sitting}/report.pdf").content))
        words = " ".join(page.extract_text() for page in pdf.pages)
        assert "Ada" in words
        assert "5 of 5, perfectly by the teacher" in words
        assert client.post(f"/api/v1/exams/{made['id']}/regrade").json() == {"grades": 0}
        other = paper(client, seed=2)
        assert client.post(f"/api/v1/exams/{other['id']}/marks", json=mark).status_code == 404


def test_a_class_needs_the_code_only_and_reaches_nothing_else(tmp_path: Path) -> None:
    env = environment(tmp_path, FREERECALL_TOKEN="secret")
    with running_service(env) as service, httpx.Client(base_url=service.url, timeout=30) as teacher:
        teacher.headers["authorization"] = "Bearer secret"
        made = paper(teacher)
        code = teacher.post(f"/api/v1/exams/{made['id']}/publish").json()["code"]
        learner = httpx.Client(base_url=service.url, timeout=30)
        reply = learner.post(f"/api/v1/exams/code/{code.lower()}/sittings", json={"name": "Bob"})
        assert reply.status_code == 201
        path = f"/api/v1/sittings/{reply.json()['id']}"
        assert learner.put(f"{path}/answers/1", json={"text": "a", "revision": 1}).status_code == 200
        assert learner.get(f"/sit/{code}").status_code == 200
        for closed in ("/api/v1/exams", f"/api/v1/exams/{made['id']}/class", "/api/v1/decks"):
            assert learner.get(closed).status_code == 401
        mark = {"sitting_id": reply.json()["id"], "number": 1, "rating": 5}
        assert learner.post(f"/api/v1/exams/{made['id']}/marks", json=mark).status_code == 401
        assert learner.get("/api/v1/sittings/guess").status_code == 404
        assert learner.post("/api/v1/exams/code/NOPE/sittings", json={"name": "x"}).status_code == 404


@pytest.mark.parametrize("seed", [1])
def test_no_acknowledged_text_is_lost_when_the_server_is_killed(tmp_path: Path, seed: int) -> None:
    """The server dies at random moments while a learner types; what it acknowledged is there again."""
    chance = random.Random(seed)
    kept: dict[int, tuple[int, str]] = {}
    sitting = paper_id = ""
    revision = 0
    for _ in range(KILLS):
        with (
            running_service(environment(tmp_path)) as service,
            httpx.Client(base_url=service.url, timeout=60) as client,
        ):
            if not sitting:
                paper_id = paper(client, count=5)["id"]
                sitting = begin(client, paper_id)
            found = {
                row["number"]: row for row in client.get(f"/api/v1/sittings/{sitting}").json()["answers"]
            }
            for number, (least, text) in kept.items():
                assert found[number]["revision"] >= least
                if found[number]["revision"] == least:
                    assert found[number]["text"] == text
            saves = chance.randrange(1, 12)
            killer = threading.Timer(chance.uniform(0, 0.05), service.process.kill)
            killer.start()
            for _ in range(saves):
                revision += 1
                number, text = chance.randrange(1, 6), uuid.uuid4().hex
                try:
                    reply = client.put(
                        f"/api/v1/sittings/{sitting}/answers/{number}",
                        json={"text": text, "revision": revision},
                        timeout=5,
                    )
                except httpx.HTTPError:
                    break
                assert reply.status_code == 200
                kept[number] = (revision, text)
            killer.join()
    assert kept
