"""The pages of a deck: its cards, a card to edit and try, its settings, import and export."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from freerecall import access, decks, grading, library, practice, scheduling
from freerecall.access import Identity
from freerecall.api.clock import now
from freerecall.api.rules import CardToUse, DeckToUse, TheService, Who
from freerecall.api.service import Service
from freerecall.cards import Card, Kind
from freerecall.decks.points import dump_points, load_points
from freerecall.errors import FreerecallError, InputError, NotFoundError
from freerecall.grades import Grade
from freerecall.store import DeckSettings
from freerecall.web.marks import marked
from freerecall.web.render import render
from freerecall.wording import until

Text = Annotated[str, Form(max_length=100_000)]
PAGE = 50

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/decks/{deck_id}")
def deck_page(
    deck_id: DeckToUse,
    who: Who,
    service: TheService,
    q: Annotated[str, Query(max_length=200)] = "",
    tag: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """A deck's cards, to look through and to search."""
    return _deck_page(deck_id, who, service, q=q, tag=tag, page=page)


def _deck_page(
    deck_id: str,
    who: Identity,
    service: Service,
    *,
    q: str = "",
    tag: str = "",
    page: int = 1,
    said: str = "",
    status: int = 200,
) -> Response:
    store = service.store
    deck = store.deck_summary(deck_id, now(), learner=who.learner)
    cards, count = store.find_cards(deck_id, q, tag, limit=PAGE, offset=(page - 1) * PAGE)
    return render(
        "deck.html",
        status,
        deck=deck,
        cards=cards,
        count=count,
        page=page,
        pages=max(1, -(-count // PAGE)),
        q=q,
        tag=tag,
        tags=store.tags(deck_id),
        settings=store.deck_settings(who.learner, deck_id),
        retention=scheduling.RETENTION,
        formats=decks.WRITTEN,
        said=said,
    )


@router.post("/decks/{deck_id}/settings")
def settings_form(
    deck_id: DeckToUse,
    who: Who,
    service: TheService,
    new_per_day: Annotated[str, Form(max_length=10)] = "",
    reviews_per_day: Annotated[str, Form(max_length=10)] = "",
    retention: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Limits and retention."""
    before = service.store.deck_settings(who.learner, deck_id)
    try:
        settings = DeckSettings(
            _number(new_per_day, "new cards a day"),
            _number(reviews_per_day, "reviews a day"),
            _share(retention),
            before.parameters,
        )
        library.configure(service.store, deck_id, settings, who.learner)
    except InputError as error:
        return _deck_page(deck_id, who, service, said=str(error), status=422)
    return _deck_page(deck_id, who, service, said="Saved.")


@router.post("/decks/{deck_id}/fit")
def fit_form(deck_id: DeckToUse, who: Who, service: TheService) -> Response:
    """Fit the schedule to the learner's own reviews."""
    try:
        library.fit_schedule(service.store, deck_id, who.learner)
    except InputError as error:
        return _deck_page(deck_id, who, service, said=f"Not fitted: {error}.", status=422)
    return _deck_page(deck_id, who, service, said="The schedule is fitted to your reviews from now on.")


@router.get("/decks/{deck_id}/export")
def export(
    deck_id: DeckToUse, who: Who, service: TheService, format: Annotated[str, Query(max_length=20)] = "toml"
) -> Response:
    """The deck as a file."""
    deck = service.store.deck(deck_id)
    content = decks.write_deck(deck, format, service.store.history(who.learner, deck_id))
    name = f"{deck_id}.{decks.WRITTEN[format]}"
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/cards/{card_id}")
def card_page(card_id: CardToUse, who: Who, service: TheService) -> Response:
    """A card with all that belongs to it."""
    return _card_page(who, service, service.store.card(card_id))


@router.post("/cards/{card_id}")
def card_form(
    card_id: CardToUse,
    who: Who,
    service: TheService,
    question: Text = "",
    reference: Text = "",
    kind: Annotated[str, Form(max_length=40)] = Kind.DEFINITION.value,
    points: Text = "",
    alternatives: Text = "",
    footnote: Text = "",
    tags: Text = "",
    answer: Text = "",
    action: Annotated[str, Form(max_length=20)] = "save",
) -> Response:
    """Save the card, try an answer against it as it is in the form, or put it aside."""
    if action in library.HOLDS:
        library.hold(service.store, card_id, action, now=now(), learner=who.learner)
        said = "Put aside." if action != "release" else "It is asked again."
        return _card_page(who, service, service.store.card(card_id), said=said)
    if action == "save":
        access.check_card(service.store, who, card_id, change=True)
    form = {
        "question": question,
        "reference": reference,
        "kind": kind,
        "points": points,
        "alternatives": alternatives,
        "footnote": footnote,
        "tags": tags,
    }
    try:
        card = library.edit_card(service.store, _card_of(card_id, form), save=action == "save")
    except NotFoundError:
        raise
    except FreerecallError as error:
        return _card_page(
            who,
            service,
            service.store.card(card_id),
            form=form,
            answer=answer,
            said=f"Not saved: {error}.",
            status=422,
        )
    if action == "save":
        return _card_page(who, service, card, answer=answer, said="Saved.")
    grade = grading.grade_embedded(card, answer[: practice.MAX_ANSWER])
    return _card_page(who, service, card, form=form, answer=answer, grade=grade)


def _card_page(
    who: Identity,
    service: Service,
    card: Card,
    *,
    form: dict[str, str] | None = None,
    answer: str = "",
    grade: Grade | None = None,
    said: str = "",
    status: int = 200,
) -> Response:
    ids = service.store.answers_to(card.id, who.learner)
    past = [practice.result(service.store, id) for id in ids]
    return render(
        "card.html",
        status,
        card=card,
        may_change=access.may_change_card(service.store, who, card.id),
        deck_id=service.store.deck_of(card.id),
        form=form or _form(card),
        kinds=list(Kind),
        past=[(result, until(result.answered_at, now())) for result in past],
        answer=answer,
        grade=grade,
        pieces=marked(answer, grade.evidence) if grade else [],
        said=said,
    )


def _card_of(card_id: str, form: dict[str, str]) -> Card:
    """Return the card of a form: key points as decks.points writes them, alternatives one a line."""
    try:
        kind = Kind(form["kind"])
    except ValueError:
        raise InputError(f"the kind is {form['kind']!r}; it must be one of {', '.join(Kind)}") from None
    return Card(
        id=card_id,
        question=form["question"],
        reference=form["reference"],
        kind=kind,
        points=load_points(form["points"]),
        alternatives=tuple(form["alternatives"].splitlines()),
        footnote=form["footnote"],
        tags=tuple(form["tags"].split("," if "," in form["tags"] else None)),
    )


def _form(card: Card) -> dict[str, str]:
    return {
        "question": card.question,
        "reference": card.reference,
        "kind": card.kind.value,
        "points": dump_points(card.points),
        "alternatives": "\n".join(card.alternatives),
        "footnote": card.footnote,
        "tags": _dump_tags(card.tags),
    }


def _dump_tags(tags: tuple[str, ...]) -> str:
    """Return tags separated by blanks; by commas where a tag has a blank in it."""
    if any(" " in tag for tag in tags):
        return ", ".join(tags) + ("," if len(tags) == 1 else "")
    return " ".join(tags)


@router.get("/import")
def import_page(_: Who) -> Response:
    """Choose a file."""
    return render("import.html", formats=decks.FORMATS, said="", seen=None, key="")


@router.post("/import")
async def preview_form(request: Request, who: Who, service: TheService) -> Response:
    """Show what is in a file before anything is stored."""
    form = await request.form(max_files=1, max_fields=8)
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return render("import.html", 422, formats=decks.FORMATS, said="Choose a file.", seen=None, key="")
    content, name = await file.read(), file.filename
    try:
        seen = await asyncio.to_thread(library.preview, service.store, content, name, who=who)
    except FreerecallError as error:
        return render("import.html", 422, formats=decks.FORMATS, said=str(error), seen=None, key="")
    key = service.keep_upload(who, name, content)
    return render("import.html", formats=decks.FORMATS, said="", seen=seen, key=key)


@router.post("/import/{key}")
def import_form(key: str, who: Who, service: TheService) -> Response:
    """Store what the preview showed."""
    name, content = service.take_upload(who, key)
    read, _ = library.import_deck(service.store, content, name=name, who=who)
    return RedirectResponse(f"/decks/{read.deck.id}", status_code=303)


def _number(text: str, name: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isdecimal():
        raise InputError(f"{name}: {text!r} is no whole number")
    return int(text)


def _share(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text.strip().removesuffix("%").replace(",", "."))
    except ValueError:
        raise InputError(f"retention: {text!r} is no number") from None
    return value / 100 if value > 1 else value
