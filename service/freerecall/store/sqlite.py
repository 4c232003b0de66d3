"""The store: answers, grades, reviews and card states beside the decks."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from freerecall.cards import PastReview
from freerecall.errors import NotFoundError
from freerecall.grades import Grade, Provenance, RatedAnswer
from freerecall.store.accounts import AccountTables
from freerecall.store.rows import (
    GRADE_COLUMNS,
    Answer,
    Override,
    Review,
    Stage,
    clean,
    dump_grade,
    dump_json,
    load_answer,
    load_grade,
    load_review,
    time_text,
)

JsonObject = dict[str, Any]

_ANSWER = (
    "id, learner, client_answer_id, card_id, card_version, text, mode, answered_at, elapsed_ms,"
    " stage, scheduled, session, hints, undone"
)
_REVIEW = "id, answer_id, at, rating, source, prior, result"


class Store(AccountTables):
    """One learner's or many learners' practice. Made by `Store.open`; any thread may use it.

    Methods write in a commit of their own, or in the `transaction` around them.
    A learner is a text key; `local` is there from the start.
    """

    def add_learner(self, learner: str) -> None:
        """Make sure that there is such a learner."""
        self._write("INSERT INTO learners (id) VALUES (?) ON CONFLICT DO NOTHING", (learner,))

    def add_answer(self, answer: Answer) -> bool:
        """Store an answer, ungraded. Return False if its learner's client_answer_id is taken already.

        Raises NotFoundError for an unknown learner.
        """
        try:
            return bool(
                self._write(
                    "INSERT INTO answers (id, learner, client_answer_id, card_id, card_version, text, mode,"
                    " answered_at, elapsed_ms, scheduled, session, hints)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (learner, client_answer_id) DO NOTHING",
                    (
                        answer.id,
                        answer.learner,
                        answer.client_answer_id,
                        answer.card_id,
                        answer.card_version,
                        answer.text,
                        answer.mode.value,
                        time_text(answer.at),
                        answer.elapsed_ms,
                        int(answer.scheduled),
                        answer.session,
                        answer.hints,
                    ),
                )
            )
        except sqlite3.IntegrityError as error:
            raise NotFoundError(f"there is no learner {answer.learner!r}") from error

    def answer(self, answer_id: str) -> Answer:
        """Return an answer. Raises NotFoundError."""
        row = self._one(f"SELECT {_ANSWER} FROM answers WHERE id = ?", (answer_id,))
        if row is None:
            raise NotFoundError(f"there is no answer {answer_id!r}")
        return load_answer(row)

    def answer_of_client(self, learner: str, client_answer_id: str) -> Answer:
        """Return the answer that a client sent under this id. Raises NotFoundError."""
        row = self._one(
            f"SELECT {_ANSWER} FROM answers WHERE learner = ? AND client_answer_id = ?",
            (learner, client_answer_id),
        )
        if row is None:
            raise NotFoundError(f"there is no answer with the client_answer_id {client_answer_id!r}")
        return load_answer(row)

    def ungraded(self) -> list[str]:
        """Return the ids of answers that were stored but not graded, oldest first."""
        rows = self._all("SELECT id FROM answers WHERE stage = 'ungraded' ORDER BY answered_at")
        return [id for (id,) in rows]

    def pending(self, limit: int, *, tried: bool = True, day: str = "", budget_usd: float = 1e9) -> list[str]:
        """Return the ids of answers that wait for a language model, the least often tried first.

        Not `tried`, only those that it was not asked about yet. Those of learners who spent
        `budget_usd` on a `day` are left out.
        """
        rows = self._all(
            f"SELECT id FROM answers WHERE stage = 'pending' {'' if tried else 'AND attempts = 0'}"
            " AND learner NOT IN (SELECT learner FROM spending WHERE day = ? AND usd >= ?)"
            " ORDER BY attempts, answered_at LIMIT ?",
            (day, budget_usd, limit),
        )
        return [id for (id,) in rows]

    def waiting(self) -> dict[str, int]:
        """Return how many answers and sittings wait to be graded."""
        return dict(
            self._all(
                "SELECT 'answers', count(*) FROM answers WHERE stage = 'ungraded'"
                " UNION ALL SELECT 'verdicts', count(*) FROM answers WHERE stage = 'pending'"
                " UNION ALL SELECT 'sittings', count(*) FROM sittings"
                " WHERE graded = 0 AND submitted_at IS NOT NULL"
            )
        )

    def overrides_given(self) -> int:
        """Return how many overrides were ever logged."""
        (last,) = self._one("SELECT coalesce(max(id), 0) FROM overrides")
        count: int = last
        return count

    def move(self, answer_id: str, before: Stage, after: Stage) -> bool:
        """Take an answer from one stage to the next. Return False if it was not in `before`."""
        return bool(
            self._write(
                "UPDATE answers SET stage = ? WHERE id = ? AND stage = ?",
                (after.value, answer_id, before.value),
            )
        )

    def add_grade(self, answer_id: str, grade: Grade, at: datetime) -> None:
        """Store a grade beside the answer's earlier ones; from now on it is the one that counts."""
        self._write(
            f"INSERT INTO grades (answer_id, graded_at, {GRADE_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (answer_id, time_text(at), *dump_grade(grade)),
        )

    def grades(self, answer_id: str) -> list[Grade]:
        """Return an answer's grades, oldest first; the last one counts."""
        rows = self._all(f"SELECT {GRADE_COLUMNS} FROM grades WHERE answer_id = ? ORDER BY id", (answer_id,))
        return [load_grade(row) for row in rows]

    def note_held(self, answer_id: str, error: str) -> None:
        """Say on the grade that counts why no language model is asked now."""
        with self.transaction(synced=False):
            self._write(
                "UPDATE grades SET error = ? WHERE id = (SELECT max(id) FROM grades WHERE answer_id = ?)",
                (clean(error), answer_id),
            )

    def add_failure(self, answer_id: str, failed: Provenance) -> None:
        """Note on the grade that counts why a language model could not better it, and what trying cost."""
        self._write("UPDATE answers SET attempts = attempts + 1 WHERE id = ?", (answer_id,))
        self._write(
            "UPDATE grades SET error = ?, tokens_in = tokens_in + ?, tokens_out = tokens_out + ?,"
            " cost_usd = cost_usd + ? WHERE id = (SELECT max(id) FROM grades WHERE answer_id = ?)",
            (clean(failed.error), failed.tokens_in, failed.tokens_out, failed.cost_usd, answer_id),
        )

    def add_override(self, override: Override) -> None:
        """Log a learner's own rating of an answer."""
        self._write(
            "INSERT INTO overrides (answer_id, learner, at, rating, replaced, reason)"
            " SELECT id, learner, ?, ?, ?, ? FROM answers WHERE id = ?",
            (
                time_text(override.at),
                override.rating,
                override.replaced,
                override.reason,
                override.answer_id,
            ),
        )

    def overrides(self, answer_id: str) -> list[Override]:
        """Return the log of an answer's overrides, oldest first; the last one counts."""
        rows = self._all(
            "SELECT at, rating, replaced, reason FROM overrides WHERE answer_id = ? ORDER BY id", (answer_id,)
        )
        return [Override(answer_id, datetime.fromisoformat(at), *rest) for at, *rest in rows]

    def rated_answers(self, row: Answer, limit: int = 200) -> tuple[RatedAnswer, ...]:
        """Return the learner's other answers to the same version of a card that they rated themself."""
        rows = self._all(
            "SELECT a.text, r.rating FROM reviews r JOIN answers a ON a.id = r.answer_id"
            " WHERE r.learner = ? AND r.card_id = ? AND r.source = 'override' AND a.card_version = ?"
            " AND a.id <> ? ORDER BY r.at DESC LIMIT ?",
            (row.learner, row.card_id, row.card_version, row.id, limit),
        )
        return tuple(RatedAnswer(text, rating) for text, rating in rows)

    def add_review(self, answer: Answer, rating: int, prior: JsonObject, result: JsonObject) -> Review:
        """Log the step that an answer makes in its card's schedule."""
        (id,) = self._one(
            "INSERT INTO reviews (answer_id, learner, card_id, at, day, phase, rating, source, prior, result)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'grade', ?, ?) RETURNING id",
            (
                answer.id,
                answer.learner,
                answer.card_id,
                time_text(answer.at),
                answer.at.astimezone().date().isoformat(),
                _phase(prior),
                rating,
                dump_json(prior),
                dump_json(result),
            ),
        )
        return Review(id, answer.id, answer.at, rating, False, prior, result)

    def rate_review(self, answer_id: str, rating: int, *, overridden: bool) -> None:
        """Change the rating of an answer's review; its result is the caller's to recompute."""
        self._write(
            "UPDATE reviews SET rating = ?, source = ? WHERE answer_id = ?",
            (rating, "override" if overridden else "grade", answer_id),
        )

    def move_review(self, review: Review, prior: JsonObject, result: JsonObject) -> None:
        """Change the states before and after a review."""
        self._write(
            "UPDATE reviews SET prior = ?, result = ?, phase = ? WHERE id = ?",
            (dump_json(prior), dump_json(result), _phase(prior), review.id),
        )

    def review(self, answer_id: str) -> Review:
        """Return an answer's review. Raises NotFoundError while it is not graded."""
        row = self._one(f"SELECT {_REVIEW} FROM reviews WHERE answer_id = ?", (answer_id,))
        if row is None:
            raise NotFoundError(f"the answer {answer_id!r} has no review")
        return load_review(row)

    def reviews(self, learner: str, card_id: str, first: Review | None = None) -> list[Review]:
        """Return a card's reviews in the order of their times, or as stored where these are the same.

        With `first`, from this one on.
        """
        rows = self._all(
            f"SELECT {_REVIEW} FROM reviews WHERE learner = ? AND card_id = ? AND (at, id) >= (?, ?)"
            " ORDER BY at, id",
            (learner, card_id, *((time_text(first.at), first.id) if first else ("", 0))),
        )
        return [load_review(row) for row in rows]

    def card_state(self, learner: str, card_id: str) -> JsonObject | None:
        """Return a card's state as `put_card_state` got it; None before the first review."""
        row = self._one("SELECT state FROM card_states WHERE learner = ? AND card_id = ?", (learner, card_id))
        if row is None:
            return None
        state: JsonObject = json.loads(row[0])
        return state

    def put_card_state(self, learner: str, card_id: str, state: JsonObject) -> None:
        """Store a card's state; its `due` decides when the card is asked again."""
        values = {
            "learner": learner,
            "card": card_id,
            "due": time_text(datetime.fromisoformat(state["due"])),
            "state": dump_json(state),
        }
        known = self._write(
            "UPDATE card_states SET due = :due, state = :state WHERE learner = :learner AND card_id = :card",
            values,
        )
        if not known:
            self._write(
                "INSERT INTO card_states (learner, card_id, deck_id, due, state)"
                " SELECT :learner, id, deck_id, :due, :state FROM cards WHERE id = :card",
                values,
            )
            self._seen_up_to(learner, card_id)

    def drop_review(self, row: Answer) -> None:
        """Take an answer back: its review goes, the answer stays, marked."""
        self._write("DELETE FROM reviews WHERE answer_id = ?", (row.id,))
        self._write("UPDATE answers SET undone = 1, stage = 'settled' WHERE id = ?", (row.id,))

    def drop_card_state(self, learner: str, card_id: str) -> None:
        """Make a card new again for a learner."""
        self._write("DELETE FROM card_states WHERE learner = ? AND card_id = ?", (learner, card_id))
        self._write(
            "UPDATE deck_settings SET fresh_from = min(fresh_from, (SELECT position FROM cards WHERE id = ?))"
            " WHERE learner = ? AND deck_id = (SELECT deck_id FROM cards WHERE id = ?)",
            (card_id, learner, card_id),
        )

    def last_answer(self, learner: str) -> str | None:
        """Return the id of the learner's newest answer that was not taken back."""
        row = self._one(
            "SELECT id FROM answers WHERE learner = ? AND undone = 0"
            " ORDER BY answered_at DESC, rowid DESC LIMIT 1",
            (learner,),
        )
        return row[0] if row else None

    def answers_to(self, card_id: str, learner: str, limit: int = 20) -> list[str]:
        """Return the ids of the newest graded answers to a card, newest first."""
        rows = self._all(
            "SELECT id FROM answers WHERE card_id = ? AND learner = ? AND undone = 0 AND stage <> 'ungraded'"
            " ORDER BY answered_at DESC LIMIT ?",
            (card_id, learner, limit),
        )
        return [id for (id,) in rows]

    def add_past_reviews(self, learner: str, reviews: Sequence[PastReview]) -> int:
        """Store imported history; what is known already is passed over. Return how many were new."""
        return sum(
            self._write(
                "INSERT INTO past_reviews (learner, card_id, at, rating, elapsed_ms) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (learner, review.card_id, time_text(review.at), review.rating, review.elapsed_ms),
            )
            for review in reviews
        )

    def past_reviews(self, learner: str, card_id: str) -> list[PastReview]:
        """Return a card's imported history, oldest first."""
        rows = self._all(
            "SELECT at, rating, elapsed_ms FROM past_reviews WHERE learner = ? AND card_id = ? ORDER BY at",
            (learner, card_id),
        )
        return [PastReview(card_id, datetime.fromisoformat(at), *rest) for at, *rest in rows]

    def history(self, learner: str, deck_id: str) -> list[PastReview]:
        """Return all of a deck's reviews, imported and made here, by card and time."""
        rows = self._all(
            "SELECT r.card_id, r.at, r.rating, a.elapsed_ms FROM reviews r"
            " JOIN answers a ON a.id = r.answer_id JOIN cards c ON c.id = r.card_id"
            " WHERE r.learner = :learner AND c.deck_id = :deck UNION ALL"
            " SELECT p.card_id, p.at, p.rating, p.elapsed_ms FROM past_reviews p"
            " JOIN cards c ON c.id = p.card_id"
            " WHERE p.learner = :learner AND c.deck_id = :deck ORDER BY 1, 2",
            {"learner": learner, "deck": deck_id},
        )
        return [PastReview(card, datetime.fromisoformat(at), *rest) for card, at, *rest in rows]


def _phase(prior: JsonObject) -> str:
    """What a review was for: a new card, one being (re)learned, or one in review."""
    return "new" if prior["last_review"] is None else str(prior["state"])
