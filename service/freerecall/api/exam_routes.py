"""The routes of self-tests under /api/v1."""

from fastapi import APIRouter, Request, Response

from freerecall import access, classes, exams, papers
from freerecall.api.clock import now
from freerecall.api.exam_models import (
    AppealIn,
    ClassOut,
    MarkIn,
    PaperIn,
    PaperOut,
    PaperRowOut,
    RegradedOut,
    ReportOut,
    SavedOut,
    SaveIn,
    SittingIn,
    SittingOut,
    TypedOut,
)
from freerecall.api.problems import documented
from freerecall.api.rules import (
    Anyone,
    ClassPaper,
    OwnPaper,
    SittingToRead,
    SittingToWrite,
    TheService,
    Who,
)
from freerecall.api.service import Service
from freerecall.errors import InputError
from freerecall.store import Sitting

router = APIRouter(prefix="/api/v1", tags=["exams"])


@router.post("/exams", status_code=201, responses=documented(404))
def compose(body: PaperIn, who: Who, service: TheService) -> PaperOut:
    """Draw a paper from the decks."""
    return PaperOut.of_paper(papers.compose(service.store, body.spec(), now=now(), learner=who.learner))


@router.post(
    "/exams/file",
    status_code=201,
    responses=documented(),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    },
)
async def put_paper_file(request: Request, who: Who, service: TheService) -> PaperOut:
    """Store a paper from its file; the same one again changes nothing."""
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        raise InputError("this is no paper of freerecall's: it is not UTF-8") from None
    return PaperOut.of_paper(papers.put_paper(service.store, text, now=now(), learner=who.learner))


@router.get("/exams", responses=documented())
def list_papers(who: Who, service: TheService) -> list[PaperRowOut]:
    """List one's own papers, an admin all of them, the newest first."""
    return [
        PaperRowOut(id=id, title=title, code=code, sittings=count)
        for id, title, code, count in service.store.papers(access.papers_of(who))
    ]


@router.get("/exams/{paper_id}", responses=documented(404))
def get_paper(paper_id: OwnPaper, service: TheService) -> PaperOut:
    """Return a paper without its answers."""
    return PaperOut.of_paper(papers.find_paper(service.store, paper_id))


@router.get("/exams/{paper_id}/file", responses=documented(404))
def get_paper_file(paper_id: OwnPaper, service: TheService) -> Response:
    """Return the file that asks the same questions again, answers and all."""
    content = papers.dump_paper(papers.find_paper(service.store, paper_id))
    return Response(content, media_type="application/json")


@router.post("/exams/{paper_id}/publish", responses=documented(404))
def publish(paper_id: ClassPaper, service: TheService) -> PaperOut:
    """Give a paper the code under which a class finds it."""
    papers.publish(service.store, paper_id)
    return get_paper(paper_id, service)


@router.post("/exams/{paper_id}/sittings", status_code=201, responses=documented(404))
def start(paper_id: OwnPaper, body: SittingIn, who: Who, service: TheService) -> SittingOut:
    """Begin a sitting; the clock runs from here."""
    return _start(service, paper_id, body.name, who)


@router.post("/exams/code/{code}/sittings", status_code=201, responses=documented(404))
def start_by_code(code: str, body: SittingIn, who: Anyone, service: TheService) -> SittingOut:
    """Begin a sitting of a published paper: one's own where one is logged in."""
    return _start(service, service.store.paper_of_code(code.upper()), body.name, who)


@router.get("/sittings/{sitting_id}", responses=documented(404))
def get_sitting(sitting_id: SittingToWrite, service: TheService) -> SittingOut:
    """Return a sitting as it stands."""
    return _sitting(service, service.store.sitting(sitting_id))


@router.put("/sittings/{sitting_id}/answers/{number}", responses=documented(404, 409))
def save(sitting_id: SittingToWrite, number: int, body: SaveIn, service: TheService) -> SavedOut:
    """Keep what is typed by now."""
    kept = exams.save(
        service.store,
        sitting_id,
        number,
        body.text,
        revision=body.revision,
        flagged=body.flagged,
        now=now(),
    )
    return SavedOut(kept=kept)


