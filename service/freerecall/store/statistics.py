"""How practice goes: counted from tables that are kept up to date, never from the whole log."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from freerecall.store.queue import QueueTables
from freerecall.store.rows import CardTrouble, Statistics, time_text

_HARDEST = 10
_RECENT = 500
"""Answers that are read for the key points missed most."""
_DAYS, _AHEAD = 90, 30


class StatisticsTables(QueueTables):
    """The part of the store that counts."""

    def statistics(self, deck_id: str | None, now: datetime, *, learner: str = "local") -> Statistics:
        """Return the figures of the last 90 days and the next 30, for one deck or all.

        Raises NotFoundError for an unknown deck.
        """
        self._decks_of(deck_id, learner)
        today = now.astimezone().date()
        values: dict[str, Any] = {
            "learner": learner,
            "deck": deck_id,
            "since": (today - timedelta(days=_DAYS - 1)).isoformat(),
            "recent": _RECENT,
            "hardest": _HARDEST,
            "now": time_text(now),
            "ahead": time_text(now + timedelta(days=_AHEAD)),
            "from": time_text(now - timedelta(days=_DAYS)),
        }
        in_deck = "AND deck_id = :deck" if deck_id is not None else ""
        days, ratings, kept, passed = self._reviews(values, in_deck)
        up, down = self._overrides(values, deck_id)
        return Statistics(
            days=[(day, days.get(day, 0)) for day in _days(today, -_DAYS + 1, 1)],
            ratings=[ratings.get(rating, 0) for rating in range(1, 6)],
            retention=[(week, passed[week], kept[week]) for week in sorted(kept)],
            forecast=self._forecast(values, in_deck, today),
            hardest=self._hardest(values, deck_id),
            missed=self._missed(values, deck_id),
            raised=up,
            lowered=down,
        )

    def _reviews(
        self, values: dict[str, Any], in_deck: str
    ) -> tuple[Counter[str], Counter[int], Counter[str], Counter[str]]:
        rows = self._all(
            "SELECT day, rating, phase, sum(n) FROM review_days WHERE learner = :learner"
            f" {in_deck} AND day >= :since GROUP BY 1, 2, 3",
            values,
        )
        days: Counter[str] = Counter()
        ratings: Counter[int] = Counter()
        kept: Counter[str] = Counter()
        passed: Counter[str] = Counter()
        for day, rating, phase, n in rows:
            days[day] += n
            ratings[rating] += n
            if phase == "review":
                date = datetime.fromisoformat(day).date()
                week = (date - timedelta(days=date.weekday())).isoformat()
                kept[week] += n
                passed[week] += n * (rating >= 3)
        return days, ratings, +kept, passed

    def _forecast(self, values: dict[str, Any], in_deck: str, today: Any) -> list[tuple[str, int]]:
        """Return the cards due by day; what is overdue counts for today."""
        rows = self._all(
            f"SELECT substr(due, 1, 10), count(*) FROM card_states WHERE learner = :learner {in_deck}"
            " AND due < :ahead GROUP BY 1",
            values,
        )
        due: Counter[str] = Counter()
        for day, n in rows:
            due[max(day, today.isoformat())] += n
        return [(day, due.get(day, 0)) for day in _days(today, 0, _AHEAD)]

    def _hardest(self, values: dict[str, Any], deck_id: str | None) -> list[CardTrouble]:
        in_deck = "AND c.deck_id = :deck" if deck_id is not None else ""
        rows = self._all(
            "SELECT k.card_id, k.n, k.low FROM card_counts k CROSS JOIN cards c ON c.id = k.card_id"
            f" WHERE k.learner = :learner AND k.low > 0 AND c.retired = 0 {in_deck}"
            " ORDER BY k.low DESC LIMIT :hardest",
            values,
        )
        return [CardTrouble(self.card(id), n, low) for id, n, low in rows]

    def _missed(self, values: dict[str, Any], deck_id: str | None) -> list[tuple[str, str, int]]:
        in_deck = "AND c.deck_id = :deck" if deck_id is not None else ""
        rows = self._all(
            "SELECT a.card_id, g.evidence FROM (SELECT a.id, a.card_id FROM answers a"
            " CROSS JOIN cards c ON c.id = a.card_id"
            f" WHERE a.learner = :learner AND a.undone = 0 {in_deck}"
            " ORDER BY a.answered_at DESC LIMIT :recent) a"
            " JOIN grades g ON g.id = (SELECT max(id) FROM grades WHERE answer_id = a.id)",
            values,
        )
        count: Counter[tuple[str, str]] = Counter()
        for card, evidence in rows:
            for point, verdict, *_ in json.loads(evidence):
                if verdict in ("missing", "contradicted"):
                    count[card, point] += 1
        return [(card, point, n) for (card, point), n in count.most_common(_HARDEST)]

    def _overrides(self, values: dict[str, Any], deck_id: str | None) -> tuple[int, int]:
        in_deck = "AND c.deck_id = :deck" if deck_id is not None else ""
        up, down = self._one(
            "SELECT coalesce(sum(o.rating > o.replaced), 0), coalesce(sum(o.rating < o.replaced), 0)"
            " FROM overrides o JOIN answers a ON a.id = o.answer_id JOIN cards c ON c.id = a.card_id"
            f" WHERE o.learner = :learner AND o.at >= :from {in_deck}",
            values,
        )
        return up, down


def _days(today: Any, first: int, end: int) -> list[str]:
    return [(today + timedelta(days=offset)).isoformat() for offset in range(first, end)]
