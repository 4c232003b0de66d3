"""Running it: figures, logs, request ids, settings, shutdown; and that nothing leaks on the way."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import scripted_llm as scripted
from freerecall.settings import VARIABLES, load, readme_table, remarks
from freerecall.store import Store
from freerecall.store.check import check
from polling import until
from scripted_llm import ScriptedLLM
from service_process import environment, running_service
from terminal import Terminal

CANARY = "sk-canary-5ca1ab1e-0123456789"
TYPED = "xylophone-quokka-marmalade"
TOKEN = "token-canary-feedface-0123456789"
README = Path(__file__).parent.parent / "README.md"


def figures(client: httpx.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = client.get("/metrics")
    assert reply.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    env = environment(tmp_path_factory.mktemp("run"))
    with running_service(env) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


def answer(client: httpx.Client, key: str, text: str = TYPED) -> httpx.Response:
    card = client.get("/api/v1/practice/next").json()["card"]["id"]
    body = {"card_id": card, "answer": text, "client_answer_id": key}
    return client.post("/api/v1/practice/answers", json=body)


def test_figures_count_what_is_done(client: httpx.Client) -> None:
    before = figures(client)
    given = answer(client, "m1").json()
    client.post(f"/api/v1/answers/{given['answer_id']}/override", json={"rating": 5}).raise_for_status()
    client.get("/api/v1/answers/no-such-answer")
    after = figures(client)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    assert (
        more("freerecall_grades_total", way="practice", decided_by="rule", provisional="false")
        + more("freerecall_grades_total", way="practice", decided_by="embedded", provisional="false")
        == 1
    )
    assert more("freerecall_overrides_total") == 1
    route = "/api/v1/answers/{answer_id}"
    assert more("freerecall_http_requests_total", method="GET", route=route, status="404") == 1
    assert after["freerecall_queue", (("what", "verdicts"),)] == 0
    assert TYPED not in client.get("/metrics").text
    assert given["answer_id"] not in client.get("/metrics").text


def test_a_request_id_comes_back_and_stands_in_problems(client: httpx.Client) -> None:
    own = client.get("/api/v1/cards/none", headers={"X-Request-ID": "mine-1"})
    assert own.headers["x-request-id"] == own.json()["request_id"] == "mine-1"
    for odd in ("two words", "x" * 65, "<b>"):
        made = client.get("/healthz", headers={"X-Request-ID": odd}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_log_lines_are_json_and_hold_no_secret(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.covered(), scripted.status(401, message=f"bad key {CANARY}")) as server:
        env = environment(
            tmp_path,
            FREERECALL_LOG="json",
            FREERECALL_LOG_LEVEL="debug",
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_API_KEY=CANARY,
            FREERECALL_TOKEN=TOKEN,
            FREERECALL_GRADER="llm",
            FREERECALL_PROMPT="rubric-v1",
        )
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        shown = []
        with (
            running_service(env) as service,
            httpx.Client(base_url=service.url, headers=bearer, timeout=60) as client,
        ):
            for key in ("1", "2", "3"):
                given = answer(client, key, f"{TYPED} {key}").json()
                shown.append(client.get(f"/api/v1/answers/{given['answer_id']}/events").text)
            client.get(f"/login?token={TOKEN}")
            paths = ("/", "/metrics", "/statistics", "/decks/mlops/export?format=json", "/api/v1/nowhere")
            shown += [client.get(path).text for path in paths]
            shown.append(client.get("/metrics", headers={"Authorization": "Bearer wrong"}).text)
            code, log = service.stop()
    assert code == 0
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    served = [line for line in lines if "route" in line]
    assert len(served) >= 9
    assert all(line["request_id"] and line["ms"] >= 0 for line in served)
    for secret in (CANARY, TOKEN):
        assert secret not in log
        assert not any(secret in text for text in shown)
    assert TYPED not in log


def test_what_the_provider_did_is_counted(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.text(""), scripted.covered()) as server:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_GRADER="llm",
            FREERECALL_PROMPT="rubric-v1",
        )
        with running_service(env) as service, httpx.Client(base_url=service.url, timeout=60) as client:
            for text in ("it is about four", "it is nearly four"):
                question = {"question": "What is 2 + 2?", "reference": "four", "answer": text}
                client.post("/api/v1/grade", json=question).raise_for_status()
            found = figures(client)
    calls = {
        dict(labels)["outcome"]: count
        for (name, labels), count in found.items()
        if name == "freerecall_provider_calls_total"
    }
    assert calls == {"answered": 2, "failed": 0, "cached": 0, "unusable": 1}
    assert found["freerecall_provider_tokens_total", (("direction", "in"),)] == 200
    assert found["freerecall_provider_up", ()] == 1


def test_metrics_are_for_the_token_alone(tmp_path: Path) -> None:
    with running_service(environment(tmp_path, FREERECALL_TOKEN=TOKEN)) as service:
        assert httpx.get(f"{service.url}/metrics").status_code == 401
        allowed = httpx.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "freerecall_build_info" in allowed.text


def test_a_slip_in_a_variable_is_told() -> None:
    assert remarks({"FREERECALL_MODLE": "x", "HOME": "/"}) == [
        "FREERECALL_MODLE is no setting; did you mean FREERECALL_MODEL?"
    ]
    assert remarks(dict.fromkeys(VARIABLES, "")) == []


def test_a_setting_that_does_nothing_is_told() -> None:
    base = {"FREERECALL_API_BASE": "http://127.0.0.1:1/v1", "FREERECALL_GRADER": "llm"}
    assert [remark.split()[0] for remark in remarks(base)] == list(base)
    assert remarks({**base, "FREERECALL_MODEL": "m"}) == []


def test_the_readme_has_the_table_of_settings() -> None:
    assert readme_table() in README.read_text(encoding="utf-8")


def test_settings_in_force_are_shown_without_secrets(
    freerecall: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "API_KEY": CANARY,
        "TOKEN": TOKEN,
        "MODEL": "m",
        "API_BASE": f"http://me:{CANARY}@model.example:9/v1?key={CANARY}",
        "RATE": "7",
    }.items():
        monkeypatch.setenv(f"FREERECALL_{name}", value)
    done = freerecall("settings")
    shown = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    assert done.code == 0
    assert tuple(shown) == VARIABLES
    assert shown["FREERECALL_RATE"] == ["7", "set"]
    assert shown["FREERECALL_GRADER"] == ["hybrid", "default"]
    assert shown["FREERECALL_API_BASE"] == ["http://model.example:9/v1", "set"]
    assert shown["FREERECALL_TOKEN"] == ["(set,", "not", "shown)", "set"]
    assert CANARY not in done.out + done.err
    assert TOKEN not in done.out + done.err
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FREERECALL_DATA", str(tmp_path / "file" / "data"))
    refused = freerecall("settings")
    assert refused.code == 2
    assert "FREERECALL_DATA" in refused.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEADLINE_S", "0"),
        ("DEADLINE_S", "soon"),
        ("LOG", "xml"),
        ("LOG_LEVEL", "loud"),
        ("BUDGET_USD", "-1"),
        ("LEARNER_BUDGET_USD", "nan"),
        ("RATE", "-1"),
        ("PROXY", "nowhere"),
        ("GRADER", "both"),
        ("PROMPT", "../secret"),
        ("API_BASE", "localhost:8080"),
        ("API_BASE", "ftp://model.example/v1"),
        ("API_BASE", "http:///v1"),
        ("API_BASE", "http://[::1/v1"),
        ("API_BASE", "http://model.example:http/v1"),
    ],
)
def test_an_unusable_setting_is_named_at_the_start(name: str, value: str) -> None:
    with pytest.raises(Exception, match=f"FREERECALL_{name}") as told:
        load({f"FREERECALL_{name}": value})
    assert type(told.value).__module__ == "freerecall.errors"


def test_a_short_token_does_not_open_the_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "freerecall", "--port", "0", "--host", "0.0.0.0"],
        env=environment(tmp_path, FREERECALL_TOKEN="secret"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "FREERECALL_TOKEN has 6 characters" in done.stderr
    assert "secret" not in done.stderr.replace("secret of", "")


def test_it_stops_with_streams_open_and_keeps_what_waits(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.hang()) as server:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_GRADER="llm",
        )
        with running_service(env) as service, httpx.Client(base_url=service.url, timeout=60) as client:
            given = answer(client, "1").json()
            assert given["pending"]
            begun, ended = threading.Event(), threading.Event()

            def listen() -> None:
                with client.stream("GET", f"/api/v1/answers/{given['answer_id']}/events") as stream:
                    for _ in stream.iter_lines():
                        begun.set()
                ended.set()  # not reached where the stream is cut off

            listening = threading.Thread(target=listen)
            listening.start()
            assert begun.wait(30)
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(timeout=60) == 0
            listening.join(30)
            assert ended.is_set()
    with (
        running_service(environment(tmp_path)) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        kept = client.get(f"/api/v1/answers/{given['answer_id']}").json()
        assert (kept["answer"], kept["pending"]) == (TYPED, True)


def test_it_finishes_what_is_under_way_and_takes_no_more(tmp_path: Path) -> None:
    with running_service(environment(tmp_path, FREERECALL_RATE="0")) as service:
        begun = threading.Barrier(5)
        replies: list[tuple[str, int]] = []

        def keep_answering(learner: int) -> None:
            with httpx.Client(base_url=service.url, timeout=60) as client:
                for number in range(10_000):
                    body = {
                        "card_id": "mlops:container",
                        "answer": TYPED,
                        "client_answer_id": f"{learner}-{number}",
                    }
                    try:
                        reply = client.post("/api/v1/practice/answers", json=body)
                    except httpx.TransportError:
                        return
                    replies.append((body["client_answer_id"], reply.status_code))
                    if number == 5:
                        begun.wait(60)

        learners = [threading.Thread(target=keep_answering, args=(number,)) for number in range(4)]
        for learner in learners:
            learner.start()
        begun.wait(60)
        code, told = service.stop()
        for learner in learners:
            learner.join(60)
    assert (code, told) == (0, "")
    assert {status for _, status in replies} == {200}
    with Store.open(tmp_path / "freerecall.db") as store:
        stored = {id for (id,) in store.db.execute("SELECT client_answer_id FROM answers")}
        assert stored >= {id for id, _ in replies}
        assert len(stored) <= len(replies) + len(learners)
        assert store.waiting()["answers"] == 0
        assert check(store) == []


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with ScriptedLLM(scripted.hang()) as server:
        env = environment(
            tmp_path,
            FREERECALL_MODEL="openai/scripted",
            FREERECALL_API_BASE=server.api_base,
            FREERECALL_GRADER="llm",
        )
        with running_service(env) as service:
            question = {"question": "What is 2 + 2?", "reference": "four", "answer": "it is about four"}

            def ask() -> None:
                with suppress(httpx.TransportError):
                    httpx.post(f"{service.url}/api/v1/grade", json=question, timeout=60)

            asking = threading.Thread(target=ask)
            asking.start()
            assert server.arrived.acquire(timeout=30)
            service.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(service.url))
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(timeout=60) == 128 + signal.SIGTERM
            asking.join(30)


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz")
    except httpx.ConnectError:
        return True
    return False
