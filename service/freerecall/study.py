"""Practice in the terminal: a question, a typed answer, its evidence, the next card."""

import asyncio
import contextlib
import time
import unicodedata
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from freerecall import library, practice
from freerecall.cards import Card
from freerecall.grades import RATING_NAMES, RATINGS, Evidence, GraderMode, Verdict
from freerecall.llm import LLM
from freerecall.practice import AnswerResult
from freerecall.store import Only, Session, Store
from freerecall.wording import changes, form_of, until

MARKS = {
    Verdict.COVERED: ("✓", "green"),
    Verdict.PARTIAL: ("◐", "yellow"),
    Verdict.MISSING: ("✗", "red"),
    Verdict.CONTRADICTED: ("⚠", "bold red"),
}
RATING_STYLES = {1: "bold red", 2: "red", 3: "yellow", 4: "green", 5: "bold green"}
LLM_DEADLINE_S = 20.0


class _QuitError(Exception):
    """The learner has had enough."""


COMMANDS = {
    ":d": "I don't know",
    ":h": "a hint; once more: first letters",
    ":s": "skip for ten minutes",
    ":b": "bury until tomorrow",
    ":x": "suspend",
    ":u": "undo the last answer",
    ":q": "quit",
    ":?": "this list",
}
_HOLDS = {":s": "skip", ":b": "bury", ":x": "suspend"}


class _Command(Exception):  # noqa: N818
    """The learner typed one of COMMANDS instead of an answer."""


def study(
    store: Store,
    deck_id: str | None,
    *,
    mode: GraderMode,
    llm: LLM | None,
    session: Session | None = None,
) -> None:
    """Ask what is due, then what is new, until nothing is left or the learner quits.

    Reads standard input and writes standard output, on a terminal or not.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing for input())
    console = Console(highlight=False, emoji=False, markup=False)
    # One event loop for the whole sitting: the model's connections belong to it.
    with asyncio.Runner() as runner, contextlib.suppress(_QuitError), _ended_line():
        chosen = session or Session()
        given: Card | None = None
        while True:
            upcoming = practice.next_card(store, deck_id, now=_now(), session=chosen)
            if given is None and upcoming.card is None:
                break
            card, given = given or upcoming.card, None
            assert card is not None  # noqa: S101  (one of the two is there)
            _show(console, Text(f"\n{upcoming.due} due · {upcoming.new} new", style="dim"))
            try:
                _ask(console, runner, store, card, mode, llm, chosen)
            except _Command as command:
                given = _obey(console, store, card, str(command))
        if upcoming.next_due is None:
            _show(console, Text("There is no card to practise here. Add a deck: freerecall import FILE"))
        else:
            _show(
                console,
                Text(f"\nNothing more is due. The next card comes {until(upcoming.next_due, _now())}."),
            )


@contextlib.contextmanager
def _ended_line() -> Iterator[None]:
    """Take the end of the input for the wish to stop, and end the line that the prompt began."""
    try:
        yield
    except EOFError:
        print()


def _obey(console: Console, store: Store, card: Card, command: str) -> Card | None:
    """Do what was typed instead of an answer; return the card to ask next, or None for the queue's."""
    if command == ":q":
        raise _QuitError
    if command == ":?":
        for key, what in COMMANDS.items():
            _show(console, Text.assemble("  ", (key, "bold"), f"  {what}"))
        return card
    if command in _HOLDS:
        library.hold(store, card.id, _HOLDS[command], now=_now())
        return None
    last = practice.last_result(store)
    if last is None:
        _show(console, Text("There is no answer to undo.", style="dim"))
        return card
    return practice.undo(store, last.answer_id)


