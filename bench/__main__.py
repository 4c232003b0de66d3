"""Run the benchmarks: all, or those named (grade, batch, start, memory, submit, grown, class)."""

import sys
import tempfile
from pathlib import Path

from bench import exam, grading, large, service
from bench.measure import show

BENCHMARKS = {
    "grade": lambda _folder: grading.one_grade(),
    "batch": grading.batch,
    "start": service.start,
    "memory": service.memory,
    "submit": service.submit,
    "grown": large.grown,
    "class": exam.class_at_once,
}


def main(names: list[str]) -> None:
    rows = []
    for name in names or BENCHMARKS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="freerecall-bench-") as folder:
            rows += BENCHMARKS[name](Path(folder))
    show(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
