"""From a rating to the time at which a card is due again, through FSRS."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

import fsrs

from freerecall.cards import PastReview
from freerecall.errors import InputError
from freerecall.grades import RATINGS

RATING_TO_FSRS = {
    1: fsrs.Rating.Again,
    2: fsrs.Rating.Again,
    3: fsrs.Rating.Hard,
    4: fsrs.Rating.Good,
    5: fsrs.Rating.Easy,
}

RETENTION = 0.9
RETENTIONS = (0.7, 0.99)
"""The least and the most that may be asked for."""
LEAST_REVIEWS = 400
"""Fewer reviews than this tell too little of a learner to fit parameters to."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How to schedule: the share to be remembered when due, and FSRS's parameters (empty: its own)."""

    retention: float = RETENTION
    parameters: tuple[float, ...] = ()


DEFAULT_SCHEME = Scheme()


@lru_cache(maxsize=256)
def _scheduler(scheme: Scheme) -> fsrs.Scheduler:
    # Without fuzzing the same reviews always give the same schedule, so a log can be replayed.
    parameters = scheme.parameters or fsrs.scheduler.DEFAULT_PARAMETERS
    try:
        return fsrs.Scheduler(parameters, scheme.retention, enable_fuzzing=False)
    except (ValueError, TypeError) as error:
        raise InputError(f"FSRS refuses these parameters: {error}") from error


@dataclass(frozen=True, slots=True)
class CardState:
    """How well one learner knows one card.

    `state` is `learning`, `review` or `relearning`; `step` counts from 0 within (re)learning
    and is None in review. `stability` is in days, `difficulty` in 1–10. A card that was never
    reviewed has neither, nor `due` and `last_review` (both in UTC).
    """

    card_id: str
    state: str = "learning"
    step: int | None = 0
    stability: float | None = None
    difficulty: float | None = None
    due: datetime | None = None
    last_review: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON types; times as ISO 8601."""
        return {
            "card_id": self.card_id,
            "state": self.state,
            "step": self.step,
            "stability": self.stability,
            "difficulty": self.difficulty,
            "due": self.due.isoformat() if self.due else None,
            "last_review": self.last_review.isoformat() if self.last_review else None,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "CardState":
        """Read what `to_dict` returned."""
        times = {name: datetime.fromisoformat(row[name]) for name in ("due", "last_review") if row[name]}
        return cls(**{**row, **times})


def check(retention: float | None, parameters: tuple[float, ...]) -> None:
    """Raise InputError where FSRS would refuse to schedule so."""
    _scheduler(Scheme(DEFAULT_SCHEME.retention if retention is None else retention, parameters))


def new_state(card_id: str) -> CardState:
    """Return the state of a card before its first review."""
    return CardState(card_id)


def review(state: CardState, rating: int, at: datetime, scheme: Scheme = DEFAULT_SCHEME) -> CardState:
    """Return the state after a review rated 1–5 at `at`; its `due` is later than `at`.

    Raises InputError for any other rating or for a time without a time zone.
    """
    if rating not in RATINGS:
        raise InputError(f"the rating is {rating!r}; it must be a whole number from 1 to 5")
    if at.tzinfo is None:
        raise InputError(f"the time {at.isoformat()} has no time zone; give one in UTC")
    at = at.astimezone(UTC)
    before = fsrs.Card(
        card_id=0,
        state=fsrs.State[state.state.capitalize()],
        step=state.step,
        stability=state.stability,
        difficulty=state.difficulty,
        due=state.due or at,
        last_review=state.last_review,
    )
    after, _ = _scheduler(scheme).review_card(before, RATING_TO_FSRS[rating], at)
    return CardState(
        card_id=state.card_id,
        state=after.state.name.lower(),
        step=after.step,
        stability=after.stability,
        difficulty=after.difficulty,
        due=after.due,
        last_review=after.last_review,
    )


def replay(card_id: str, reviews: Iterable[PastReview], scheme: Scheme = DEFAULT_SCHEME) -> CardState:
    """Return the state that a card's `reviews`, oldest first, lead to."""
    state = new_state(card_id)
    for item in reviews:
        state = review(state, item.rating, item.at, scheme)
    return state


def fit(history: Sequence[PastReview]) -> tuple[float, ...]:
    """Return FSRS parameters fitted to a learner's reviews, ordered by card and time.

    Done by the `fsrs-rs-python` library (the extra `optimise`). Raises InputError where it is not
    installed, or there are fewer than LEAST_REVIEWS reviews.
    """
    try:
        import fsrs_rs_python as optimiser
    except ImportError:
        raise InputError("fitting needs one more library: pip install 'freerecall[optimise]'") from None
    if len(history) < LEAST_REVIEWS:
        raise InputError(
            f"there are {len(history)} reviews; fitting makes sense from {LEAST_REVIEWS} on:"
            " practise some more"
        )
    items = []
    for _, of_card in groupby(history, key=lambda item: item.card_id):
        steps, last, later = [], None, False
        for item in of_card:
            days = 0 if last is None else max((item.at.date() - last.date()).days, 0)
            steps.append(optimiser.FSRSReview(RATING_TO_FSRS[item.rating].value, days))
            last, later = item.at, later or days > 0
            if later:
                items.append(optimiser.FSRSItem(list(steps)))
    fitted = optimiser.FSRS(list(optimiser.DEFAULT_PARAMETERS)).compute_parameters(items)
    return tuple(round(float(value), 4) for value in fitted)
