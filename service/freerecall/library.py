"""Decks as the learner keeps them: imported, limited, put aside card by card, scheduled to fit."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from freerecall import __version__, decks, derive, scheduling
from freerecall.access import LOCAL, Identity
from freerecall.cards import Card, KeyPoint, Kind
from freerecall.decks import ImportResult
from freerecall.decks.result import MAX_POINTS, MAX_TEXT, MAX_WEIGHT
from freerecall.decks.text import clean, clean_line
from freerecall.errors import ConflictError, InputError
from freerecall.store import DeckChange, DeckSettings, Store

MOST_PER_DAY = 9_999
SKIP = timedelta(minutes=10)
HOLDS = ("skip", "bury", "suspend", "release")
_LONG_POINT, _MOST_REMARKS = 200, 200
Progress = Callable[[int, int], None]
_WORD = re.compile(r"\w+")


def import_deck(
    store: Store,
    source: Path | str | bytes,
    format: str | None = None,
    *,
    name: str = "upload",
    deck_id: str | None = None,
    who: Identity = LOCAL,
) -> tuple[ImportResult, DeckChange]:
    """Read a deck from a file (a Path) or from its content, and store it; all of it or nothing.

    `name` is the file's name where content is given. Raises DeckError, ConflictError.
    """
    if isinstance(source, Path):
        read = decks.read_deck(source, format, deck_id=deck_id)
    else:
        read = decks.parse_deck(source, source=name, format=format, deck_id=deck_id)
    read = as_seen_by(who, read)
    return read, put_import(store, read, who)


def put_import(
    store: Store,
    read: ImportResult,
    who: Identity = LOCAL,
    on_progress: Progress = lambda _done, _total: None,
) -> DeckChange:
    """Store a deck that was read, and the study history that came with it; all of it or nothing.

    A learner's deck is their own, a teacher's is shared with all. History from elsewhere gives a
    card its place in the schedule where it has none here yet.
    """
    learner, owner = who.learner, None if who.teaches else who.learner
    with store.transaction():
        if store.has_deck(read.deck.id) and store.owner_of_deck(read.deck.id) != owner:
            raise ConflictError(f"the deck id {read.deck.id!r} is taken; give the file's deck another id")
        change = store.put_deck(read.deck, owner=owner, on_progress=on_progress)
        store.add_past_reviews(learner, read.reviews)
        for card_id in {review.card_id for review in read.reviews}:
            if store.card_state(learner, card_id) is None:
                state = scheduling.replay(card_id, store.past_reviews(learner, card_id))
                store.put_card_state(learner, card_id, state.to_dict())
    return change


def as_seen_by(who: Identity, read: ImportResult) -> ImportResult:
    """Return a deck as `who` imports it: a learner's gets ids that nobody else's can have."""
    before = read.deck.id
    if who.teaches or before.endswith(f".{who.learner}"):
        return read
    after = f"{before[:80]}.{who.learner}"

    def moved(card_id: str) -> str:
        return f"{after}:{card_id.removeprefix(f'{before}:')}"

    cards = tuple(replace(card, id=moved(card.id)) for card in read.deck.cards)
    reviews = tuple(replace(review, card_id=moved(review.card_id)) for review in read.reviews)
    return replace(read, deck=replace(read.deck, id=after, cards=cards), reviews=reviews)


def load_bundled(store: Store, paths: Sequence[Path] | None = None) -> dict[str, DeckChange]:
    """Store the bundled decks whose files are new or changed; return what changed, by deck.

    A deck that the user has put in the place of a bundled one is left alone.
    """
    changes = {}
    known = store.bundled_files()
    for path in decks.bundled_decks() if paths is None else paths:
        digest = hashlib.sha256(__version__.encode() + path.read_bytes()).hexdigest()
        if known.get(path.name) == digest:
            continue
        deck = decks.read_deck(path).deck
        if store.is_own(deck.id):
            store.skip_bundled_file(path.name, digest)
        else:
            changes[deck.id] = store.put_deck(deck, bundled_file=(path.name, digest))
    return changes


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do: the deck as read, and what is odd about its cards (id, remark)."""

    read: ImportResult
    kinds: dict[Kind, int]
    points: int
    problems: tuple[tuple[str, str], ...]
    new: bool


def preview(
    store: Store, content: bytes, name: str, format: str | None = None, *, who: Identity = LOCAL
) -> Preview:
    """Read a deck and say what is in it; nothing is stored. Raises DeckError."""
    read = as_seen_by(who, decks.parse_deck(content, source=name, format=format))
    kinds = Counter(card.kind for card in read.deck.cards)
    count = sum(len(_points(card)) for card in read.deck.cards)
    return Preview(read, dict(kinds), count, remarks(read), not store.has_deck(read.deck.id))


