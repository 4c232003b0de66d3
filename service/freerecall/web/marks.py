"""Where in an answer the evidence lies."""

from collections.abc import Sequence

from freerecall.grades import Evidence, Verdict

_ORDER = (Verdict.CONTRADICTED, Verdict.COVERED, Verdict.PARTIAL)


def marked(answer: str, found: Sequence[Evidence]) -> list[tuple[str, Verdict | None]]:
    """Split `answer` into pieces with the verdict of the evidence that quotes them, or None.

    Joined, the pieces are the answer. Where quotes overlap, the graver verdict shows.
    """
    verdicts: list[Verdict | None] = [None] * len(answer)
    for verdict in reversed(_ORDER):
        for item in found:
            if item.verdict is verdict and item.quote and (start := answer.find(item.quote)) >= 0:
                verdicts[start : start + len(item.quote)] = [verdict] * len(item.quote)
    pieces: list[tuple[str, Verdict | None]] = []
    start = 0
    for at in range(1, len(answer) + 1):
        if at == len(answer) or verdicts[at] is not verdicts[start]:
            pieces.append((answer[start:at], verdicts[start]))
            start = at
    return pieces
