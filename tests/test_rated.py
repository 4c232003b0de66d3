"""Answers that people rated: what they say of the next one, in the grader, in practice and in a class."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freerecall import exams, papers, practice
from freerecall.cards import Card, Deck
from freerecall.grades import GraderMode, RatedAnswer
from freerecall.grading import ad_hoc_card, grade_embedded
from freerecall.grading.rated import log_odds
from freerecall.papers import Spec
from freerecall.store import Store
from terminal import Terminal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = ad_hoc_card("Why do leaves change colour?", "Chlorophyll breaks down and other pigments show.")
OWN_WORDS = "the green stuff goes and then yellow"
NO = [
    RatedAnswer("because it gets cold outside", 1),
    RatedAnswer("the tree is asleep because it is cold", 1),
    RatedAnswer("it is cold and dark in autumn", 1),
    RatedAnswer("cold weather outside in autumn", 1),
]
YES = [
    RatedAnswer("the green goes away and yellow can be seen", 5),
    RatedAnswer("green disappears so you see the yellow that was there", 5),
    RatedAnswer("the green stuff goes and the yellow is seen", 5),
    RatedAnswer("yellow was always there, the green stuff went away", 5),
]


def test_alike_answers_that_people_rated_settle_it_and_the_learner_is_told() -> None:
    alone = grade_embedded(CARD, OWN_WORDS)
    taught = grade_embedded(CARD, OWN_WORDS, [*YES, *NO])
    assert alone.rating <= 3 < taught.rating
    assert "as people rated" in taught.feedback
    assert "as people rated" not in alone.feedback
    assert grade_embedded(CARD, "it is very cold outside", [*YES, *NO]).rating == 1


def test_an_answer_that_was_rated_gets_that_rating_again() -> None:
    assert grade_embedded(CARD, OWN_WORDS, [RatedAnswer(OWN_WORDS.upper(), 5)]).rating == 5


def test_a_vote_of_one_mind_teaches_nothing_about_other_answers() -> None:
    flattered = [RatedAnswer(one.text, 5) for one in NO]
    assert not log_odds("the leaves are cold", flattered).any()


def test_a_negation_more_is_not_the_same_answer() -> None:
    denied = [RatedAnswer("the chlorophyll does not break down", 1)]
    assert grade_embedded(CARD, "the chlorophyll breaks down", denied).rating >= 3


@given(
    st.text(max_size=60),
    st.lists(st.builds(RatedAnswer, st.text(max_size=40), st.integers(1, 5)), max_size=8),
)
def test_any_ratings_give_falling_odds(answer: str, rated: list[RatedAnswer]) -> None:
    odds = log_odds(answer, rated)
    assert odds.shape == (4,)
    assert (odds[:-1] >= odds[1:] - 1e-5).all()
    assert (abs(odds) < 6).all()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(tmp_path / "f.db")
    store.put_deck(Deck("b", "Biology", (Card("b:leaves", CARD.question, CARD.reference),)))
    return store


def test_what_a_learner_rated_once_counts_when_typed_again(store: Store) -> None:
    def answer(key: str, now: datetime) -> practice.AnswerResult:
        return practice.submit(
            store,
            card_id="b:leaves",
            answer=OWN_WORDS,
            client_answer_id=key,
            elapsed_ms=None,
            mode=GraderMode.EMBEDDED,
            now=now,
        )

    first = answer("1", NOW)
    assert first.rating < 4
    practice.override(store, first.answer_id, 5, "in other words", now=NOW)
    assert answer("2", NOW + timedelta(days=3)).grade.rating == 5
    other = Card("b:leaves", CARD.question, "The tree takes its sugar back.")
    store.put_deck(Deck("b", "Biology", (other,)))
    again = answer("3", NOW + timedelta(days=9)).grade
    assert again.score == grade_embedded(other, OWN_WORDS).score, "the card says something else now"


def test_a_teachers_marks_count_for_the_rest_of_the_class(store: Store) -> None:
    paper = papers.compose(store, Spec(decks=("b",), count=1), now=NOW)

    def sit(name: str, text: str) -> str:
        sitting = exams.start(store, paper.id, name, now=NOW)
        exams.save(store, sitting.id, 1, text, revision=1, now=NOW)
        exams.submit(store, sitting.id, now=NOW)
        exams.grade_at_once(store, sitting.id, GraderMode.EMBEDDED, now=NOW)
        return sitting.id

    late = sit("Zoe", OWN_WORDS)
    before = exams.report(store, late).items[0].grade
    for number, one in enumerate([*YES, *NO]):
        exams.mark(store, sit(f"learner {number}", one.text), 1, one.rating, "", now=NOW)
    assert exams.regrade(store, paper.id, now=NOW) >= 1
    after = exams.report(store, late).items[0].grade
    assert before is not None
    assert after is not None
    assert before.rating <= 3 < after.rating
    assert exams.regrade(store, paper.id, now=NOW) == 0, "again changes nothing"


def test_rated_answers_come_with_a_row_or_in_a_file(tmp_path: Path, freerecall: Terminal) -> None:
    row = {"question": CARD.question, "reference": CARD.reference}
    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps({**row, "id": 1, "answer": OWN_WORDS, "gold": 5}) + "\n")
    rated = tmp_path / "rated.jsonl"
    others = [
        {**row, "id": f"r{n}", "answer": one.text, "gold": one.rating} for n, one in enumerate([*YES, *NO])
    ]
    others.append({**row, "id": 1, "answer": OWN_WORDS, "gold": 1})
    rated.write_text("".join(json.dumps(one) + "\n" for one in others))
    out = tmp_path / "figures.json"
    assert freerecall("eval", str(gold), "--rated", str(rated), "--json", str(out)).code == 0
    assert json.loads(out.read_text())["ratings"]["mae"]["value"] <= 1, "its own rating is not looked up"

    source, graded = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    taught = [{"answer": one.text, "rating": one.rating} for one in [*YES, *NO]]
    lines = [
        {**row, "id": "taught", "answer": OWN_WORDS, "rated": taught},
        {**row, "id": "bad", "answer": OWN_WORDS, "rated": [{"answer": "x", "rating": 9}]},
    ]
    source.write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert freerecall("grade-batch", str(source), "--out", str(graded)).code in (0, 1)
    good, bad = map(json.loads, graded.read_text().splitlines())
    assert good["rating"] >= 4
    assert '"rating"' in bad["error"]