def _ask(
    console: Console,
    runner: asyncio.Runner,
    store: Store,
    card: Card,
    mode: GraderMode,
    llm: LLM | None,
    session: Session,
    *,
    again: bool = False,
) -> None:
    hint = "; ".join(part for part in (form_of(card), "end with an empty line, or :? for help") if part)
    _show(console, Text(plain(card.question), style="bold"))
    _show(console, Text(f"({hint})", style="dim"))
    started = time.monotonic()
    level = 0
    while True:
        try:
            answer = _read_answer()
        except _Command as command:
            if str(command) != ":h":
                if str(command) != ":d":
                    raise
                answer = ""
                break
            level = min(level + 1, 2)
            points = library.hint(card, level)
            _show(console, Text(f"{len(points)} key point{'' if len(points) == 1 else 's'}", style="dim"))
            for line in points if level > 1 else ():
                _show(console, Text(f"  {plain(line)}", style="dim"))
        else:
            break
    result = practice.submit(
        store,
        card_id=card.id,
        answer=answer,
        client_answer_id=str(uuid.uuid4()),
        elapsed_ms=round((time.monotonic() - started) * 1000),
        mode=mode,
        now=_now(),
        scheduled=not again and session.only is not Only.CRAM,
        session=session.id,
        hints=level,
    )
    _show_result(console, result)
    if result.pending and llm is not None:
        _show(console, Text("Asking the model for a second look …", style="dim"))
        settling = practice.settle(store, result.answer_id, llm, mode, deadline_s=LLM_DEADLINE_S, now=_now())
        result = runner.run(settling)
        if result.grade.provisional:
            _show(console, Text("No word from the model; the grade above stands for now.", style="dim"))
        else:
            _show_result(console, result)
            for change in changes(result.earlier[-1], result.grade) if result.earlier else ():
                _show(
                    console, Text(f"  {plain(change.point)}: {change.before} → {change.after}", style="dim")
                )
    _show_card_back(console, result)
    if _choose(console, store, result):
        _ask(console, runner, store, card, mode, llm, session, again=True)


def _read_answer() -> str:
    """Read lines up to an empty one, or to the end of the input once there are some."""
    lines: list[str] = []
    while True:
        try:
            line = input("> ")
        except EOFError:
            if not lines:
                raise
            return "\n".join(lines)
        if not line.strip():
            return "\n".join(lines)
        if not lines and line.strip().lower() in COMMANDS:
            raise _Command(line.strip().lower())
        lines.append(line)


def _choose(console: Console, store: Store, result: AnswerResult) -> bool:
    """Let the learner rate, undo or go on; return whether to try the same card again."""
    while True:
        asked = "Enter: next card · 1-5: rate it yourself · r: try again · u: undo · q: quit "
        choice = input(asked).strip().lower()
        if choice == "":
            return False
        if choice in ("q", "quit"):
            raise _QuitError
        if choice == "r":
            return True
        if choice == "u":
            raise _Command(":u")
        if choice in {str(rating) for rating in RATINGS}:
            result = practice.override(store, result.answer_id, int(choice), now=_now())
            _show(console, Text.assemble("Yours: ", *_rating(result), f" · next {until(result.due, _now())}"))


def _show_result(console: Console, result: AnswerResult) -> None:
    grade = result.grade
    line = Text.assemble("\n", *_rating(result))
    line.append(f" · score {grade.score:.2f} · confidence {grade.confidence:.2f}", style="dim")
    if grade.provisional:
        line.append(" · provisional", style="dim yellow")
    _show(console, line)
    for evidence in grade.evidence:
        _show(console, _evidence(evidence))
    if grade.feedback:
        _show(console, Text(plain(grade.feedback)))


def _show_card_back(console: Console, result: AnswerResult) -> None:
    _show(console, Text.assemble(("Reference: ", "dim"), plain(result.card.reference)))
    if result.card.footnote:
        _show(console, Text.assemble(("Note: ", "dim"), plain(result.card.footnote)))
    _show(console, Text.assemble(("Next: ", "dim"), until(result.due, _now())))


def _rating(result: AnswerResult) -> list[tuple[str, str]]:
    return [(f"{result.rating}/5 {RATING_NAMES[result.rating]}", RATING_STYLES[result.rating])]


def _evidence(evidence: Evidence) -> Text:
    mark, style = MARKS[evidence.verdict]
    line = Text.assemble("  ", (mark, style), " ", plain(evidence.point))
    if evidence.quote:
        line.append(f"  “{plain(evidence.quote)}”", style="italic dim")
    return line


def _show(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=not console.is_terminal)


def plain(text: str) -> str:
    """Return `text` without control characters: a deck must not steer the terminal."""
    return "".join(
        "\ufffd" if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" else char
        for char in text
    )


def _now() -> datetime:
    return datetime.now(UTC)
