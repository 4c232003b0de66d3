"""Every test gets its own data folder, and settings of its own choosing only."""

import os
import platform
import signal
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from local_llm import local_llm as local_llm
from terminal import Terminal

LIBRARIES = ("fastapi", "fsrs", "litellm", "openai", "rapidfuzz", "sqlite-utils", "uvicorn", "wordllama")
FOREIGN = (
    "OPENAI_",
    "ANTHROPIC_",
    "GEMINI_",
    "GOOGLE_",
    "AZURE_",
    "MISTRAL_",
    "GROQ_",
    "OPENROUTER_",
    "LITELLM_",
)
KEPT = ("FREERECALL_GOLD",)

# Started in the background, tests would inherit an ignored Ctrl-C, and pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def isolated_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point FREERECALL_DATA at a new folder and drop every other setting and provider's key."""
    for name in os.environ:
        if name.startswith(("FREERECALL_", *FOREIGN)) and name not in KEPT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("FREERECALL_DATA", str(tmp_path / "data"))


def pytest_report_header() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"python {platform.python_version()}, sqlite {sqlite3.sqlite_version}, {libraries}"


@pytest.fixture
def freerecall(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line: `freerecall("decks")`."""
    return Terminal(monkeypatch, capsys)
