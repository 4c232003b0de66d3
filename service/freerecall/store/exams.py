"""Exam papers and sittings in the database."""

from datetime import datetime
from typing import Any

from freerecall.errors import NotFoundError
from freerecall.grades import Grade, RatedAnswer
from freerecall.store.rows import (
    GRADE_COLUMNS,
    Appeal,
    Mark,
    Sitting,
    SittingAnswer,
    dump_grade,
    load_grade,
    time_text,
)
from freerecall.store.statistics import StatisticsTables

_SITTING = "id, paper_id, name, started_at, ends_at, submitted_at, graded, in_schedule, learner"


class ExamTables(StatisticsTables):
    """The part of the store that holds self-tests."""

    def add_paper(self, paper_id: str, title: str, content: str, at: datetime, owner: str = "local") -> None:
        """Store a paper's content; one of that id stays as it is."""
        self._write(
            "INSERT INTO papers (id, title, content, created_at, owner) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (paper_id, title, content, time_text(at), owner),
        )

    def owner_of_paper(self, paper_id: str) -> str | None:
        """Return whose a paper is; None where its owner was erased. Raises NotFoundError."""
        row = self._one("SELECT owner FROM papers WHERE id = ?", (paper_id,))
        if row is None:
            raise NotFoundError(f"there is no paper {paper_id!r}")
        owner: str | None = row[0]
        return owner

    def paper(self, paper_id: str) -> tuple[str, str | None]:
        """Return a paper's content and its code, where it is published. Raises NotFoundError."""
        row = self._one("SELECT content, code FROM papers WHERE id = ?", (paper_id,))
        if row is None:
            raise NotFoundError(f"there is no paper {paper_id!r}")
        return row[0], row[1]

    def paper_of_code(self, code: str) -> str:
        """Return the id of the paper published under a code. Raises NotFoundError."""
        row = self._one("SELECT id FROM papers WHERE code = ?", (code,))
        if row is None:
            raise NotFoundError("no paper has this code; ask whoever gave it to you")
        paper_id: str = row[0]
        return paper_id

    def publish(self, paper_id: str, code: str) -> str:
        """Give a paper a code, or return the one that it has. Raises NotFoundError."""
        self._write("UPDATE papers SET code = ? WHERE id = ? AND code IS NULL", (code, paper_id))
        given = self.paper(paper_id)[1]
        assert given is not None  # noqa: S101  (set above)
        return given

    def papers(self, owner: str | None = None) -> list[tuple[str, str, str | None, int]]:
        """Return (id, title, code, number of sittings) of an owner's or of all papers, the newest first."""
        whose = "" if owner is None else "WHERE p.owner = ?"
        rows: list[tuple[str, str, str | None, int]] = self._all(
            "SELECT p.id, p.title, p.code, (SELECT count(*) FROM sittings s WHERE s.paper_id = p.id)"
            f" FROM papers p {whose} ORDER BY p.created_at DESC, p.id LIMIT 500",
            () if owner is None else (owner,),
        )
        return rows

    def add_sitting(self, sitting: Sitting) -> None:
        """Begin a sitting."""
        self._write(
            "INSERT INTO sittings (id, paper_id, name, started_at, ends_at, learner)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                sitting.id,
                sitting.paper_id,
                sitting.name,
                time_text(sitting.started_at),
                time_text(sitting.ends_at) if sitting.ends_at else None,
                sitting.learner,
            ),
        )

    def sitting(self, sitting_id: str) -> Sitting:
        """Return a sitting. Raises NotFoundError."""
        row = self._one(f"SELECT {_SITTING} FROM sittings WHERE id = ?", (sitting_id,))
        if row is None:
            raise NotFoundError("there is no such sitting")
        return _sitting(row)

    def sittings(self, paper_id: str) -> list[Sitting]:
        """Return a paper's sittings in the order in which they began."""
        rows = self._all(
            f"SELECT {_SITTING} FROM sittings WHERE paper_id = ? ORDER BY started_at, id", (paper_id,)
        )
        return [_sitting(row) for row in rows]

    def overdue(self, now: datetime) -> list[str]:
        """Return the ids of open sittings whose time is up."""
        rows = self._all(
            "SELECT id FROM sittings WHERE submitted_at IS NULL AND ends_at <= ? ORDER BY ends_at",
            (time_text(now),),
        )
        return [id for (id,) in rows]

    def ungraded_sittings(self, limit: int, *, begun: bool = True) -> list[str]:
        """Return the ids of submitted sittings that are not graded throughout, the oldest first.

        Not `begun`, only those without a single grade.
        """
        rest = "" if begun else "AND NOT EXISTS (SELECT 1 FROM sitting_grades g WHERE g.sitting_id = s.id)"
        rows = self._all(
            f"SELECT id FROM sittings s WHERE graded = 0 AND submitted_at IS NOT NULL {rest}"
            " ORDER BY submitted_at LIMIT ?",
            (limit,),
        )
        return [id for (id,) in rows]

    def submit_sitting(self, sitting_id: str, at: datetime) -> bool:
        """Close a sitting; return False if it was closed already."""
        return bool(
            self._write(
                "UPDATE sittings SET submitted_at = ? WHERE id = ? AND submitted_at IS NULL",
                (time_text(at), sitting_id),
            )
        )

    def set_graded(self, sitting_id: str, graded: bool) -> None:
        """Note whether every answer of a sitting has its final grade."""
        self._write("UPDATE sittings SET graded = ? WHERE id = ?", (int(graded), sitting_id))

    def set_in_schedule(self, sitting_id: str) -> bool:
        """Note that a sitting's answers feed the schedule; return False if they did already."""
        return bool(
            self._write("UPDATE sittings SET in_schedule = 1 WHERE id = ? AND in_schedule = 0", (sitting_id,))
        )

    def save_answer(self, sitting_id: str, answer: SittingAnswer) -> bool:
        """Store what is typed by now, unless a later revision is there or the sitting is closed."""
        return bool(
            self._write(
                "INSERT INTO sitting_answers (sitting_id, number, text, flagged, revision, saved_at)"
                " SELECT id, :number, :text, :flagged, :revision, :at FROM sittings"
                " WHERE id = :sitting AND submitted_at IS NULL"
                " ON CONFLICT (sitting_id, number) DO UPDATE SET text = excluded.text,"
                " flagged = excluded.flagged, revision = excluded.revision, saved_at = excluded.saved_at"
                " WHERE excluded.revision > revision",
                {
                    "sitting": sitting_id,
                    "number": answer.number,
                    "text": answer.text,
                    "flagged": int(answer.flagged),
                    "revision": answer.revision,
                    "at": time_text(answer.at),
                },
            )
        )

    def sitting_answers(self, sitting_id: str) -> dict[int, SittingAnswer]:
        """Return what was typed, by the question's number."""
        rows = self._all(
            "SELECT number, text, flagged, revision, saved_at FROM sitting_answers WHERE sitting_id = ?",
            (sitting_id,),
        )
        return {
            number: SittingAnswer(number, text, bool(flagged), revision, datetime.fromisoformat(at))
            for number, text, flagged, revision, at in rows
        }

    def add_sitting_grade(self, sitting_id: str, number: int, grade: Grade, at: datetime) -> None:
        """Store a grade beside the earlier ones of the same answer."""
        marks = ", ".join("?" * 19)
        self._write(
            f"INSERT INTO sitting_grades (sitting_id, number, graded_at, {GRADE_COLUMNS}) VALUES ({marks})",
            (sitting_id, number, time_text(at), *dump_grade(grade)),
        )

    def sitting_grades(self, sitting_id: str) -> dict[int, list[Grade]]:
        """Return all grades by the question's number, oldest first; the last one counts."""
        rows = self._all(
            f"SELECT number, {GRADE_COLUMNS} FROM sitting_grades WHERE sitting_id = ? ORDER BY id",
            (sitting_id,),
        )
        found: dict[int, list[Grade]] = {}
        for number, *columns in rows:
            found.setdefault(number, []).append(load_grade(columns))
        return found

    def add_mark(self, sitting_id: str, mark: Mark) -> None:
        """Log a teacher's own rating of an answer; the last one stands."""
        self._write(
            "INSERT INTO marks (sitting_id, number, at, rating, reason) VALUES (?, ?, ?, ?, ?)",
            (sitting_id, mark.number, time_text(mark.at), mark.rating, mark.reason),
        )

    def marks(self, sitting_id: str) -> dict[int, Mark]:
        """Return the marks that stand, by the question's number."""
        rows = self._all(
            "SELECT number, rating, reason, at FROM marks WHERE sitting_id = ? ORDER BY id", (sitting_id,)
        )
        return {
            number: Mark(number, rating, reason, datetime.fromisoformat(at))
            for number, rating, reason, at in rows
        }

    def marked_answers(self, paper_id: str) -> dict[int, dict[str, RatedAnswer]]:
        """Return what was marked, by the question's number and the sitting; the last mark of each."""
        rows = self._all(
            "SELECT m.number, m.sitting_id, a.text, m.rating, max(m.id) FROM sittings s"
            " JOIN marks m ON m.sitting_id = s.id"
            " JOIN sitting_answers a ON a.sitting_id = m.sitting_id AND a.number = m.number"
            " WHERE s.paper_id = ? GROUP BY m.sitting_id, m.number ORDER BY 5",
            (paper_id,),
        )
        found: dict[int, dict[str, RatedAnswer]] = {}
        for number, sitting_id, text, rating, _ in rows:
            found.setdefault(number, {})[sitting_id] = RatedAnswer(text, rating)
        return found

    def add_appeal(self, sitting_id: str, appeal: Appeal) -> None:
        """Store a learner's objection to a grade."""
        self._write(
            "INSERT INTO appeals (sitting_id, number, at, text) VALUES (?, ?, ?, ?)",
            (sitting_id, appeal.number, time_text(appeal.at), appeal.text),
        )

    def appeals(self, sitting_id: str) -> list[Appeal]:
        """Return a sitting's appeals, oldest first."""
        rows = self._all(
            "SELECT number, text, at FROM appeals WHERE sitting_id = ? ORDER BY id", (sitting_id,)
        )
        return [Appeal(number, text, datetime.fromisoformat(at)) for number, text, at in rows]


def _sitting(row: Any) -> Sitting:
    id, paper_id, name, started_at, ends_at, submitted_at, graded, in_schedule, learner = row
    return Sitting(
        id=id,
        paper_id=paper_id,
        name=name,
        started_at=datetime.fromisoformat(started_at),
        ends_at=datetime.fromisoformat(ends_at) if ends_at else None,
        submitted_at=datetime.fromisoformat(submitted_at) if submitted_at else None,
        graded=bool(graded),
        in_schedule=bool(in_schedule),
        learner=learner,
    )
