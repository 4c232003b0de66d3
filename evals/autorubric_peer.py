"""The peer: AutoRubric (PyPI `autorubric`) on a gold file, as a run that `freerecall eval compare` can read.

    python evals/autorubric_peer.py GOLD.jsonl RUN --api-base URL [--split test] [--every N]

Each key point is a criterion with its weight; the share that AutoRubric finds met becomes a rating
by the same cuts as freerecall's own rubric grader.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from autorubric import LLMConfig, Rubric
from autorubric.graders import CriterionGrader

from freerecall.evaluation.report import render, report
from freerecall.evaluation.rows import Row, read_rows
from freerecall.evaluation.samples import RunFolder, Sample, manifest, sample_of
from freerecall.grades import DecidedBy, Evidence, Grade, Provenance, Verdict
from freerecall.grading.fuse import LLM_CUTS
from freerecall.grading.rubric import key_points

MODEL = "openai/local"


async def grade(row: Row, grader: CriterionGrader) -> Grade:
    """Grade one answer with one criterion for each key point."""
    points = key_points(row.card)
    rubric = Rubric.from_dict(
        [{"weight": point.weight, "requirement": f"The answer says: {point.text}"} for point in points]
    )
    started = time.perf_counter()
    result = await rubric.grade(to_grade=row.answer or "(blank)", grader=grader, query=row.card.question)
    took = (time.perf_counter() - started) * 1000
    score = min(max(result.score or 0.0, 0.0), 1.0)
    found = tuple(
        Evidence(
            point.text,
            Verdict.COVERED
            if str(one.final_verdict).endswith("MET") and "UN" not in str(one.final_verdict)
            else Verdict.MISSING,
        )
        for point, one in zip(points, result.report or [], strict=False)
    )
    return Grade(
        score=score,
        rating=1 + sum(score >= cut for cut in LLM_CUTS),
        confidence=0.5,
        evidence=found,
        feedback="",
        decided_by=DecidedBy.LLM,
        provenance=Provenance(model=MODEL, latency_ms=round(took, 1), error=str(result.error or "")),
    )


async def main() -> None:
    """Grade and print the agreement."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("gold", type=Path)
    options.add_argument("run", type=Path)
    options.add_argument("--api-base", required=True)
    options.add_argument("--split", action="append", default=[], help="only rows of this part of the file")
    options.add_argument("--every", type=int, default=1, help="take each so-manieth row")
    given = options.parse_args()
    grader = CriterionGrader(
        judge_model_config=LLMConfig(model=MODEL, api_base=given.api_base, api_key="none", temperature=0.0)
    )
    kept = RunFolder(given.run, manifest(given.gold, grader="autorubric", model=MODEL))
    samples: list[Sample] = []
    for number, row in enumerate(read_rows(given.gold, gold=True, split=given.split), 1):
        if number % given.every or not isinstance(row, Row):
            continue
        if number not in kept.done:
            kept.done[number] = sample_of(number, row, await grade(row, grader))
            kept.add(kept.done[number])
        samples.append(kept.done[number])
    kept.close()
    print(render(report(samples, [], "autorubric", MODEL)))


if __name__ == "__main__":
    asyncio.run(main())
