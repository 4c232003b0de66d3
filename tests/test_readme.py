"""What the README shows is what happens."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import freerecall as package
from service_process import environment, running_service
from terminal import Terminal

CHECKOUT = Path(package.__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the contents of the fenced blocks in `language`."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [content for name, content in fenced if name == language]


def test_the_deck_can_be_imported(freerecall: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "capitals.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")

    assert freerecall("import", path).out == "capitals: Capitals: 1 cards (1 added)\n"


def test_the_request_has_the_reply(tmp_path: Path) -> None:
    (request,) = (text for text in blocks("sh") if "curl" in text)
    (shown,) = (json.loads(text) for text in blocks("json"))
    body = json.loads(re.search(r"-d '(.*)'", request, re.DOTALL)[1])  # type: ignore[index]
    with running_service(environment(tmp_path)) as service:
        reply = httpx.post(f"{service.url}/api/v1/grade", json=body).json()

    def outline(grade: dict[str, Any]) -> list[object]:
        return [grade["rating"], *((part["verdict"], part["quote"]) for part in grade["evidence"])]

    assert shown.keys() <= reply.keys()
    assert outline(shown) == outline(reply)


def test_the_terminal_session_is_as_shown(freerecall: Terminal) -> None:
    (shown,) = (text for text in blocks("") if "q: quit" in text)
    answer = re.findall(r"^> (.+)$", shown, re.MULTILINE)

    done = freerecall("study", "mlops", typed="\n".join(answer) + "\n\nq\n")

    def lines(text: str) -> list[str]:
        steady = re.sub(r"score \S+ · confidence \S+", "", text.replace("> ", ""))
        return [line.rstrip() for line in steady.splitlines()]

    assert [line for line in lines(shown) if line not in (*lines(done.out), *answer, ">")] == []


@pytest.mark.parametrize("name", [*re.findall(r"`make ([a-z-]+)[^`]*`", README), "serve", "test"])
def test_every_target_exists(name: str) -> None:
    assert re.search(rf"^{name}:", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_file_that_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert [link for link in links if not (CHECKOUT / link).exists()] == []


def test_every_promise_has_its_test() -> None:
    promised = set(
        re.findall(r"`(test_\w+)`", (CHECKOUT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    )
    tests = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py"))
    assert len(promised) > 10
    assert {name for name in promised if f"def {name}(" not in tests} == set()
