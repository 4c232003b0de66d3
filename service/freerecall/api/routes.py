"""The routes under /api/v1."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from freerecall import __version__, grading, library, practice
from freerecall.api.clock import now
from freerecall.api.metrics import CONTENT_TYPE
from freerecall.api.models import (
    AnswerIn,
    AnswerOut,
    CardIn,
    CardOut,
    DeckOut,
    DeckSettingsIO,
    GradeIn,
    GradeOut,
    HealthOut,
    HintOut,
    HoldIn,
    ImportOut,
    NextOut,
    OverrideIn,
    QuestionOut,
    SkippedOut,
    StatisticsOut,
    UndoOut,
    card_out,
)
from freerecall.api.problems import documented
from freerecall.api.rules import (
    AskedDeck,
    CardToChange,
    CardToUse,
    DeckToUse,
    OwnAnswer,
    TheService,
    Who,
    admin,
)
from freerecall.errors import InputError
from freerecall.store import Only, Session

BEAT_S, BEATS = 15.0, 20

health = APIRouter(tags=["health"])
router = APIRouter(prefix="/api/v1")


@health.get("/healthz")
@router.get("/healthz", tags=["health"])
async def healthz() -> HealthOut:
    """Say that the service is up."""
    return HealthOut(status="ok", version=__version__)


@health.get("/readyz", responses={503: {"description": "Not yet"}})
def readyz(response: Response, service: TheService) -> HealthOut:
    """Say whether answers are graded at full speed and can be stored: 503 until then."""
    ready = service.ready.is_set() and service.store.can_write()
    response.status_code = 200 if ready else 503
    return HealthOut(status="ready" if ready else "not ready", version=__version__)


@health.get(
    "/metrics", dependencies=[Depends(admin)], responses=documented(), response_class=PlainTextResponse
)
def metrics(service: TheService) -> Response:
    """Return figures for Prometheus: to the token, an admin, or the one learner there is."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)


@router.post("/grade", tags=["grading"], responses=documented())
async def grade(body: GradeIn, who: Who, service: TheService) -> GradeOut:
    """Grade one answer, storing nothing."""
    card = grading.ad_hoc_card(
        body.question,
        body.reference,
        references=tuple(body.references),
        key_points=tuple(body.key_points),
        kind=body.kind,
    )
    mode = body.grader or service.mode
    llm = service.llm if await asyncio.to_thread(service.asks_model, who.learner) else None
    deadline_s = service.settings.deadline_s
    found = await service.ask(
        lambda: grading.grade(card, body.answer, mode=mode, llm=llm, deadline_s=deadline_s)
    )
    if found.provenance.cost_usd:
        await asyncio.to_thread(service.count_cost, who.learner, found.provenance.cost_usd)
    if llm is None and service.llm is not None and found.provisional:
        found = replace(found, provenance=replace(found.provenance, error=service.budget_spent))
    service.metrics.graded(found, "grade")
    return GradeOut.of(found)


@router.get("/decks", tags=["decks"], responses=documented())
def list_decks(who: Who, service: TheService) -> list[DeckOut]:
    """List the decks with what is due."""
    return [DeckOut.of(deck) for deck in service.store.decks(now(), learner=who.learner)]


@router.post(
    "/decks",
    status_code=201,
    tags=["decks"],
    responses=documented(409),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    },
)
async def upload_deck(
    request: Request,
    who: Who,
    service: TheService,
    format: Annotated[str | None, Query(max_length=40)] = None,
    name: Annotated[
        str, Query(max_length=200, description="The file's name, for a body of plain text.")
    ] = "upload",
) -> ImportOut:
    """Import a deck file: added whole, or not at all. The same file again changes nothing."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form(max_files=1, max_fields=8)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InputError('send the deck as the form\'s "file"')
        content, name = await file.read(), file.filename or name
    else:
        content = await request.body()
    read, change = await asyncio.to_thread(
        library.import_deck, service.store, content, format, name=name, who=who
    )
    skipped = [SkippedOut.model_validate(item) for item in read.skipped]
    return ImportOut.of(read.deck.id, read.deck.title, len(read.deck.cards), change, skipped)


@router.get("/decks/{deck_id}/cards", tags=["decks"], responses=documented(404))
def list_cards(
    deck_id: DeckToUse,
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> list[CardOut]:
    """List a deck's cards, answers and all, in the deck's order."""
    return [card_out(card) for card in service.store.cards(deck_id)[offset : offset + limit]]


@router.get("/practice/next", tags=["practice"], responses=documented(404))
def next_card(
    who: Who,
    service: TheService,
    deck: AskedDeck,
    only: Only = Only.ALL,
    tag: Annotated[str, Query(max_length=200)] = "",
    seed: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    session: Annotated[str, Query(max_length=200)] = "",
) -> NextOut:
    """Say which card to ask: the one due for longest, else the first new one.

    `only` narrows that to `due` or `new`, or asks anything (`cram`; a `session` id then keeps cards
    from coming twice). A `seed` draws the order.
    """
    chosen = Session(only, tag, seed, session)
    return NextOut.of(practice.next_card(service.store, deck, now=now(), learner=who.learner, session=chosen))


@router.post("/practice/answers", tags=["practice"], responses=documented(404, 409))
def submit_answer(body: AnswerIn, who: Who, service: TheService) -> AnswerOut:
    """Store an answer, grade it at once, and schedule its card.

    Idempotent in `client_answer_id`. With `pending`, a language model's verdict is still to come:
    `GET /answers/{answer_id}` has it then.
    """
    return AnswerOut.of_result(
        service.submit(
            who,
            body.card_id,
            body.answer,
            body.client_answer_id,
            body.elapsed_ms,
            scheduled=body.scheduled,
            session=body.session,
            hints=body.hints,
        )
    )


@router.get("/answers/{answer_id}", tags=["practice"], responses=documented(404))
def get_answer(answer_id: OwnAnswer, service: TheService) -> AnswerOut:
    """Return an answer with its newest grade."""
    return AnswerOut.of_result(practice.result(service.store, answer_id))


@router.post("/answers/{answer_id}/override", tags=["practice"], responses=documented(404, 409))
def override_answer(answer_id: OwnAnswer, body: OverrideIn, service: TheService) -> AnswerOut:
    """Let the learner's own rating stand; the card is rescheduled as if it had been given at once."""
    return AnswerOut.of_result(
        practice.override(service.store, answer_id, body.rating, body.reason, now=now())
    )


