"""From a rating to the time at which a card is due again, through FSRS."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fsrs

from freerecall.errors import InputError
from freerecall.grades import RATINGS

RATING_TO_FSRS = {
    1: fsrs.Rating.Again,
    2: fsrs.Rating.Again,
    3: fsrs.Rating.Hard,
    4: fsrs.Rating.Good,
    5: fsrs.Rating.Easy,
}

# Without fuzzing the same reviews always give the same schedule, so a log can be replayed.
_SCHEDULER = fsrs.Scheduler(enable_fuzzing=False)


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


def new_state(card_id: str) -> CardState:
    """Return the state of a card before its first review."""
    return CardState(card_id)


def review(state: CardState, rating: int, at: datetime) -> CardState:
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
    after, _ = _SCHEDULER.review_card(before, RATING_TO_FSRS[rating], at)
    return CardState(
        card_id=state.card_id,
        state=after.state.name.lower(),
        step=after.step,
        stability=after.stability,
        difficulty=after.difficulty,
        due=after.due,
        last_review=after.last_review,
    )
