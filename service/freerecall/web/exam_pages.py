"""The pages of self-tests: papers, a sitting, its report, a class."""

import csv
import io
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from freerecall import access, classes, exams, papers
from freerecall.access import Identity
from freerecall.api.clock import now
from freerecall.api.rules import Anyone, ClassPaper, OwnPaper, SittingToRead, SittingToWrite, TheService, Who
from freerecall.api.service import Service
from freerecall.cards import Kind
from freerecall.errors import ConflictError, InputError
from freerecall.papers import Spec
from freerecall.practice import MAX_ANSWER
from freerecall.report_pdf import can_write, write_pdf
from freerecall.web.marks import marked
from freerecall.web.render import render

Short = Annotated[str, Form(max_length=500)]

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/exams")
def exams_page(who: Who, service: TheService) -> Response:
    """The papers, and a form for a new one."""
    return _exams_page(who, service)


def _exams_page(who: Identity, service: Service, said: str = "", status: int = 200) -> Response:
    return render(
        "exams.html",
        status,
        papers=service.store.papers(access.papers_of(who)),
        decks=service.store.decks(now(), learner=who.learner),
        seed=secrets.randbelow(100_000),
        kinds=list(Kind),
        said=said,
    )


@router.post("/exams")
def compose_form(
    who: Who,
    service: TheService,
    title: Short = "Self-test",
    deck: Short = "",
    tags: Short = "",
    kind: Annotated[list[str] | None, Form(max_length=5)] = None,
    weights: Short = "",
    count: Short = "10",
    minutes: Short = "0",
    pass_mark: Short = "60",  # noqa: S107
    seed: Short = "0",
) -> Response:
    """Draw a paper."""
    try:
        spec = Spec(
            decks=(deck,) if deck else (),
            tags=tuple(tags.split()),
            kinds=tuple(kind or ()),
            weights=papers.read_weights(weights.split()),
            count=_number("questions", count),
            minutes=_number("minutes", minutes),
            pass_mark=_number("pass mark", pass_mark) / 100,
            seed=_number("seed", seed),
            title=title,
        )
        paper = papers.compose(service.store, spec, now=now(), learner=who.learner)
    except InputError as error:
        return _exams_page(who, service, str(error), 422)
    return RedirectResponse(f"/exams/{paper.id}", status_code=303)


@router.get("/exams/{paper_id}")
def exam_page(paper_id: OwnPaper, who: Who, service: TheService) -> Response:
    """A paper: begin, publish, and how a class did."""
    found = classes.reports(service.store, paper_id)
    return render(
        "exam.html",
        teaches=who.teaches,
        name=who.name or "me",
        paper=papers.find_paper(service.store, paper_id),
        reports=found,
        figures=classes.question_figures(found),
        queue=classes.review_queue(found, 20),
        agreed=classes.agreement(found),
        said="",
    )


@router.post("/exams/{paper_id}/publish")
def publish_form(paper_id: ClassPaper, service: TheService) -> Response:
    """Give it a code."""
    papers.publish(service.store, paper_id)
    return RedirectResponse(f"/exams/{paper_id}", status_code=303)


@router.post("/exams/{paper_id}/sittings")
def start_form(paper_id: OwnPaper, who: Who, service: TheService, name: Short = "") -> Response:
    """Begin."""
    sitting = exams.start_as(service.store, paper_id, name, who, now=now())
    return RedirectResponse(f"/sittings/{sitting.id}", status_code=303)


@router.post("/exams/{paper_id}/marks")
def mark_form(
    paper_id: ClassPaper,
    service: TheService,
    sitting_id: Short,
    number: Annotated[int, Form(ge=1, le=papers.MAX_QUESTIONS)],
    rating: Annotated[int, Form(ge=1, le=5)],
) -> Response:
    """The teacher's rating stands."""
    exams.mark(service.store, sitting_id, number, rating, paper_id=paper_id, now=now())
    return RedirectResponse(f"/exams/{paper_id}#queue", status_code=303)


@router.get("/sit/{code}")
def sit_page(code: str, who: Anyone, service: TheService) -> Response:
    """Who are you?"""
    return _sit_page(code, who, service)


def _sit_page(
    code: str, who: Identity | None, service: Service, said: str = "", status: int = 200
) -> Response:
    paper = papers.find_paper(service.store, service.store.paper_of_code(code.upper()))
    return render(
        "sit.html",
        status,
        code=code,
        name=who.name if who else "",
        title=paper.spec.title,
        count=len(paper.questions),
        minutes=paper.spec.minutes,
        said=said,
    )


@router.post("/sit/{code}")
def sit_form(code: str, who: Anyone, service: TheService, name: Short = "") -> Response:
    """Begin a published paper."""
    paper_id = service.store.paper_of_code(code.upper())
    try:
        sitting = exams.start_as(service.store, paper_id, name, who, now=now())
    except InputError as error:
        return _sit_page(code, who, service, str(error), 422)
    return RedirectResponse(f"/sittings/{sitting.id}", status_code=303)


