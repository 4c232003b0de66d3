"""One or two plain sentences for the learner, made from the evidence."""

from collections.abc import Sequence

from freerecall.grades import Evidence, Verdict

NOTHING = "Nothing to grade here yet. Read the reference answer and try again when the card comes back."


def sentence(found: Sequence[Evidence], rating: int) -> str:
    """Say what was there, what was missing and what was wrong."""
    by = {verdict: [item.point for item in found if item.verdict is verdict] for verdict in Verdict}
    if len(found) == 1:
        return _one(by, rating)
    parts = []
    if not by[Verdict.MISSING] and not by[Verdict.CONTRADICTED] and not by[Verdict.PARTIAL]:
        parts.append(
            "Every key point is there."
            if rating >= 4
            else "The key points are there, but something else is off."
        )
    else:
        full = len(by[Verdict.COVERED])
        parts.append(
            f"{full} of {len(found)} key points are there." if full else "No key point is fully there."
        )
    if by[Verdict.CONTRADICTED]:
        parts.append(f"This goes against the reference: {_names(by[Verdict.CONTRADICTED])}.")
    if by[Verdict.PARTIAL]:
        parts.append(f"Only in part: {_names(by[Verdict.PARTIAL])}.")
    if by[Verdict.MISSING]:
        parts.append(f"Missing: {_names(by[Verdict.MISSING])}.")
    return " ".join(parts)


def _one(by: dict[Verdict, list[str]], rating: int) -> str:
    if by[Verdict.CONTRADICTED]:
        return "Your answer says the opposite of the reference."
    return {
        5: "That says it all.",
        4: "The essence is there.",
        3: "You have part of it; compare with the reference.",
        2: "Only a fragment of the answer is there.",
        1: "This does not answer the question; compare with the reference.",
    }[rating]


def _names(points: list[str], most: int = 3) -> str:
    shown = "; ".join(point.rstrip(".") for point in points[:most])
    return f"{shown} and {len(points) - most} more" if len(points) > most else shown
