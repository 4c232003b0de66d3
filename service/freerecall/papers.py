"""Exam papers: drawn from decks by a spec, kept as a file that asks the same questions again."""

import json
import random
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from freerecall.cards import Card, Kind
from freerecall.errors import InputError, NotFoundError
from freerecall.store import Store
from freerecall.store.rows import dump_card, load_card

MAX_QUESTIONS = 200
MAX_MINUTES = 24 * 60
MAX_TITLE = 200
_CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a paper is composed of. No deck, tag or kind: any. `weights` by kind, 1 where none is given.

    `minutes` 0: no limit. `pass_mark` is a share of the points, 0–1. The same `seed` and decks give
    the same paper.
    """

    decks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    count: int = 10
    weights: dict[str, float] = field(default_factory=dict)
    minutes: int = 0
    pass_mark: float = 0.6
    seed: int = 0
    title: str = "Self-test"


@dataclass(frozen=True, slots=True)
class Question:
    """A card as it was when the paper was made, and what it counts."""

    card: Card
    weight: float


@dataclass(frozen=True, slots=True)
class Paper:
    """A spec with the questions that were drawn for it. `code`: how a class finds it."""

    id: str
    spec: Spec
    questions: tuple[Question, ...]
    code: str | None = None


def compose(store: Store, spec: Spec, *, now: datetime, learner: str = "local") -> Paper:
    """Draw a paper from decks that are shared or the learner's own, and store it as theirs.

    Raises NotFoundError, InputError.
    """
    _check(spec)
    seen = tuple(deck.id for deck in store.decks(now, learner=learner))
    if unseen := set(spec.decks) - set(seen):
        raise NotFoundError(f"there is no deck {min(unseen)!r}")
    decks = spec.decks or seen
    cards = [
        card
        for deck in decks
        for card in store.cards(deck)
        if (not spec.tags or set(spec.tags) & set(card.tags)) and (not spec.kinds or card.kind in spec.kinds)
    ]
    if not cards:
        raise InputError("no card fits: choose other decks, tags or kinds")
    drawn = random.Random(spec.seed).sample(  # noqa: S311  (reproducible, not secret)
        sorted(cards, key=lambda card: card.id), min(spec.count, len(cards))
    )
    questions = tuple(Question(card, spec.weights.get(card.kind.value, 1.0)) for card in drawn)
    paper = Paper(secrets.token_hex(9), spec, questions)
    store.add_paper(paper.id, spec.title, dump_paper(paper), now, learner)
    return paper


def _check(spec: Spec) -> None:
    wrong = ""
    if not 1 <= spec.count <= MAX_QUESTIONS:
        wrong = f"the number of questions is {spec.count}; it must be from 1 to {MAX_QUESTIONS}"
    elif not 0 <= spec.minutes <= MAX_MINUTES:
        wrong = f"the time is {spec.minutes} minutes; it must be from 0 (no limit) to {MAX_MINUTES}"
    elif not 0 <= spec.pass_mark <= 1:
        wrong = f"the pass mark is {spec.pass_mark}; it must be a share from 0 to 1"
    elif not spec.title.strip() or len(spec.title) > MAX_TITLE:
        wrong = f"the title must have 1 to {MAX_TITLE} characters"
    elif bad := [kind for kind in (*spec.kinds, *spec.weights) if kind not in set(Kind)]:
        wrong = f"{bad[0]!r} is no kind of card; it must be one of {', '.join(Kind)}"
    elif not all(0 < weight <= 100 for weight in spec.weights.values()):
        wrong = "a weight must be above 0 and at most 100"
    if wrong:
        raise InputError(wrong)


def dump_paper(paper: Paper) -> str:
    """Return a paper as the JSON of its file: what it was made of, and the questions themselves."""
    questions = [
        {"weight": question.weight, "card": json.loads(dump_card(question.card)[1])}
        for question in paper.questions
    ]
    data = {"format": "freerecall-paper", "version": 1, "id": paper.id, "spec": asdict(paper.spec)}
    return json.dumps({**data, "questions": questions}, ensure_ascii=False, indent=1) + "\n"


@lru_cache(maxsize=64)
def load_paper(text: str) -> Paper:
    """Read what `dump_paper` wrote. Raises InputError for anything else."""
    try:
        data = json.loads(text)
        if (data["format"], data["version"]) != ("freerecall-paper", 1):
            raise ValueError("another format or version")
        given = data["spec"]
        spec = Spec(**{**given, **{name: tuple(given[name]) for name in ("decks", "tags", "kinds")}})
        _check(spec)
        questions = tuple(
            Question(load_card(json.dumps(row["card"], separators=(",", ":"))), float(row["weight"]))
            for row in data["questions"][:MAX_QUESTIONS]
        )
        if not questions or not all(0 < question.weight <= 100 for question in questions):
            raise ValueError("no questions, or weights out of range")
        return Paper(str(data["id"])[:100], spec, questions)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"this is no paper of freerecall's ({error}); make one with exam new") from error


def put_paper(store: Store, text: str, *, now: datetime, learner: str = "local") -> Paper:
    """Store a paper from its file as the learner's; the same one again changes nothing. Raises InputError.

    Where its id is another's, theirs stays as it is and this one gets an id of its own.
    """
    paper = load_paper(text)
    with store.transaction():
        store.add_paper(paper.id, paper.spec.title, dump_paper(paper), now, learner)
        if store.owner_of_paper(paper.id) != learner:
            paper = replace(paper, id=f"{paper.id}-{learner}")
            store.add_paper(paper.id, paper.spec.title, dump_paper(paper), now, learner)
    return find_paper(store, paper.id)


def find_paper(store: Store, paper_id: str) -> Paper:
    """Return a stored paper. Raises NotFoundError."""
    content, code = store.paper(paper_id)
    return replace(load_paper(content), code=code)


def publish(store: Store, paper_id: str) -> str:
    """Return the code under which others find a paper; it gets one at the first call."""
    return store.publish(paper_id, "".join(secrets.choice(_CODE_LETTERS) for _ in range(8)))


def read_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights written as `list=2`. Raises InputError."""
    weights = {}
    for text in texts:
        kind, _, number = text.partition("=")
        try:
            weights[kind.strip()] = float(number)
        except ValueError:
            raise InputError(f"a weight is written as list=2, not {text!r}") from None
    return weights