@router.post("/sittings/{sitting_id}/submit", responses=documented(404))
def submit(sitting_id: SittingToWrite, service: TheService) -> SittingOut:
    """Close a sitting; sent again, it counts once. Grading begins."""
    sitting = exams.submit(service.store, sitting_id, now=now())
    service.exam_submitted()
    return _sitting(service, sitting)


@router.get("/sittings/{sitting_id}/report", responses=documented(404, 409))
def get_report(sitting_id: SittingToRead, service: TheService) -> ReportOut:
    """Return a closed sitting's outcome by now; `final` says whether it may still change."""
    return ReportOut.of_report(exams.report(service.store, sitting_id))


@router.post(
    "/sittings/{sitting_id}/answers/{number}/appeal", status_code=204, responses=documented(404, 409)
)
def appeal(sitting_id: SittingToWrite, number: int, body: AppealIn, service: TheService) -> Response:
    """Ask a teacher for another look."""
    exams.appeal(service.store, sitting_id, number, body.text, now=now())
    return Response(status_code=204)


@router.get("/exams/{paper_id}/class", responses=documented(404))
def get_class(paper_id: ClassPaper, service: TheService) -> ClassOut:
    """Return a class's figures, the review queue, and the grader's agreement with the marks."""
    found = classes.reports(service.store, paper_id)
    return ClassOut.of(
        found, classes.question_figures(found), classes.review_queue(found), classes.agreement(found)
    )


@router.post("/exams/{paper_id}/marks", status_code=204, responses=documented(404, 409))
def mark(paper_id: ClassPaper, body: MarkIn, service: TheService) -> Response:
    """Let a teacher's rating of an answer stand."""
    exams.mark(
        service.store, body.sitting_id, body.number, body.rating, body.reason, paper_id=paper_id, now=now()
    )
    return Response(status_code=204)


@router.post("/exams/{paper_id}/regrade", responses=documented(404))
def regrade(paper_id: ClassPaper, service: TheService) -> RegradedOut:
    """Grade all closed sittings with the version that runs now; earlier grades stay beside."""
    return RegradedOut(grades=exams.regrade(service.store, paper_id, now=now()))


@router.get(
    "/exams/{paper_id}/gradebook.csv",
    response_class=Response,
    responses=documented(404) | {200: {"content": {"text/csv": {}}}},
)
def gradebook(paper_id: ClassPaper, service: TheService) -> Response:
    """Return names and scores for a learning platform."""
    content = classes.gradebook(classes.reports(service.store, paper_id))
    return Response(content, media_type="text/csv; charset=utf-8")


@router.get(
    "/exams/{paper_id}/gold.jsonl",
    response_class=Response,
    responses=documented(404) | {200: {"content": {"application/x-ndjson": {}}}},
)
def gold(paper_id: ClassPaper, service: TheService) -> Response:
    """Return the marked answers as rows for `freerecall eval` and `calibrate`."""
    content = classes.gold_rows(classes.reports(service.store, paper_id))
    return Response(content, media_type="application/x-ndjson")


def _start(service: Service, paper_id: str, name: str, who: access.Identity | None) -> SittingOut:
    return _sitting(service, exams.start_as(service.store, paper_id, name, who, now=now()))


def _sitting(service: Service, sitting: Sitting) -> SittingOut:
    left = (sitting.ends_at - now()).total_seconds() if sitting.ends_at else None
    typed = service.store.sitting_answers(sitting.id)
    return SittingOut(
        id=sitting.id,
        name=sitting.name,
        paper=PaperOut.of_paper(papers.find_paper(service.store, sitting.paper_id)),
        started_at=sitting.started_at,
        ends_at=sitting.ends_at,
        remaining_s=None if left is None else max(round(left, 1), 0.0),
        submitted_at=sitting.submitted_at,
        answers=[TypedOut.model_validate(typed[number]) for number in sorted(typed)],
    )
