"""Practice in the terminal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from freerecall.study import plain
from freerecall.wording import until
from terminal import Terminal

DECK = """
id = "capitals"
title = "Capitals"

[[cards]]
id = "france"
question = "What is the capital of France?"
reference = "Paris"
footnote = "On the Seine."

[[cards]]
id = "seats"
kind = "list"
question = "Where does the European Parliament meet?"
reference = "Strasbourg and Brussels"
points = ["Strasbourg", "Brussels"]
"""

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def study(freerecall: Terminal, tmp_path: Path) -> Terminal:
    path = tmp_path / "capitals.toml"
    path.write_text(DECK, encoding="utf-8")
    assert freerecall("import", path).code == 0
    return freerecall


def test_a_full_answer_is_rated_and_scheduled(study: Terminal) -> None:
    done = study("study", "capitals", typed="Paris\n\nq\n")

    assert done.code == 0
    assert "What is the capital of France?" in done.out
    assert "5/5 perfectly" in done.out
    assert "✓ Paris  “Paris”" in done.out
    assert "Reference: Paris" in done.out
    assert "Note: On the Seine." in done.out
    assert "Next: in " in done.out


def test_an_answer_may_have_several_lines(study: Terminal) -> None:
    done = study("study", "capitals", typed="Paris\n\n\nStrasbourg\nBrussels\n\n\n")

    assert "✓ Strasbourg  “Strasbourg”" in done.out
    assert "✓ Brussels  “Brussels”" in done.out
    assert "Nothing more is due. The next card comes in " in done.out


def test_what_is_missing_is_marked(study: Terminal) -> None:
    done = study("study", "capitals", typed="Paris\n\n\nStrasbourg\n\nq\n")

    assert "✓ Strasbourg" in done.out
    assert "✗ Brussels" in done.out


def test_no_answer_is_rated_one(study: Terminal) -> None:
    done = study("study", "capitals", typed="\nq\n")

    assert "1/5 not at all" in done.out


def test_a_rating_can_be_overridden(study: Terminal) -> None:
    done = study("study", "capitals", typed="the Louvre\n\nseven\n5\n\nq\n")

    assert "Yours: 5/5 perfectly" in done.out
    assert "Where does the European Parliament meet?" in done.out


def test_the_end_of_the_input_ends_it(study: Terminal) -> None:
    done = study("study", "capitals", typed="Paris")

    assert done.code == 0
    assert "5/5 perfectly" in done.out


def test_what_was_answered_is_kept(study: Terminal) -> None:
    study("study", "capitals", typed="Paris\n\nq\n")

    done = study("study", "capitals", typed="q\n")

    assert "What is the capital of France?" not in done.out


def test_all_decks_are_practised_without_a_name(study: Terminal) -> None:
    assert "(" in study("study", typed="").out


def test_a_model_that_cannot_be_reached_leaves_a_provisional_grade(study: Terminal) -> None:
    options = ("--grader", "llm", "--model", "openai/none", "--api-base", "http://127.0.0.1:9/v1")

    done = study("study", "capitals", *options, typed="Paris, I think\n\nq\n")

    assert done.code == 0
    assert "provisional" in done.out
    assert "stands for now" in done.out


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=-1), "now"),
        (timedelta(seconds=50), "in a minute"),
        (timedelta(minutes=1), "in 1 minute"),
        (timedelta(minutes=10), "in 10 minutes"),
        (timedelta(minutes=59.5), "in 1 hour"),
        (timedelta(hours=5), "in 5 hours"),
        (timedelta(days=1), "in 1 day"),
        (timedelta(days=8, hours=2), "in 8 days"),
    ],
)
def test_until_is_said_in_words(left: timedelta, said: str) -> None:
    assert until(NOW + left, NOW) == said


def test_a_deck_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[2Jb\x07\u009bc\nd\té") == "a\ufffd[2Jb\ufffd\ufffdc\nd\té"


def test_hints_come_before_the_answer(study: Terminal) -> None:
    done = study("study", "capitals", "--tag", "", typed=":h\n:h\nParis\n\nq\n")
    assert "1 key point" in done.out
    assert "P····" in done.out
    assert "5/5" in done.out


def test_commands_put_a_card_aside_or_show_themselves(study: Terminal) -> None:
    done = study("study", "capitals", typed=":?\n:b\n:d\n\nq\n")
    assert "bury until tomorrow" in done.out
    assert "Where does the European Parliament meet?" in done.out
    assert "1/5" in done.out


def test_undo_asks_the_card_again(study: Terminal) -> None:
    done = study("study", "capitals", typed="London\n\nu\nParis\n\nq\n")
    assert done.out.count("What is the capital of France?") == 2
    assert "5/5" in done.out
    done = study("study", "capitals", typed=":u\nParis\n\n:q\n")
    assert done.out.count("What is the capital of France?") == 1


def test_nothing_to_undo(study: Terminal) -> None:
    assert "no answer to undo" in study("study", "capitals", typed=":u\n:q\n").out


def test_another_try_is_no_review(study: Terminal) -> None:
    done = study("study", "capitals", typed="London\n\nr\nParis\n\n\n:q\n")
    assert done.out.count("What is the capital of France?") == 2
    assert "1 due" not in done.out
    assert "Where does the European Parliament meet?" in done.out


def test_cramming_and_its_end(study: Terminal) -> None:
    typed = "Paris\n\n\n" * 2
    done = study("study", "capitals", "--only", "cram", "--seed", "2", typed=typed)
    assert "There is no card to practise here" in done.out
    assert "0  " in study("decks").out
    assert study("study", "--only", "all sorts").err.startswith("freerecall: --only is 'all sorts'")