@router.get("/sittings/{sitting_id}")
def sitting_page(sitting_id: SittingToWrite, service: TheService) -> Response:
    """All questions on one page, what was typed in them; the report once it is handed in."""
    at = now()
    sitting = exams.close_if_over(service.store, service.store.sitting(sitting_id), now=at)
    if sitting.submitted_at is not None:
        service.exam_submitted()
        return RedirectResponse(f"/sittings/{sitting_id}/report", status_code=303)
    return render(
        "sitting.html",
        sitting=sitting,
        paper=papers.find_paper(service.store, sitting.paper_id),
        answers=service.store.sitting_answers(sitting_id),
        left=max(round((sitting.ends_at - at).total_seconds(), 1), 0.0) if sitting.ends_at else None,
        longest=MAX_ANSWER,
    )


@router.post("/sittings/{sitting_id}")
async def hand_in_form(sitting_id: SittingToWrite, request: Request, service: TheService) -> Response:
    """Keep what the form holds, then close: this works without scripts as well."""
    form = await request.form(max_files=0, max_fields=2 * papers.MAX_QUESTIONS + 10)
    typed = service.store.sitting_answers(sitting_id)
    count = len(papers.find_paper(service.store, service.store.sitting(sitting_id).paper_id).questions)
    for number in range(1, count + 1):
        text = form.get(f"answer{number}")
        if not isinstance(text, str):
            continue
        before = typed.get(number)
        text = text.replace("\r\n", "\n")
        if text != (before.text if before else ""):
            try:
                revision = before.revision + 1 if before else 1
                exams.save(service.store, sitting_id, number, text, revision=revision, now=now())
            except ConflictError:
                break
    exams.submit(service.store, sitting_id, now=now())
    service.exam_submitted()
    return RedirectResponse(f"/sittings/{sitting_id}/report", status_code=303)


@router.get("/sittings/{sitting_id}/report")
def report_page(sitting_id: SittingToRead, who: Anyone, service: TheService) -> Response:
    """How it went, question by question."""
    found = exams.report(service.store, sitting_id)
    others = classes.reports(service.store, found.sitting.paper_id)
    earlier = [
        one
        for one in others
        if one.sitting.learner == found.sitting.learner
        and one.sitting.name == found.sitting.name
        and one.sitting.started_at < found.sitting.started_at
    ]
    mine = found.sitting.learner is None or (who is not None and who.learner == found.sitting.learner)
    return render(
        "report.html",
        mine=mine,
        found=found,
        earlier=earlier[-10:] if not found.paper.code else [],
        own=mine and who is not None and not found.paper.code,
        pdf=can_write(),
        marks={
            item.number: marked(item.answer, item.grade.evidence if item.grade else ())
            for item in found.items
        },
    )


@router.get("/sittings/{sitting_id}/report.csv")
def report_csv(sitting_id: SittingToRead, service: TheService) -> Response:
    """The report as a table."""
    found = exams.report(service.store, sitting_id)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["number", "question", "answer", "rating", "points", "weight", "confidence"])
    for item in found.items:
        confidence = item.grade.confidence if item.grade else ""
        cells = [classes.plain_cell(text) for text in (item.question.card.question, item.answer)]
        writer.writerow([item.number, *cells, item.rating, item.points, item.question.weight, confidence])
    return Response(file.getvalue(), media_type="text/csv; charset=utf-8")


@router.get("/sittings/{sitting_id}/report.pdf")
def report_as_pdf(sitting_id: SittingToRead, service: TheService) -> Response:
    """The report to print or to keep."""
    content = write_pdf(exams.report(service.store, sitting_id))
    return Response(content, media_type="application/pdf")


@router.post("/sittings/{sitting_id}/appeal")
def appeal_form(
    sitting_id: SittingToWrite,
    service: TheService,
    number: Annotated[int, Form(ge=1, le=papers.MAX_QUESTIONS)],
    text: Annotated[str, Form(max_length=2_000)],
) -> Response:
    """Another look, please."""
    exams.appeal(service.store, sitting_id, number, text, now=now())
    return RedirectResponse(f"/sittings/{sitting_id}/report", status_code=303)


@router.post("/sittings/{sitting_id}/schedule")
def schedule_form(sitting_id: SittingToWrite, who: Who, service: TheService) -> Response:
    """Let the answers count as reviews, where the paper is the learner's own."""
    if exams.report(service.store, sitting_id).paper.code:
        raise ConflictError("a class's sitting does not feed a schedule")
    exams.feed_schedule(service.store, sitting_id, now=now(), who=who)
    return RedirectResponse(f"/sittings/{sitting_id}/report", status_code=303)


def _number(name: str, text: str) -> int:
    if not text.strip().isdecimal() or len(text) > 12:
        raise InputError(f"{name}: {text!r} is no whole number")
    return int(text)