def remarks(read: ImportResult) -> tuple[tuple[str, str], ...]:
    """Return what is odd about a deck's cards: (card id, remark), at most 200."""
    found = []
    seen: dict[str, str] = {}
    for card in read.deck.cards:
        points = _points(card)
        if len(points) == 1 and len(points[0].text) > _LONG_POINT:
            found.append((card.id, "one long key point: split it, or it is all or nothing"))
        if (other := seen.setdefault(card.question, card.id)) != card.id:
            found.append((card.id, f"asks the same as {other}"))
    return tuple(found[:_MOST_REMARKS])


def _points(card: Card) -> tuple[KeyPoint, ...]:
    return card.points or derive.points_of(card.question, card.reference, card.kind)


def lacks_points(card: Card) -> bool:
    """Say whether nobody wrote key points for a card: it has none, or those read off its reference."""
    return card.points in ((), derive.points_of(card.question, card.reference, card.kind))


def with_points(store: Store, card: Card, points: tuple[KeyPoint, ...]) -> None:
    """Store a card with other key points. Raises NotFoundError."""
    store.put_card(store.deck_of(card.id), replace(card, points=points))


def edit_card(store: Store, card: Card, *, save: bool = True) -> Card:
    """Put a card in the place of the one with its id; return it cleaned. With `save` False it is to be tried.

    Raises NotFoundError, InputError.
    """
    deck_id = store.deck_of(card.id)
    card = replace(
        card,
        question=clean(card.question),
        reference=clean(card.reference),
        points=tuple(_cleaned(point) for point in card.points),
        alternatives=tuple(text for one in card.alternatives if (text := clean(one))),
        footnote=clean(card.footnote),
        tags=tuple(dict.fromkeys(tag for one in card.tags if (tag := clean_line(one)))),
    )
    for name, text in (("question", card.question), ("reference answer", card.reference)):
        if not text:
            raise InputError(f"the {name} is empty")
    wordings = [wording for point in card.points for wording in (point.text, *point.accept)]
    for text in (card.question, card.reference, card.footnote, *card.alternatives, *card.tags, *wordings):
        if len(text) > MAX_TEXT:
            raise InputError(f"a text has {len(text)} characters; the most is {MAX_TEXT}")
    accepted = max((len(point.accept) for point in card.points), default=0)
    if max(len(card.points), len(card.alternatives), len(card.tags), accepted) > MAX_POINTS:
        raise InputError(f"there are too many key points, wordings or tags; the most is {MAX_POINTS}")
    if save:
        store.put_card(deck_id, card)
    return card


def _cleaned(point: KeyPoint) -> KeyPoint:
    text = clean_line(point.text)
    if not text:
        raise InputError("a key point is empty: say what it is, or leave it out")
    if not 0 < point.weight <= MAX_WEIGHT:
        raise InputError(f"a weight is {point.weight:g}; it must be above 0 and at most {MAX_WEIGHT:g}")
    return KeyPoint(text, tuple(other for one in point.accept if (other := clean_line(one))), point.weight)


def hold(store: Store, card_id: str, how: str, *, now: datetime, learner: str = "local") -> None:
    """Put a card aside: `skip` for ten minutes, `bury` until tomorrow, `suspend` until `release`.

    Raises NotFoundError for an unknown card, InputError for another word.
    """
    if how not in HOLDS:
        raise InputError(f"a card can be put aside by {', '.join(HOLDS)}; not by {how!r}")
    midnight = (now.astimezone() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    until = {"skip": now + SKIP, "bury": midnight}.get(how)
    store.hold(learner, card_id, suspended=how == "suspend", until=until)


def hint(card: Card, level: int) -> list[str]:
    """Return help for a card: at level 1 a blank for each key point, at level 2 its words' first letters."""
    return ["…" if level < 2 else _first_letters(point.text) for point in _points(card)]


def _first_letters(text: str) -> str:
    return _WORD.sub(lambda word: word.group()[0] + "·" * (len(word.group()) - 1), text)


def configure(store: Store, deck_id: str, settings: DeckSettings, learner: str = "local") -> None:
    """Set a deck's daily limits and its schedule.

    Raises NotFoundError for an unknown deck, InputError for a value out of range.
    """
    for name, limit in (("new", settings.new_per_day), ("reviews", settings.reviews_per_day)):
        if limit is not None and not 0 <= limit <= MOST_PER_DAY:
            raise InputError(f"the {name} a day are {limit}; they must be from 0 to {MOST_PER_DAY}")
    low, high = scheduling.RETENTIONS
    if settings.retention is not None and not low <= settings.retention <= high:
        raise InputError(f"the retention is {settings.retention}; it must be from {low} to {high}")
    scheduling.check(settings.retention, settings.parameters)
    store.put_deck_settings(learner, deck_id, settings)


def fit_schedule(store: Store, deck_id: str, learner: str = "local") -> tuple[float, ...]:
    """Fit FSRS's parameters to the learner's own reviews of a deck, and use them from now on.

    Raises NotFoundError, InputError where there are too few reviews.
    """
    settings = store.deck_settings(learner, deck_id)
    fitted = scheduling.fit(store.history(learner, deck_id))
    configure(store, deck_id, replace(settings, parameters=fitted), learner)
    return fitted
