"""Bodies that lie about their length or unpack to too much, and what every reply says to browsers."""

import io
import socket
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service_process import environment, running_service


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(environment(tmp_path_factory.mktemp("limits"))) as service:
        yield service.url


def raw(url: str, head: str, body: bytes, *, half_close: bool = False) -> bytes:
    """Send a request as it is; return all that comes back until the service closes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        text = (
            f"{head}\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(text.encode() + body)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def test_a_length_that_is_a_lie_does_no_harm(url: str) -> None:
    post = "POST /api/v1/grade HTTP/1.1\r\nContent-Length: "
    body = b'{"question": "q", "reference": "r", "answer": "a"}'
    assert b" 422 " in raw(url, f"{post}20", body).splitlines()[0], "what is beyond the length is not read"
    assert b" 200 " not in raw(url, f"{post}5000", body, half_close=True)
    for length in ("-1", "1e3", "12, 13", "9" * 30 + "x"):
        assert b" 400 " in raw(url, f"{post}{length}", body).splitlines()[0]
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_deck_that_unpacks_to_too_much_is_refused(url: str) -> None:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package,
        package.open("collection.anki2", "w") as file,
    ):
        for _ in range(60):
            file.write(bytes(1 << 20))
    for name in ("bomb.apkg", "bomb.colpkg"):
        reply = httpx.post(f"{url}/api/v1/decks?name={name}", content=packed.getvalue(), timeout=60)
        assert reply.status_code == 422
        assert "unpacks to more than" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "host"),
    [
        ("GET", "/", ""),
        ("GET", "/nowhere", ""),
        ("GET", "/api/v1/nowhere", ""),
        ("GET", "/static/style.css", ""),
        ("DELETE", "/api/v1/grade", ""),
        ("GET", "/", "evil.example"),
    ],
)
def test_every_reply_has_the_headers_for_browsers(url: str, method: str, path: str, host: str) -> None:
    reply = httpx.request(method, url + path, headers={"Host": host} if host else {})
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in reply.headers["permissions-policy"]
    assert "strict-transport-security" not in reply.headers


def test_over_tls_there_is_no_other_way(tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    env = environment(tmp_path, FREERECALL_PROXY="127.0.0.1", FREERECALL_TOKEN=token)
    with running_service(env) as service:
        reply = httpx.get(f"{service.url}/healthz", headers={"X-Forwarded-Proto": "https"})
        assert "max-age" in reply.headers["strict-transport-security"]


def test_a_fault_tells_no_path_no_secret_and_no_traceback(tmp_path: Path) -> None:
    canary = "xylophone-quokka-marmalade"
    with running_service(environment(tmp_path, FREERECALL_LOG_LEVEL="debug")) as service:
        with closing(sqlite3.connect(tmp_path / "freerecall.db")) as database:
            database.execute("UPDATE card_versions SET content = ?", (f'{{"question": "{canary}"',))
            database.commit()
        api = httpx.get(f"{service.url}/api/v1/cards/mlops:container")
        page = httpx.get(f"{service.url}/cards/mlops:container")
        with closing(sqlite3.connect(tmp_path / "freerecall.db")) as database:
            database.execute("DROP TABLE grades")
        body = {"card_id": "mlops:container", "answer": canary, "client_answer_id": "1"}
        posted = httpx.post(f"{service.url}/api/v1/practice/answers", json=body)
        _, log = service.stop()
    for reply in (api, page, posted):
        assert reply.status_code == 500
        assert reply.headers["x-request-id"] in reply.text
        assert reply.headers["x-frame-options"] == "DENY"
        for word in (str(tmp_path), "Traceback", "freerecall.db", ".py", "json", "sqlite", canary):
            assert word not in reply.text.replace("application/json", "")
    assert api.headers["x-request-id"] in log
    assert "Traceback" in log
    assert canary not in log


def test_a_failure_leaves_the_connection_in_use(tmp_path: Path) -> None:
    with (
        running_service(environment(tmp_path)) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):

        def port(path: str, status: int) -> int:
            reply = client.get(path)
            assert reply.status_code == status
            taken: int = reply.extensions["network_stream"].get_extra_info("client_addr")[1]
            return taken

        first = port("/healthz", 200)
        with closing(sqlite3.connect(tmp_path / "freerecall.db")) as database:
            database.execute("UPDATE card_versions SET content = 'no card'")
            database.commit()
        assert [port("/api/v1/cards/mlops:container", 500) for _ in range(3)] == [first] * 3
        with closing(sqlite3.connect(tmp_path / "freerecall.db")) as database:
            database.execute("DROP TABLE sessions")
            database.commit()
        refused = client.get("/", headers={"cookie": "freerecall=unknown"})
        assert refused.status_code == 500, "a failure before any route is asked is told, too"
        assert "The database failed" in refused.text
        assert refused.headers["x-frame-options"] == "DENY"
        assert port("/healthz", 200) == first
