"""Self-tests: composed, sat, closed, graded, marked, reported; alone and for a class."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scripted_llm as scripted
from freerecall import classes, exams, papers
from freerecall.cards import Card, Deck, KeyPoint, Kind
from freerecall.errors import ConflictError, InputError, NotFoundError
from freerecall.evaluation.rows import Row, read_rows
from freerecall.grades import GraderMode
from freerecall.llm import LLM
from freerecall.papers import Paper, Spec
from freerecall.store import Sitting, Store

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CARDS = tuple(
    Card(
        f"c:{number}",
        f"Name the two parts of thing {word}.",
        f"{word} head and {word} tail",
        Kind.LIST,
        (KeyPoint(f"{word} head"), KeyPoint(f"{word} tail")),
        tags=("even" if number % 2 == 0 else "odd",),
    )
    for number, word in enumerate(["alpha", "beta", "gamma", "delta", "omega", "sigma"])
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "f.db") as store:
        store.put_deck(Deck("c", "Things", CARDS))
        yield store


def compose(store: Store, **spec: object) -> Paper:
    return papers.compose(store, Spec(**{"decks": ("c",), "count": 3, **spec}), now=NOW)  # type: ignore[arg-type]


def sit(store: Store, paper: Paper, name: str = "Ada", share: float = 1.0, *, now: datetime = NOW) -> Sitting:
    """Answer the first `share` of the questions in full and hand in."""
    sitting = exams.start(store, paper.id, name, now=now)
    for number, question in enumerate(paper.questions, 1):
        text = question.card.reference if number <= share * len(paper.questions) else "the weather"
        exams.save(store, sitting.id, number, text, revision=1, now=now + MINUTE)
    return exams.submit(store, sitting.id, now=now + 2 * MINUTE)


def graded(store: Store, sitting: Sitting) -> exams.Report:
    assert exams.grade_at_once(store, sitting.id, GraderMode.EMBEDDED, now=NOW)
    return exams.report(store, sitting.id)


def test_the_same_seed_draws_the_same_paper_and_its_file_asks_it_again(store: Store, tmp_path: Path) -> None:
    one, two, other = compose(store, seed=1), compose(store, seed=1), compose(store, seed=2)
    assert one.questions == two.questions != other.questions
    with Store.open(tmp_path / "other.db") as elsewhere:
        again = papers.put_paper(elsewhere, papers.dump_paper(one), now=NOW)
        assert again == one
        assert papers.put_paper(elsewhere, papers.dump_paper(one), now=NOW) == one


def test_a_paper_is_narrowed_and_weighted(store: Store) -> None:
    paper = compose(store, tags=("odd",), count=50, weights={"list": 2.5})
    assert {question.card.tags for question in paper.questions} == {("odd",)}
    assert {question.weight for question in paper.questions} == {2.5}
    with pytest.raises(InputError, match="no card fits"):
        compose(store, kinds=("cloze",))
    with pytest.raises(NotFoundError):
        compose(store, decks=("none",))


@pytest.mark.parametrize(
    "bad",
    [
        {"count": 0},
        {"minutes": -1},
        {"pass_mark": 2.0},
        {"title": " "},
        {"kinds": ("essay",)},
        {"weights": {"list": 0}},
    ],
)
def test_a_spec_out_of_range_is_refused(store: Store, bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        compose(store, **bad)


@given(st.one_of(st.text(max_size=80), st.recursive(st.none() | st.integers(), st.lists).map(json.dumps)))
def test_no_file_crashes_the_reader_of_papers(text: str) -> None:
    with pytest.raises(InputError):
        papers.load_paper(text)


def test_what_is_typed_last_is_kept_whatever_arrives_last(store: Store) -> None:
    sitting = exams.start(store, compose(store).id, "Ada", now=NOW)
    assert exams.save(store, sitting.id, 1, "second", revision=2, now=NOW)
    assert not exams.save(store, sitting.id, 1, "first", revision=1, now=NOW)
    assert exams.save(store, sitting.id, 2, "flag", revision=1, flagged=True, now=NOW)
    typed = store.sitting_answers(sitting.id)
    assert (typed[1].text, typed[2].flagged) == ("second", True)
    for number in (0, 4):
        with pytest.raises(InputError):
            exams.save(store, sitting.id, number, "x", revision=1, now=NOW)
    with pytest.raises(InputError):
        exams.start(store, compose(store).id, "  ", now=NOW)


def test_it_closes_at_its_time_with_what_was_typed(store: Store) -> None:
    paper = compose(store, minutes=10)
    sitting = exams.start(store, paper.id, "Ada", now=NOW)
    exams.save(store, sitting.id, 1, "in time", revision=1, now=NOW + 10 * MINUTE + timedelta(seconds=5))
    assert exams.close_overdue(store, now=NOW + 10 * MINUTE) == 0
    with pytest.raises(ConflictError, match="closed"):
        exams.save(store, sitting.id, 1, "too late", revision=2, now=NOW + 11 * MINUTE)
    closed = store.sitting(sitting.id)
    assert closed.submitted_at == NOW + 10 * MINUTE
    assert store.sitting_answers(sitting.id)[1].text == "in time"
    other = exams.start(store, paper.id, "Bob", now=NOW)
    assert exams.close_overdue(store, now=NOW + 12 * MINUTE) == 1
    assert store.sitting(other.id).submitted_at == NOW + 10 * MINUTE


def test_handing_in_twice_counts_once(store: Store) -> None:
    sitting = sit(store, compose(store))
    assert exams.submit(store, sitting.id, now=NOW + 9 * MINUTE).submitted_at == sitting.submitted_at
    with pytest.raises(ConflictError):
        exams.save(store, sitting.id, 1, "more", revision=9, now=NOW)


def test_a_report_tells_score_interval_and_groups(store: Store) -> None:
    paper = compose(store, count=6)
    found = graded(store, sit(store, paper, share=0.5))
    low, high = found.interval
    assert (found.share, found.final, found.passed) == (0.5, True, False)
    assert 0 <= low < 0.5 < high <= 1
    assert found.by("kind") == [("list", 0.5, 6)]
    assert sum(count for _, _, count in found.by("tag")) == 6
    with pytest.raises(ConflictError):
        exams.report(store, exams.start(store, paper.id, "Eve", now=NOW).id)


def test_grading_goes_on_where_it_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting = sit(store, compose(store))
    add, seen = store.add_sitting_grade, []

    def dies(*given: object) -> None:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(given)
        add(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "add_sitting_grade", dies)
    with pytest.raises(KeyboardInterrupt):
        exams.grade_at_once(store, sitting.id, GraderMode.EMBEDDED, now=NOW)
    monkeypatch.undo()
    assert store.ungraded_sittings(10) == [sitting.id]
    found = graded(store, sitting)
    assert [len(item.grades) for item in found.items] == [1, 1, 1]
    assert store.ungraded_sittings(10) == []


def test_the_model_settles_provisional_grades_and_both_are_kept(store: Store) -> None:
    sitting = sit(store, compose(store), share=0)
    with scripted.ScriptedLLM(scripted.status(500), scripted.covered()) as server:
        llm = LLM("openai/scripted", server.api_base, "k", prompt="rubric-v1", retries=0)

        async def ask() -> bool:
            mode = GraderMode.LLM
            return await exams.ask_model(store, sitting.id, mode, llm, deadline_s=30, now=NOW)

        assert not exams.grade_at_once(store, sitting.id, GraderMode.LLM, now=NOW)
        assert not exams.report(store, sitting.id).final
        asyncio.run(ask())
        llm = LLM("openai/scripted", server.api_base, "k", prompt="rubric-v1")
        assert asyncio.run(ask())
    found = exams.report(store, sitting.id)
    assert found.final
    assert all(len(item.grades) == 2 for item in found.items)


def test_marks_stand_and_appeals_come_first(store: Store) -> None:
    paper = compose(store)
    found = graded(store, sit(store, paper, share=0))
    sitting = found.sitting.id
    exams.appeal(store, sitting, 2, "I meant the head", now=NOW)
    queue = classes.review_queue([exams.report(store, sitting)])
    assert (queue[0].item.number, queue[0].why) == (2, "appeal")
    exams.mark(store, sitting, 2, 4, "fair enough", now=NOW + MINUTE)
    marked = exams.report(store, sitting)
    assert (marked.items[1].rating, marked.items[1].points) == (4, 0.75)
    assert 2 not in {row.item.number for row in classes.review_queue([marked])}
    for wrong in ((sitting, 9, 3), (sitting, 1, 7)):
        with pytest.raises(InputError):
            exams.mark(store, *wrong, now=NOW)
    with pytest.raises(InputError):
        exams.appeal(store, sitting, 1, " ", now=NOW)


def test_a_class_is_described_question_by_question(store: Store) -> None:
    paper = compose(store, count=4)
    code = papers.publish(store, paper.id)
    assert papers.publish(store, paper.id) == code
    assert store.paper_of_code(code) == paper.id
    for name, share in (("Ada", 1.0), ("Bob", 0.5), ("Cleo", 0.5), ("Dan", 0.0)):
        graded(store, sit(store, paper, name, share))
    found = classes.reports(store, paper.id)
    figures = classes.question_figures(found)
    assert figures[0].difficulty == 0.75 > figures[3].difficulty == 0.25
    assert all(row.discrimination is not None and row.discrimination > 0.5 for row in figures)
    assert figures[3].wrong == (("the weather", 3),)
    assert {n for _, n in figures[3].missed} == {3}
    assert classes.agreement(found) is None
    ids = {report.sitting.name: report.sitting.id for report in found}
    exams.mark(store, ids["Ada"], 1, 5, now=NOW)
    exams.mark(store, ids["Dan"], 1, 3, now=NOW)
    agreed = classes.agreement(classes.reports(store, paper.id))
    assert agreed is not None
    assert (agreed.marks, agreed.exact, agreed.within_one) == (2, 0.5, 0.5)
    assert agreed.low < 0.5 < agreed.high
    assert agreed.more > 300


def test_marks_become_gold_rows_that_the_evaluation_reads(store: Store, tmp_path: Path) -> None:
    found = graded(store, sit(store, compose(store)))
    exams.mark(store, found.sitting.id, 1, 4, now=NOW)
    path = tmp_path / "gold.jsonl"
    path.write_text(classes.gold_rows([exams.report(store, found.sitting.id)]), encoding="utf-8")
    (row,) = read_rows(path, gold=True)
    assert isinstance(row, Row)
    assert (row.gold, row.answer) == (4, found.items[0].answer)


def test_the_gradebook_runs_no_formula(store: Store) -> None:
    found = graded(store, sit(store, compose(store), "=cmd|'/c calc'!A1"))
    assert classes.gradebook([found]).splitlines()[1].startswith("\"'=") or "'=cmd" in classes.gradebook(
        [found]
    )
    assert "100.0" in classes.gradebook([found])


def test_answers_feed_the_schedule_once_and_only_when_asked(store: Store) -> None:
    found = graded(store, sit(store, compose(store)))
    assert store.db["reviews"].count == 0
    assert exams.feed_schedule(store, found.sitting.id, now=NOW) == 3
    assert exams.feed_schedule(store, found.sitting.id, now=NOW) == 0
    assert store.db["reviews"].count == 3


def test_the_terminal_composes_sits_and_reports(freerecall: object, tmp_path: Path) -> None:
    run = freerecall
    paper = tmp_path / "paper.json"
    done = run("exam", "new", "--out", paper, "--deck", "mlops", "--count", 2, "--seed", 4)  # type: ignore[operator]
    assert done.out == f"2 questions in {paper}\n"
    assert "written as list=2" in run("exam", "new", "--out", paper, "--weight", "list").err  # type: ignore[operator]
    heavy = run("exam", "new", "--out", paper, "--weight", "list=3", "--kind", "list", "--count", 2)  # type: ignore[operator]
    assert heavy.code == 0
    assert {row["weight"] for row in json.loads(paper.read_text())["questions"]} == {3.0}
    done = run("exam", "run", paper, typed="no idea\n\nsomething\n\n")  # type: ignore[operator]
    assert "not passed" in done.out
    sitting = done.out.split("sitting ")[1].split()[0]
    again = run("exam", "report", sitting, "--schedule")  # type: ignore[operator]
    assert "2 answers count as reviews" in again.out
    assert "no such file" in run("exam", "run", tmp_path / "none.json").err  # type: ignore[operator]


def test_no_id_looks_like_an_option(store: Store) -> None:
    papers_made = [compose(store) for _ in range(200)]
    ids = [paper.id for paper in papers_made]
    ids += [exams.start(store, papers_made[0].id, f"learner {n}", now=NOW).id for n in range(200)]
    assert all(one.isalnum() for one in ids)
