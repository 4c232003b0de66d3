"""The routes under /api/v1."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import UploadFile

from freerecall import __version__, grading, library, practice
from freerecall.api.models import (
    AnswerIn,
    AnswerOut,
    CardOut,
    DeckOut,
    GradeIn,
    GradeOut,
    HealthOut,
    ImportOut,
    NextOut,
    OverrideIn,
    SkippedOut,
    card_out,
)
from freerecall.api.problems import documented
from freerecall.api.service import Service, now, service_of
from freerecall.errors import InputError

TheService = Annotated[Service, Depends(service_of)]
GRADE_DEADLINE_S = 30.0

health = APIRouter(tags=["health"])
router = APIRouter(prefix="/api/v1")


@health.get("/healthz")
@router.get("/healthz", tags=["health"])
async def healthz() -> HealthOut:
    """Say that the service is up."""
    return HealthOut(status="ok", version=__version__)


@router.post("/grade", tags=["grading"], responses=documented())
async def grade(body: GradeIn, service: TheService) -> GradeOut:
    """Grade one answer, storing nothing."""
    card = grading.ad_hoc_card(
        body.question,
        body.reference,
        references=tuple(body.references),
        key_points=tuple(body.key_points),
        kind=body.kind,
    )
    mode = body.grader or service.mode
    return GradeOut.of(
        await grading.grade(card, body.answer, mode=mode, llm=service.llm, deadline_s=GRADE_DEADLINE_S)
    )


@router.get("/decks", tags=["decks"], responses=documented())
def list_decks(service: TheService) -> list[DeckOut]:
    """List the decks with what is due."""
    return [DeckOut.of(deck) for deck in service.store.decks(now(), learner=service.learner)]


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
    read, change = await asyncio.to_thread(library.import_deck, service.store, content, format, name=name)
    skipped = [SkippedOut.model_validate(item) for item in read.skipped]
    return ImportOut.of(read.deck.id, read.deck.title, len(read.deck.cards), change, skipped)


@router.get("/decks/{deck_id}/cards", tags=["decks"], responses=documented(404))
def list_cards(
    deck_id: str,
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> list[CardOut]:
    """List a deck's cards, answers and all, in the deck's order."""
    return [card_out(card) for card in service.store.cards(deck_id)[offset : offset + limit]]


@router.get("/practice/next", tags=["practice"], responses=documented(404))
def next_card(service: TheService, deck: str | None = None) -> NextOut:
    """Say which card to ask: the one due for longest, else the first new one."""
    return NextOut.of(practice.next_card(service.store, deck, now=now(), learner=service.learner))


@router.post("/practice/answers", tags=["practice"], responses=documented(404, 409))
def submit_answer(body: AnswerIn, service: TheService) -> AnswerOut:
    """Store an answer, grade it at once, and schedule its card.

    Idempotent in `client_answer_id`. With `pending`, a language model's verdict is still to come:
    `GET /answers/{answer_id}` has it then.
    """
    return AnswerOut.of_result(
        service.submit(body.card_id, body.answer, body.client_answer_id, body.elapsed_ms)
    )


@router.get("/answers/{answer_id}", tags=["practice"], responses=documented(404))
def get_answer(answer_id: str, service: TheService) -> AnswerOut:
    """Return an answer with its newest grade."""
    return AnswerOut.of_result(practice.result(service.store, answer_id))


@router.post("/answers/{answer_id}/override", tags=["practice"], responses=documented(404))
def override_answer(answer_id: str, body: OverrideIn, service: TheService) -> AnswerOut:
    """Let the learner's own rating stand; the card is rescheduled as if it had been given at once."""
    return AnswerOut.of_result(
        practice.override(service.store, answer_id, body.rating, body.reason, now=now())
    )
