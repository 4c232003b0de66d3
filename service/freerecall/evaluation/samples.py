"""An evaluation's answers with all that was said of them, and the folder that keeps them."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from freerecall.errors import InputError
from freerecall.evaluation.rows import Row, grade_dict
from freerecall.evaluation.scales import nearest
from freerecall.grades import CORRECT_FROM, Grade, Verdict

_MANIFEST, _SAMPLES = "run.json", "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Sample:
    """One graded answer. `number` is its place in the gold file (1-based, blank lines not counted).

    `gold` 1–5 or None, `label` one of rows.LABELS or None; the fields from `rating` on are the grade's.
    """

    number: int
    id: Any
    question: str
    reference: str
    kind: str
    style: str
    dataset: str
    answer: str
    gold: int | None
    label: str | None
    rating: int
    score: float
    confidence: float
    decided_by: str
    provisional: bool
    feedback: str
    evidence: list[dict[str, Any]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def card(self) -> str:
        """What answers to the same card have in common."""
        return f"{self.question}\0{self.reference}"

    @property
    def given_label(self) -> str:
        """The grade as one of rows.LABELS; contradictory where not correct and a point is contradicted."""
        if self.rating >= CORRECT_FROM:
            return "correct"
        contradicted = any(item["verdict"] == Verdict.CONTRADICTED for item in self.evidence)
        return "contradictory" if contradicted else "incorrect"


def sample_of(number: int, row: Row, grade: Grade) -> Sample:
    """Return the sample that `row` and its `grade` make; its rating is one that the gold's scale can give."""
    return Sample(
        number=number,
        id=row.id,
        question=row.card.question,
        reference=row.card.reference,
        kind=row.card.kind.value,
        style=row.style,
        dataset=row.dataset,
        answer=row.answer,
        gold=row.gold,
        label=row.label,
        provenance=asdict(grade.provenance),
        **grade_dict(grade) | {"rating": nearest(row.levels, grade.rating, grade.score)},
    )


def manifest(gold: Path, **settings: str) -> dict[str, str]:
    """Return what a run depends on: two runs with equal manifests give equal grades."""
    return {
        "gold": gold.name,
        "sha256": hashlib.sha256(gold.read_bytes()).hexdigest(),
        "freerecall": importlib.metadata.version("freerecall"),
        **settings,
    }


class RunFolder:
    """A folder with `run.json` (the manifest) and `samples.jsonl`, which grows by a line an answer.

    What a killed run left is taken up again; a line cut short is dropped. Raises InputError where
    the folder holds a run with another manifest.
    """

    def __init__(self, folder: Path, about: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / _MANIFEST
        if known.exists():
            before = _read_json(known)
            if before != about:
                changed = ", ".join(key for key in about if before.get(key) != about[key])
                raise InputError(f"{folder} holds another run (it differs in {changed}): name another folder")
        known.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        path = folder / _SAMPLES
        self.done = {sample.number: sample for sample in _whole_samples(path)} if path.exists() else {}
        _write_samples(path, self.done.values())
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def add(self, sample: Sample) -> None:
        """Keep one more sample; it is on its way to the disk when this returns."""
        self._file.write(_line(sample))
        self._file.flush()

    def close(self) -> None:
        """Finish; the samples now stand in the gold file's order."""
        self._file.close()
        path = self.folder / _SAMPLES
        _write_samples(path, sorted(_whole_samples(path), key=lambda sample: sample.number))


def read_run(folder: Path) -> tuple[dict[str, str], list[Sample]]:
    """Return a run's manifest and samples. Raises InputError where `folder` holds no run."""
    if not (folder / _SAMPLES).is_file():
        raise InputError(f"{folder} holds no run: make one with `freerecall eval GOLD.jsonl --out {folder}`")
    samples = sorted(_whole_samples(folder / _SAMPLES), key=lambda sample: sample.number)
    if not samples:
        raise InputError(f"{folder} holds a run without a single sample")
    return _read_json(folder / _MANIFEST), samples


def _read_json(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): remove it") from None
    return found


def _whole_samples(path: Path) -> Iterator[Sample]:
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            yield Sample(**json.loads(line))
        except (ValueError, TypeError):
            continue


def _write_samples(path: Path, samples: Iterable[Sample]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(map(_line, samples)), encoding="utf-8")
    fresh.replace(path)


def _line(sample: Sample) -> str:
    return json.dumps(asdict(sample), ensure_ascii=False) + "\n"
