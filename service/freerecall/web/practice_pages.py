"""The practice pages: a question, an answer's result, and what the learner does with it."""

import uuid
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from freerecall import access, library, practice
from freerecall.access import Identity
from freerecall.api.clock import now
from freerecall.api.rules import OwnAnswer, TheService, Who
from freerecall.api.service import Service
from freerecall.practice import MAX_ANSWER, AnswerResult
from freerecall.store import NextCard, Only, Session
from freerecall.web.marks import marked
from freerecall.web.render import render
from freerecall.wording import changes, until

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Sitting:
    """Which deck ("" is all of them) and which of its cards, as the address says it."""

    deck: str
    session: Session

    @property
    def query(self) -> str:
        """What the address says beside the deck, for links; it may be empty."""
        chosen = self.session
        parts = {
            "only": chosen.only.value if chosen.only is not Only.ALL else "",
            "tag": chosen.tag,
            "seed": "" if chosen.seed is None else str(chosen.seed),
            "session": chosen.id,
        }
        return urlencode({name: value for name, value in parts.items() if value})

    @property
    def address(self) -> str:
        """Where the next question is."""
        return self.with_more("")

    def with_more(self, more: str) -> str:
        """Return `address` with a further parameter."""
        path = f"/practice/{quote(self.deck)}" if self.deck else "/practice"
        query = "&".join(part for part in (self.query, more) if part)
        return f"{path}?{query}" if query else path

    def result(self, answer_id: str) -> str:
        """Where an answer's result is, in this sitting."""
        query = "&".join(part for part in (f"deck={quote(self.deck)}", self.query) if part)
        return f"/answers/{answer_id}?{query}"


def chosen_session(
    only: Only = Only.ALL,
    tag: Annotated[str, Query(max_length=200)] = "",
    seed: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    session: Annotated[str, Query(max_length=200)] = "",
) -> Session:
    """Read the choice of cards from the address; cramming gets an id, so that no card comes twice."""
    if only is Only.CRAM and not session:
        session = uuid.uuid4().hex
    return Session(only, tag, seed, session)


TheSession = Annotated[Session, Depends(chosen_session)]


@router.get("/practice")
@router.get("/practice/{deck_id}")
def question_page(
    who: Who,
    service: TheService,
    session: TheSession,
    deck_id: str = "",
    card: Annotated[str, Query(max_length=400)] = "",
    again: Annotated[str, Query(max_length=100)] = "",
    hint: Annotated[int, Query(ge=0, le=2)] = 0,
) -> Response:
    """The next question, or when there is one again.

    `card` asks for that card (after an undo), `again` repeats an answer's card without a review.
    """
    at, sitting = now(), Sitting(deck_id, session)
    missed: list[str] = []
    if deck_id:
        access.check_deck(service.store, who, deck_id)
    if again:
        access.check_answer(service.store, who, again)
        before = practice.result(service.store, again)
        following = NextCard(before.card, 0, 0, None)
        missed = ["" for item in before.grade.evidence if item.verdict not in ("covered",)]
    elif card:
        access.check_card(service.store, who, card)
        following = NextCard(service.store.card(card), 0, 0, None)
    else:
        following = practice.next_card(
            service.store, deck_id or None, now=at, learner=who.learner, session=session
        )
    if following.card is None:
        when = until(following.next_due, at) if following.next_due else ""
        return render("done.html", sitting=sitting, when=when)
    return render(
        "question.html",
        sitting=sitting,
        card=following.card,
        due=following.due,
        new=following.new,
        answer_id=uuid.uuid4().hex,
        longest=MAX_ANSWER,
        scheduled=not again and session.only is not Only.CRAM,
        again=bool(again),
        missed=len(missed),
        level=hint,
        help=library.hint(following.card, hint) if hint else [],
    )


