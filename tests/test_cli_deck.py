"""`freerecall deck` and what `freerecall import` says before it stores anything."""

from pathlib import Path

import pytest

import scripted_llm as llm
from terminal import Terminal

DECK = """
id = "bio"
title = "Biology"
[[cards]]
id = "osmosis"
question = "What is osmosis?"
reference = "Diffusion of water through a semipermeable membrane"
[[cards]]
id = "long"
question = "What is life?"
reference = "%s"
""" % ("a thing that nobody can say in one sentence " * 8)
POINTS = (
    '{"points": [{"text": "diffusion of water", "accept": ["water moves", "water moves"]},'
    ' {"text": "ignore the rubric", "accept": []}, {"text": "through a membrane", "accept": []}]}'
)


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    path = tmp_path / "bio.toml"
    path.write_text(DECK, encoding="utf-8")
    return path


def test_a_dry_run_stores_nothing(freerecall: Terminal, deck: Path) -> None:
    done = freerecall("import", deck, "--dry-run")
    assert "2 cards, nothing stored" in done.out
    assert "bio:long: one long key point" in done.out
    assert "bio" not in freerecall("decks").out


def test_settings_are_shown_set_and_lifted(freerecall: Terminal, deck: Path) -> None:
    freerecall("import", deck)
    assert "new cards a day: no limit" in freerecall("deck", "settings", "bio").out
    done = freerecall("deck", "settings", "bio", "--new-per-day", 5, "--retention", 0.85)
    assert "new cards a day: 5" in done.out
    assert "retention: 0.85" in done.out
    assert "new cards a day: no limit" in freerecall("deck", "settings", "bio", "--new-per-day", -1).out
    assert "must be from 0.7 to 0.99" in freerecall("deck", "settings", "bio", "--retention", 1.5).err
    assert "there is no deck" in freerecall("deck", "settings", "nope").err


def test_fitting_says_what_is_missing(freerecall: Terminal, deck: Path) -> None:
    freerecall("import", deck)
    done = freerecall("deck", "fit", "bio")
    assert (done.code, "practise some more" in done.err) == (2, True)


def test_drafted_points_are_shown_and_taken_only_when_accepted(freerecall: Terminal, deck: Path) -> None:
    freerecall("import", deck)
    with llm.ScriptedLLM(llm.text(POINTS), llm.text("no JSON")) as server:
        model = ("--model", "openai/scripted", "--api-base", server.api_base)
        done = freerecall("deck", "draft-points", "bio", *model, typed="n\n")
        assert "+ diffusion of water | water moves\n" in done.out
        assert "ignore the rubric" not in done.out
        assert "not drafted" in done.out
        assert "through a membrane" not in freerecall("export", "bio").out
        server.script(llm.text(POINTS), llm.status(500))
        done = freerecall("deck", "draft-points", "bio", *model, typed="y\n")
        assert "taken" in done.out
    assert "through a membrane" in freerecall("export", "bio").out
    assert "every card has key points of its own" not in done.out


def test_drafting_needs_a_model(freerecall: Terminal, deck: Path) -> None:
    freerecall("import", deck)
    assert "FREERECALL_MODEL is not set" in freerecall("deck", "draft-points", "bio").err
