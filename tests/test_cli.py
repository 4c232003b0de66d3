"""The `freerecall` command: decks, help, and what a user sees when something is wrong."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from freerecall import __version__
from service_process import environment
from terminal import Terminal

DECK = """
id = "capitals"
title = "Capitals"

[[cards]]
id = "france"
question = "What is the capital of France?"
reference = "Paris"

[[cards]]
id = "seats"
kind = "list"
question = "Where does the European Parliament meet?"
reference = "Strasbourg and Brussels"
points = ["Strasbourg", "Brussels"]
footnote = "Its secretariat is in Luxembourg."
"""

COMMANDS = ("grade-batch", "eval", "import", "export", "decks", "study")


@pytest.fixture
def deck_file(tmp_path: Path) -> Path:
    path = tmp_path / "capitals.toml"
    path.write_text(DECK, encoding="utf-8")
    return path


def test_version(freerecall: Terminal) -> None:
    done = freerecall("--version")

    assert (done.code, done.out) == (0, f"freerecall {__version__}\n")


def test_help_names_every_command(freerecall: Terminal) -> None:
    done = freerecall("--help")

    assert done.code == 0
    assert [name for name in COMMANDS if name not in done.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(freerecall: Terminal, command: str) -> None:
    done = freerecall(command, "--help")

    assert done.code == 0
    assert "Usage:" in done.out


def test_help_imports_nothing_slow() -> None:
    script = (
        "import sys; from freerecall import cli; sys.argv = ['freerecall', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    slow = {"fastapi", "litellm", "numpy", "openai", "rich.console", "sqlite_utils", "uvicorn", "wordllama"}
    assert slow & set(done.stdout.splitlines()) == set()


def test_the_bundled_deck_is_there_from_the_start(freerecall: Terminal) -> None:
    done = freerecall("decks")

    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["ID", "CARDS", "DUE", "NEW", "TITLE"]
    assert "mlops" in done.out


def test_import_twice_changes_nothing(freerecall: Terminal, deck_file: Path) -> None:
    first = freerecall("import", deck_file)
    second = freerecall("import", deck_file)

    assert first.out == "capitals: Capitals: 2 cards (2 added)\n"
    assert second.out == "capitals: Capitals: 2 cards (2 unchanged)\n"


def test_import_of_an_edited_deck_says_what_changed(freerecall: Terminal, deck_file: Path) -> None:
    freerecall("import", deck_file)
    edited = DECK.replace('"Paris"', '"Paris, on the Seine"')
    deck_file.write_text(edited[: edited.rindex("[[cards]]")], encoding="utf-8")

    done = freerecall("import", deck_file)

    assert done.out == "capitals: Capitals: 1 cards (1 changed, 1 removed)\n"


def test_export_can_be_imported_again(freerecall: Terminal, deck_file: Path, tmp_path: Path) -> None:
    freerecall("import", deck_file)
    exported = freerecall("export", "capitals", "--format", "toml")
    copy = tmp_path / "copy.toml"
    copy.write_text(exported.out, encoding="utf-8")

    done = freerecall("import", copy)

    assert exported.code == 0
    assert done.out == "capitals: Capitals: 2 cards (2 unchanged)\n"


def test_data_is_taken_before_or_after_the_command(
    freerecall: Terminal, deck_file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    freerecall("import", deck_file, "--data", elsewhere)

    assert "capitals" in freerecall("--data", elsewhere, "decks").out
    assert "capitals" in freerecall("decks", "--data", elsewhere).out
    assert "capitals" not in freerecall("decks").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "missing.toml"], "missing.toml"),
        (["export", "no-such-deck"], "no-such-deck"),
        (["export", "mlops", "--format", "papyrus"], "papyrus"),
        (["study", "no-such-deck"], "no-such-deck"),
        (["grade-batch", "missing.jsonl", "--out", "out.jsonl"], "missing.jsonl"),
        (["eval", "missing.jsonl"], "missing.jsonl"),
        (["grade-batch", "missing.jsonl", "--out", "out.jsonl", "--grader", "llm"], "--model"),
        (["study", "--grader", "llm"], "--model"),
    ],
)
def test_what_goes_wrong_is_one_line(freerecall: Terminal, arguments: list[str], told: str) -> None:
    done = freerecall(*arguments)

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("freerecall: ")
    assert done.err.count("\n") == 1
    assert told in done.err


def test_a_malformed_deck_names_the_line_and_imports_nothing(freerecall: Terminal, deck_file: Path) -> None:
    deck_file.write_text(DECK + "\n[[cards]]\nquestion = \n", encoding="utf-8")

    done = freerecall("import", deck_file)

    line = len(deck_file.read_text(encoding="utf-8").splitlines())
    assert done.code == 2
    assert f"capitals.toml:{line}: " in done.err
    assert "capitals" not in freerecall("decks").out


def test_a_data_folder_that_cannot_be_made_is_told(freerecall: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = freerecall("decks", "--data", tmp_path / "file" / "data")

    assert done.code == 2
    assert done.err.count("\n") == 1
    assert str(tmp_path / "file") in done.err


@pytest.mark.parametrize("arguments", [["no-such-command"], ["grade-batch"], ["decks", "--no-such-option"]])
def test_wrong_usage_shows_the_usage(freerecall: Terminal, arguments: list[str]) -> None:
    done = freerecall(*arguments)

    assert done.code == 2
    assert "Usage:" in done.err


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "freerecall", "study", "mlops"],
        env=environment(tmp_path / "data", PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        seen = b""
        while not seen.endswith(b"> "):
            read = os.read(process.stdout.fileno(), 4096)
            assert read, process.stderr.read().decode() if process.stderr else ""
            seen += read
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in told


def test_a_closed_pipe_leaves_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "freerecall", "export", "mlops"],
        env=environment(tmp_path / "data"),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writer)

    assert done.returncode != 0
    assert done.stderr == ""
