"""Starting and stopping the service, as a process of its own."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from freerecall import accounts
from freerecall.access import Role
from freerecall.errors import SettingsError
from freerecall.settings import load
from freerecall.store import Store
from people import add_people
from service_process import environment, running_service

# Writes down every address that the process connects to, sends to, or looks up.
RECORDER = """
import json, os, sys

def record(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0]
    else:
        return
    with open(os.environ["RECORDED_ADDRESSES"], "a") as log:
        log.write(json.dumps([event, repr(address)]) + "\\n")

sys.addaudithook(record)
"""


def run(*options: str, data: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "freerecall", *options]
    return subprocess.run(
        command, env=environment(data, **extra), capture_output=True, text=True, timeout=120
    )


def test_starting_and_grading_speak_to_no_other_host(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(RECORDER)
    log = tmp_path / "addresses.jsonl"
    env = environment(tmp_path / "data", PYTHONPATH=str(hooks), RECORDED_ADDRESSES=str(log))

    with running_service(env) as service:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        question = {"question": "What is 2 + 2?", "reference": "four", "answer": "it is four"}
        assert httpx.post(f"{service.url}/api/v1/grade", json=question).status_code == 200
        service.stop()

    recorded = [json.loads(line) for line in log.read_text().splitlines()]
    assert recorded, "the recorder saw not even our own address being looked up"
    assert [entry for entry in recorded if "127.0.0.1" not in entry[1]] == []


def test_the_bundled_deck_is_ready_to_be_answered(tmp_path: Path) -> None:
    with running_service(environment(tmp_path / "data")) as service:
        decks = httpx.get(f"{service.url}/api/v1/decks").json()
        page = httpx.get(service.url, follow_redirects=True)

    assert decks
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path: Path, signum: signal.Signals) -> None:
    with running_service(environment(tmp_path / "data")) as service:
        httpx.get(f"{service.url}/healthz")
        service.process.send_signal(signum)
        _, told = service.process.communicate(timeout=30)

    assert service.process.returncode == 0
    assert told == ""


def test_data_option_names_the_folder(tmp_path: Path) -> None:
    with running_service(environment(tmp_path / "unused"), "--data", str(tmp_path / "chosen")) as service:
        httpx.get(f"{service.url}/healthz")

    assert (tmp_path / "chosen" / "freerecall.db").exists()
    assert not (tmp_path / "unused").exists()


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port), data=tmp_path)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "example.org"])
def test_other_machines_are_let_in_only_with_a_token(tmp_path: Path, host: str) -> None:
    done = run("--host", host, data=tmp_path)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "FREERECALL_TOKEN" in done.stderr
    assert "freerecall user add" in done.stderr


def test_a_proxy_lets_other_machines_in_too(tmp_path: Path) -> None:
    done = run(data=tmp_path, FREERECALL_PROXY="127.0.0.1")

    assert done.returncode == 2
    assert "FREERECALL_PROXY" in done.stderr
    assert "freerecall user add" in done.stderr


def test_other_machines_are_let_in_where_there_is_an_account(tmp_path: Path) -> None:
    add_people(tmp_path, {"ann": Role.LEARNER})
    with running_service(environment(tmp_path), "--host", "0.0.0.0") as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/api/v1/decks").status_code == 401
        assert httpx.get(f"{url}/api/v1/decks", headers={"host": "school.example"}).status_code == 401
        with Store.open(tmp_path / "freerecall.db") as store:
            accounts.erase(store, store.accounts()[0].learner)
        assert httpx.get(f"{url}/api/v1/decks").status_code == 401
        assert httpx.get(f"{url}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROXY", "*"), ("PROXY", "10.0.0.0/99"), ("RATE", "-1"), ("RATE", "x"), ("LEARNER_BUDGET_USD", "x")],
)
def test_settings_of_accounts_are_checked(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"FREERECALL_{name}"):
        load({f"FREERECALL_{name}": value})


def test_an_unusable_setting_is_named(tmp_path: Path) -> None:
    done = run(data=tmp_path, FREERECALL_BUDGET_USD="lots")

    assert done.returncode == 2
    assert "FREERECALL_BUDGET_USD" in done.stderr
    assert "Traceback" not in done.stderr
