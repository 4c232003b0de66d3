"""The pages: all of them put together, the list of decks, the figures, the login."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from freerecall.api.guard import COOKIE, cookie_value
from freerecall.api.service import Service, now, service_of
from freerecall.web import deck_pages, exam_pages, practice_pages
from freerecall.web.charts import columns
from freerecall.web.render import STATIC, render

TheService = Annotated[Service, Depends(service_of)]
_ERRORS = {404: "Not here", 401: "Not logged in", 403: "Not allowed", 413: "Too large", 422: "Not quite"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def error_page(status: int, detail: str) -> Response:
    """Return the page that says what went wrong."""
    return render("error.html", status, title=_ERRORS.get(status, "Something went wrong"), detail=detail)


def install(app: FastAPI) -> None:
    """Add the pages and what they load."""
    for part in (router, practice_pages.router, deck_pages.router, exam_pages.router):
        app.include_router(part)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


@router.get("/")
def decks_page(service: TheService) -> Response:
    """Which deck?"""
    decks = service.store.decks(now(), learner=service.learner)
    return render("decks.html", decks=decks)


@router.get("/statistics")
def statistics_page(service: TheService, deck: str = "") -> Response:
    """How does it go?"""
    found = service.store.statistics(deck or None, now(), learner=service.learner)
    weeks = [(week, round(100 * passed / of)) for week, passed, of in found.retention]
    questions = {card: service.store.card(card).question for card, _, _ in found.missed}
    return render(
        "statistics.html",
        deck=deck,
        decks=service.store.decks(now(), learner=service.learner),
        found=found,
        questions=questions,
        total=sum(found.ratings),
        passed=(sum(p for _, p, _ in found.retention), sum(n for _, _, n in found.retention)),
        charts=[
            columns("Reviews a day", "the last 90 days", found.days, "day", "reviews"),
            columns("Cards due", "the next 30 days", found.forecast, "day", "cards"),
            columns("Remembered when due", "by week, in percent", weeks, "week of", "%", most=100),
            columns(
                "Ratings",
                "the last 90 days",
                [(str(rating), n) for rating, n in enumerate(found.ratings, 1)],
                "rating",
                "answers",
            ),
        ],
    )


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
