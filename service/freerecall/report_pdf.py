"""A sitting's report as a PDF, by fpdf2, in a font that knows most scripts (the extra `pdf`)."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from freerecall.errors import InputError
from freerecall.exams import Report
from freerecall.grades import RATING_NAMES, Verdict

_MARKS = {
    Verdict.COVERED: "covered",
    Verdict.PARTIAL: "in part",
    Verdict.MISSING: "missing",
    Verdict.CONTRADICTED: "contradicted",
}
_LONGEST = 4_000


def can_write() -> bool:
    """Say whether the libraries for it are installed."""
    return all(find_spec(name) for name in ("fpdf", "pymupdf_fonts"))


def write_pdf(found: Report) -> bytes:
    """Return the report as a PDF. Raises InputError where the libraries for it are not installed."""
    try:
        import fpdf
        import pymupdf_fonts
    except ImportError:
        raise InputError("a PDF needs two more libraries: pip install 'freerecall[pdf]'") from None
    pdf = fpdf.FPDF(format="A4")
    with tempfile.TemporaryDirectory(prefix="freerecall-") as folder:
        for style, name in (("", "figo"), ("B", "figbo")):
            path = Path(folder) / f"{name}.ttf"
            path.write_bytes(pymupdf_fonts.fontbuffers[name]())
            pdf.add_font("text", style, path)
        pdf.set_title(found.paper.spec.title)
        pdf.set_auto_page_break(True, margin=18)
        pdf.add_page()
        _fill(pdf, found)
        return bytes(pdf.output())


def _fill(pdf: Any, found: Report) -> None:
    low, high = found.interval
    _line(pdf, found.paper.spec.title, 18, bold=True)
    when = found.sitting.submitted_at.date().isoformat() if found.sitting.submitted_at else ""
    _line(pdf, f"{found.sitting.name}, {when}", 11)
    state = "" if found.final else ", provisional"
    verdict = "passed" if found.passed else "not passed"
    _line(
        pdf,
        f"{100 * found.share:.0f} % ({100 * low:.0f} to {100 * high:.0f}), {verdict}{state}",
        14,
        bold=True,
    )
    for name, share, count in found.by("kind"):
        _line(pdf, f"{name}: {100 * share:.0f} % of {count}", 10)
    for item in found.items:
        pdf.ln(4)
        _line(pdf, f"{item.number}. {item.question.card.question}", 12, bold=True)
        if item.rating:
            by = " by the teacher" if item.mark else ""
            _line(pdf, f"{item.rating} of 5, {RATING_NAMES[item.rating]}{by}", 11)
        _line(pdf, item.answer.strip() or "(nothing)", 11)
        for evidence in item.grade.evidence if item.grade else ():
            _line(pdf, f"– {evidence.point}: {_MARKS[evidence.verdict]}", 10)
        _line(pdf, f"Reference: {item.question.card.reference}", 10)


def _line(pdf: Any, text: str, size: int, *, bold: bool = False) -> None:
    pdf.set_font("text", "B" if bold else "", size)
    pdf.multi_cell(0, size * 0.5, text[:_LONGEST], new_x="LMARGIN", new_y="NEXT", wrapmode="WORD")