@router.post("/practice")
@router.post("/practice/{deck_id}")
def answer_form(
    who: Who,
    service: TheService,
    session: TheSession,
    card_id: Annotated[str, Form()],
    client_answer_id: Annotated[str, Form()],
    deck_id: str = "",
    answer: Annotated[str, Form()] = "",
    elapsed_ms: Annotated[str, Form()] = "",
    dont_know: Annotated[str, Form()] = "",
    unscheduled: Annotated[str, Form()] = "",
    level: Annotated[str, Form()] = "0",
) -> Response:
    """Take an answer, show what came of it."""
    text = "" if dont_know else answer.replace("\r\n", "\n")
    elapsed = int(elapsed_ms) if elapsed_ms.isdecimal() and len(elapsed_ms) <= 12 else None
    result = service.submit(
        who,
        card_id,
        text,
        client_answer_id,
        elapsed,
        scheduled=not unscheduled,
        session=session.id,
        hints=int(level) if level in ("1", "2") else 0,
    )
    return RedirectResponse(Sitting(deck_id, session).result(result.answer_id), status_code=303)


@router.post("/hold")
@router.post("/hold/{deck_id}")
def hold_form(
    who: Who,
    service: TheService,
    session: TheSession,
    card_id: Annotated[str, Form(max_length=400)],
    how: Annotated[str, Form(max_length=20)],
    deck_id: str = "",
) -> Response:
    """Not now: another card."""
    access.check_card(service.store, who, card_id)
    library.hold(service.store, card_id, how, now=now(), learner=who.learner)
    return RedirectResponse(Sitting(deck_id, session).address, status_code=303)


@router.get("/answers/{answer_id}")
def result_page(
    answer_id: OwnAnswer, who: Who, service: TheService, session: TheSession, deck: str = ""
) -> Response:
    """The rating, the evidence for it, and what follows."""
    return _result(practice.result(service.store, answer_id), Sitting(deck, session), who, service)


@router.post("/answers/{answer_id}/override")
def override_form(
    answer_id: OwnAnswer,
    service: TheService,
    session: TheSession,
    rating: Annotated[int, Form(ge=1, le=5)],
    reason: Annotated[str, Form(max_length=practice.MAX_REASON)] = "",
    deck: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The learner knows better."""
    practice.override(service.store, answer_id, rating, reason, now=now())
    return RedirectResponse(Sitting(deck, session).result(answer_id), status_code=303)


@router.post("/answers/{answer_id}/undo")
def undo_form(
    answer_id: OwnAnswer,
    service: TheService,
    session: TheSession,
    deck: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Take it back, and ask again."""
    card = practice.undo(service.store, answer_id)
    return RedirectResponse(Sitting(deck, session).with_more(f"card={quote(card.id)}"), status_code=303)


@router.post("/undo")
@router.post("/undo/{deck_id}")
def undo_last_form(who: Who, service: TheService, session: TheSession, deck_id: str = "") -> Response:
    """Take the last answer back from wherever one is."""
    last = service.store.last_answer(who.learner)
    sitting = Sitting(deck_id, session)
    if last is None:
        return RedirectResponse(sitting.address, status_code=303)
    card = practice.undo(service.store, last)
    return RedirectResponse(sitting.with_more(f"card={quote(card.id)}"), status_code=303)


def _result(result: AnswerResult, sitting: Sitting, who: Identity, service: Service) -> Response:
    asks = service.asks_model(who.learner)
    return render(
        "result.html",
        result=result,
        grade=result.grade,
        card=result.card,
        sitting=sitting,
        pieces=marked(result.answer, result.grade.evidence),
        due=until(result.due, now()),
        sure=_sure(result.grade.confidence),
        waiting=result.pending and asks,
        spent=result.pending and service.llm is not None and not asks,
        changed_from=result.earlier[-1].rating if result.earlier else None,
        changes=changes(result.earlier[-1], result.grade) if result.earlier else [],
        missed=any(item.verdict != "covered" for item in result.grade.evidence),
    )


def _sure(confidence: float) -> str:
    return "sure" if confidence >= 0.75 else "fairly sure" if confidence >= 0.5 else "not sure"
