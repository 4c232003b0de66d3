"""The pages: all of them put together, the list of decks, the figures."""

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from freerecall.api.clock import now
from freerecall.api.rules import AskedDeck, TheService, Who
from freerecall.web import account_pages, deck_pages, exam_pages, practice_pages
from freerecall.web.charts import columns
from freerecall.web.render import STATIC, render

_ERRORS = {
    404: "Not here",
    401: "Not logged in",
    403: "Not allowed",
    429: "Too often",
    413: "Too large",
    422: "Not quite",
}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def error_page(status: int, detail: str) -> Response:
    """Return the page that says what went wrong."""
    return render("error.html", status, title=_ERRORS.get(status, "Something went wrong"), detail=detail)


def install(app: FastAPI) -> None:
    """Add the pages and what they load."""
    for part in (router, practice_pages.router, deck_pages.router, exam_pages.router, account_pages.router):
        app.include_router(part)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


@router.get("/")
def decks_page(who: Who, service: TheService) -> Response:
    """Which deck?"""
    decks = service.store.decks(now(), learner=who.learner)
    return render("decks.html", decks=decks, who=who)


@router.get("/statistics")
def statistics_page(who: Who, service: TheService, deck: AskedDeck) -> Response:
    """How does it go?"""
    found = service.store.statistics(deck, now(), learner=who.learner)
    weeks = [(week, round(100 * passed / of)) for week, passed, of in found.retention]
    questions = {card: service.store.card(card).question for card, _, _ in found.missed}
    return render(
        "statistics.html",
        deck=deck or "",
        decks=service.store.decks(now(), learner=who.learner),
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
