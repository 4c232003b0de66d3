"""The rules that routes are held to, as dependencies: each route names the one for its object.

The guard has refused whoever is not logged in, but for the few paths that are open to nobody.
What only looks at the request is async, and so costs no thread; what asks the store is not.
"""

from typing import Annotated

from fastapi import Depends, Query, Request

from freerecall import access
from freerecall.access import Identity, Role
from freerecall.api.service import Service, service_of
from freerecall.errors import NotSignedInError

TheService = Annotated[Service, Depends(service_of)]


async def maybe_identity(request: Request) -> Identity | None:
    """Who asks, where the guard found out."""
    who: Identity | None = request.state.identity
    return who


async def identity(request: Request) -> Identity:
    """Who asks. Raises NotSignedInError."""
    who = await maybe_identity(request)
    if who is None:
        raise NotSignedInError("log in first")
    return who


Anyone = Annotated[Identity | None, Depends(maybe_identity)]
Who = Annotated[Identity, Depends(identity)]


async def teacher(who: Who) -> Identity:
    """Who asks, a teacher or an admin."""
    access.need(who, Role.TEACHER)
    return who


async def admin(who: Who) -> Identity:
    """Who asks, an admin."""
    access.need(who, Role.ADMIN)
    return who


Teacher = Annotated[Identity, Depends(teacher)]
Admin = Annotated[Identity, Depends(admin)]


async def deck_to_use(deck_id: str, who: Who, service: TheService) -> str:
    access.check_deck(service.door, who, deck_id)
    return deck_id


async def asked_deck(
    who: Who, service: TheService, deck: Annotated[str, Query(max_length=200)] = ""
) -> str | None:
    """The deck that the address names, None for all of them."""
    if not deck:
        return None
    access.check_deck(service.door, who, deck)
    return deck


async def card_to_use(card_id: str, who: Who, service: TheService) -> str:
    access.check_card(service.door, who, card_id)
    return card_id


async def card_to_change(card_id: str, who: Who, service: TheService) -> str:
    access.check_card(service.door, who, card_id, change=True)
    return card_id


async def own_answer(answer_id: str, who: Who, service: TheService) -> str:
    access.check_answer(service.door, who, answer_id)
    return answer_id


async def own_paper(paper_id: str, who: Who, service: TheService) -> str:
    access.check_paper(service.door, who, paper_id)
    return paper_id


async def class_paper(paper_id: str, who: Teacher, service: TheService) -> str:
    access.check_paper(service.door, who, paper_id)
    return paper_id


async def sitting_to_write(sitting_id: str, who: Anyone, service: TheService) -> str:
    _check_sitting(sitting_id, who, service, report=False)
    return sitting_id


async def sitting_to_read(sitting_id: str, who: Anyone, service: TheService) -> str:
    _check_sitting(sitting_id, who, service, report=True)
    return sitting_id


def _check_sitting(sitting_id: str, who: Identity | None, service: Service, *, report: bool) -> None:
    if who is None and service.door.sitting(sitting_id).learner is not None:
        raise NotSignedInError("log in first: this sitting belongs to an account")
    access.check_sitting(service.door, who, sitting_id, report=report)


DeckToUse = Annotated[str, Depends(deck_to_use)]
AskedDeck = Annotated[str | None, Depends(asked_deck)]
CardToUse = Annotated[str, Depends(card_to_use)]
CardToChange = Annotated[str, Depends(card_to_change)]
OwnAnswer = Annotated[str, Depends(own_answer)]
OwnPaper = Annotated[str, Depends(own_paper)]
ClassPaper = Annotated[str, Depends(class_paper)]
SittingToWrite = Annotated[str, Depends(sitting_to_write)]
SittingToRead = Annotated[str, Depends(sitting_to_read)]
