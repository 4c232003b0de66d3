"""Run a grader over gold rows; what is graded can be kept, and a run that was stopped taken up again."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from freerecall.errors import InputError
from freerecall.evaluation.batch import Progress, grade_rows
from freerecall.evaluation.report import Report, report
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.samples import RunFolder, Sample, manifest, sample_of
from freerecall.evaluation.scales import Scale
from freerecall.grades import GraderMode, RatedAnswer
from freerecall.grading import CALIBRATION, DEFAULT_POLICY, AskPolicy
from freerecall.llm import LLM

Numbered = tuple[int, Row | BadRow]


def evaluate(
    gold: Path,
    *,
    mode: GraderMode,
    llm: LLM | None,
    on_progress: Progress,
    out: Path | None = None,
    policy: AskPolicy = DEFAULT_POLICY,
    sample: int | None = None,
    scale: Scale | None = None,
    rated: Path | None = None,
    split: Sequence[str] = (),
) -> tuple[Report, list[Sample]]:
    """Grade every row of `gold` and compare; with `out`, every sample is kept there as it comes.

    With `sample` only so many rows of each data set are taken, always the same. `scale` is what
    `gold` is rated on, where its rows do not say. `rated` is a file with other people's ratings:
    each answer is graded with those of its card, but for its own, at hand. `split` takes these parts
    of the file only (see rows.Row).

    Raises InputError where no row can be used or `out` holds another run, or OSError.
    """
    model = llm.model if llm else ""
    about = manifest(
        gold,
        grader=mode.value,
        model=model,
        calibration=CALIBRATION,
        prompt=(policy.prompt or llm.prompt) if llm else "",
        gate=str(policy.gate),
        sample=str(sample or "all"),
        scale=str(scale or ""),
        rated=hashlib.sha256(rated.read_bytes()).hexdigest() if rated else "",
        split=",".join(split),
    )
    kept = RunFolder(out, about) if out else None
    samples = dict(kept.done) if kept else {}
    bad: list[BadRow] = []
    waiting: list[tuple[int, Row]] = []
    numbered = list(enumerate(read_rows(gold, gold=True, scale=scale, split=split), 1))
    if rated:
        numbered = _with_rated(numbered, list(read_rows(rated, gold=True, scale=scale)))
    for number, row in _sampled(numbered, sample) if sample else numbered:
        if isinstance(row, BadRow):
            bad.append(row)
        elif number not in samples:
            waiting.append((number, row))
    done = len(samples)
    total = done + len(waiting)
    results = grade_rows((row for _, row in waiting), mode=mode, llm=llm, policy=policy)
    try:
        for (number, row), result in zip(waiting, results, strict=True):
            if isinstance(result, BadRow):
                bad.append(result)
                continue
            samples[number] = sample_of(number, row, result[1])
            if kept:
                kept.add(samples[number])
            done += 1
            on_progress(done, total)
    finally:
        if kept:
            kept.close()
    if not samples:
        why = f" ({bad[0].error})" if bad else ""
        raise InputError(f"{gold}: no row with an answer, a reference and a gold rating{why}")
    ordered = [samples[number] for number in sorted(samples)]
    return report(ordered, bad, mode.value, model), ordered


def _with_rated(numbered: list[Numbered], rated: list[Row | BadRow]) -> list[Numbered]:
    """Give every row the rated answers to its card; its own, by its id, is not among them."""
    by_card: dict[str, list[Row]] = {}
    for one in rated:
        if isinstance(one, Row):
            by_card.setdefault(_key(one), []).append(one)

    def given(row: Row) -> Row:
        others = (one for one in by_card.get(_key(row), ()) if one.id != row.id)
        return replace(row, rated=tuple(RatedAnswer(one.answer, _rating(one)) for one in others))

    return [(number, row if isinstance(row, BadRow) else given(row)) for number, row in numbered]


def _key(row: Row) -> str:
    return f"{row.card.question}\0{row.card.reference}"


def _rating(row: Row) -> int:
    """Return what people gave; a label as an end of the scale."""
    return row.gold or (5 if row.label == "correct" else 1)


def _sampled(numbered: list[Numbered], size: int) -> list[Numbered]:
    """Return the bad rows and, of each data set, the `size` rows whose ids come first when hashed."""
    by_set: dict[str, list[tuple[bytes, Numbered]]] = {}
    kept = [item for item in numbered if isinstance(item[1], BadRow)]
    for item in numbered:
        if isinstance(row := item[1], Row):
            key = hashlib.sha256(f"{row.dataset}\0{row.id}\0{row.answer}".encode()).digest()
            by_set.setdefault(row.dataset, []).append((key, item))
    for rows in by_set.values():
        kept += [item for _, item in sorted(rows, key=lambda pair: pair[0])[:size]]
    return sorted(kept, key=lambda item: item[0])