@router.get(
    "/answers/{answer_id}/events",
    tags=["practice"],
    response_class=StreamingResponse,
    responses=documented(404) | {200: {"content": {"text/event-stream": {}}}},
)
async def answer_events(answer_id: OwnAnswer, who: Who, service: TheService) -> StreamingResponse:
    """Stream what becomes of an answer, as server-sent events with an answer as `data`.

    `grade` at once; while it is pending, `verdict` when the model has spoken, or `failed`.
    """
    first = await asyncio.to_thread(practice.result, service.store, answer_id)

    async def stream() -> AsyncIterator[str]:
        yield _event("grade", first)
        result = first
        for _ in range(BEATS):
            if not result.pending or service.llm is None or service.leaving:
                return
            held = service.llm.held_s
            if held or not await asyncio.to_thread(service.asks_model, who.learner):
                yield _event("failed", result)
                return
            tried = await service.tried(answer_id, BEAT_S)
            result = await asyncio.to_thread(practice.result, service.store, answer_id)
            if not result.pending:
                yield _event("verdict", result)
            elif service.leaving:  # the page asks again, and finds the next start of the service
                return
            elif tried:
                yield _event("failed", result)
                return
            else:
                yield ": still waiting\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


def _event(name: str, result: practice.AnswerResult) -> str:
    return f"event: {name}\ndata: {AnswerOut.of_result(result).model_dump_json()}\n\n"


@router.post("/answers/{answer_id}/undo", tags=["practice"], responses=documented(404, 409))
def undo_answer(answer_id: OwnAnswer, service: TheService) -> UndoOut:
    """Take the newest answer back: the card's schedule is as if it had not been given."""
    return UndoOut(card=QuestionOut.model_validate(practice.undo(service.store, answer_id)))


@router.get("/cards/{card_id}/hint", tags=["practice"], responses=documented(404))
def card_hint(
    card_id: CardToUse, service: TheService, level: Annotated[int, Query(ge=1, le=2)] = 1
) -> HintOut:
    """Help a little: how many key points there are, then their words' first letters."""
    return HintOut(points=library.hint(service.store.card(card_id), level))


@router.post("/cards/{card_id}/hold", tags=["practice"], status_code=204, responses=documented(404))
def hold_card(card_id: CardToUse, body: HoldIn, who: Who, service: TheService) -> Response:
    """Put a card aside, or release it."""
    library.hold(service.store, card_id, body.how, now=now(), learner=who.learner)
    return Response(status_code=204)


@router.get("/cards/{card_id}", tags=["decks"], responses=documented(404))
def get_card(card_id: CardToUse, service: TheService) -> CardOut:
    """Return a card, answer and all."""
    return card_out(service.store.card(card_id))


@router.put("/cards/{card_id}", tags=["decks"], responses=documented(404))
def put_card(card_id: CardToChange, body: CardIn, service: TheService) -> CardOut:
    """Change a card; its history stays."""
    return card_out(library.edit_card(service.store, body.card(card_id)))


@router.get("/decks/{deck_id}/settings", tags=["decks"], responses=documented(404))
def get_deck_settings(deck_id: DeckToUse, who: Who, service: TheService) -> DeckSettingsIO:
    """Return a deck's limits and schedule."""
    return DeckSettingsIO.model_validate(service.store.deck_settings(who.learner, deck_id))


@router.put("/decks/{deck_id}/settings", tags=["decks"], responses=documented(404))
def put_deck_settings(
    deck_id: DeckToUse, body: DeckSettingsIO, who: Who, service: TheService
) -> DeckSettingsIO:
    """Set a deck's daily limits, its retention, its FSRS parameters."""
    library.configure(service.store, deck_id, body.settings(), who.learner)
    return get_deck_settings(deck_id, who, service)


@router.get("/statistics", tags=["practice"], responses=documented(404))
def statistics(who: Who, service: TheService, deck: AskedDeck) -> StatisticsOut:
    """Return how practice goes: the last 90 days and the next 30."""
    return StatisticsOut.of(service.store.statistics(deck, now(), learner=who.learner))
