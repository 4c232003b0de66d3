"""The pages: decks, a question, a result."""

import hashlib
import hmac
import uuid
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from freerecall import practice
from freerecall.api.guard import COOKIE, cookie_value
from freerecall.api.service import Service, now, service_of
from freerecall.grades import RATING_NAMES, RATINGS, Verdict
from freerecall.practice import MAX_ANSWER, AnswerResult
from freerecall.web.marks import marked
from freerecall.wording import HINTS, until

TheService = Annotated[Service, Depends(service_of)]
VERDICTS = {
    Verdict.COVERED: ("✓", "covered"),
    Verdict.PARTIAL: ("◐", "in part"),
    Verdict.MISSING: ("○", "missing"),
    Verdict.CONTRADICTED: ("✗", "contradicted"),
}
_STATIC = Path(__file__).parent / "static"
_ERRORS = {404: "Not here", 401: "Not logged in", 403: "Not allowed", 413: "Too large", 422: "Not quite"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@cache
def _templates() -> Environment:
    env = Environment(
        loader=PackageLoader("freerecall.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        asset=_asset, rating_names=RATING_NAMES, ratings=RATINGS, verdicts=VERDICTS, hints=HINTS
    )
    return env


@cache
def _asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that it can be cached."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(template).render(**values), status_code=status)


def error_page(status: int, detail: str) -> HTMLResponse:
    """Return an error as a page."""
    return render("error.html", status, title=_ERRORS.get(status, "Something went wrong"), detail=detail)


def install(app: FastAPI) -> None:
    """Add the pages and what they load."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")


@router.get("/")
def decks_page(service: TheService) -> Response:
    """Which deck?"""
    decks = service.store.decks(now(), learner=service.learner)
    return render("decks.html", decks=decks)


@router.get("/practice/{deck_id}")
def question_page(deck_id: str, service: TheService) -> Response:
    """The next question, or when there is one again."""
    at = now()
    following = practice.next_card(service.store, deck_id, now=at, learner=service.learner)
    if following.card is None:
        when = until(following.next_due, at) if following.next_due else ""
        return render("done.html", deck_id=deck_id, when=when)
    return render(
        "question.html",
        deck_id=deck_id,
        card=following.card,
        due=following.due,
        new=following.new,
        answer_id=uuid.uuid4().hex,
        longest=MAX_ANSWER,
    )


@router.post("/practice/{deck_id}")
def answer_form(
    deck_id: str,
    service: TheService,
    card_id: Annotated[str, Form()],
    client_answer_id: Annotated[str, Form()],
    answer: Annotated[str, Form()] = "",
    elapsed_ms: Annotated[str, Form()] = "",
    dont_know: Annotated[str, Form()] = "",
) -> Response:
    """Take an answer, show what came of it."""
    text = "" if dont_know else answer.replace("\r\n", "\n")
    elapsed = int(elapsed_ms) if elapsed_ms.isdecimal() and len(elapsed_ms) <= 12 else None
    result = service.submit(card_id, text, client_answer_id, elapsed)
    return RedirectResponse(f"/answers/{result.answer_id}?deck={quote(deck_id)}", status_code=303)


@router.get("/answers/{answer_id}")
def result_page(answer_id: str, service: TheService, deck: str = "") -> Response:
    """The rating, the evidence for it, and what follows."""
    result = practice.result(service.store, answer_id)
    return _result(result, deck or result.card.id.partition(":")[0], service)


@router.post("/answers/{answer_id}/override")
def override_form(
    answer_id: str,
    service: TheService,
    rating: Annotated[int, Form(ge=1, le=5)],
    reason: Annotated[str, Form(max_length=practice.MAX_REASON)] = "",
    deck: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """The learner knows better."""
    practice.override(service.store, answer_id, rating, reason, now=now())
    return RedirectResponse(f"/answers/{answer_id}?deck={quote(deck)}", status_code=303)


def _result(result: AnswerResult, deck_id: str, service: Service) -> Response:
    return render(
        "result.html",
        result=result,
        grade=result.grade,
        card=result.card,
        deck_id=deck_id,
        pieces=marked(result.answer, result.grade.evidence),
        due=until(result.due, now()),
        sure=_sure(result.grade.confidence),
        waiting=result.pending and service.llm is not None,
        changed_from=result.earlier[-1].rating if result.earlier else None,
    )


def _sure(confidence: float) -> str:
    return "sure" if confidence >= 0.75 else "fairly sure" if confidence >= 0.5 else "not sure"


@router.get("/login")
def login_page() -> Response:
    return render("login.html", wrong=False)


@router.post("/login")
def login(service: TheService, token: Annotated[str, Form(max_length=1_000)] = "") -> Response:
    """Trade the token for a cookie that this browser alone holds."""
    expected = service.settings.token
    if not expected or not hmac.compare_digest(token.strip().encode(), expected.encode()):
        return render("login.html", 403, wrong=True)
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(COOKIE, cookie_value(expected), max_age=30 * 86_400, httponly=True, samesite="strict")
    return answer
