"""Who asks, and what they may reach: every rule about ownership and roles is here.

What is another's answers as if it were not there (NotFoundError); a role that is missing is said
(ForbiddenError).
"""

from dataclasses import dataclass
from enum import StrEnum

from freerecall.errors import ForbiddenError, NotFoundError
from freerecall.store import Sitting, Store


class Role(StrEnum):
    """What an account may do; each may do what the one before it may."""

    LEARNER = "learner"
    TEACHER = "teacher"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `name` is the account's, `session` the hash of the session's id; "" where there is none."""

    learner: str
    role: Role
    name: str = ""
    session: str = ""

    @property
    def teaches(self) -> bool:
        return self.role is not Role.LEARNER


LOCAL = Identity("local", Role.ADMIN)
"""The only learner while there are no accounts, and whoever holds FREERECALL_TOKEN."""


def need(who: Identity, role: Role) -> None:
    """Raise ForbiddenError where `who` may do less than `role`."""
    order = list(Role)
    if order.index(who.role) < order.index(role):
        raise ForbiddenError(f"this needs the role {role}; you have the role {who.role}")


def check_deck(store: Store, who: Identity, deck_id: str, *, change: bool = False) -> None:
    """A deck without an owner is everybody's to use and teachers' to change; others are their owner's.

    Raises NotFoundError, ForbiddenError.
    """
    _check_owner(store.owner_of_deck(deck_id), who, f"there is no deck {deck_id!r}", change)


def check_card(store: Store, who: Identity, card_id: str, *, change: bool = False) -> None:
    """As its deck. Raises NotFoundError, ForbiddenError."""
    _check_owner(store.owner_of_card(card_id), who, f"there is no card {card_id!r}", change)


def may_change_card(store: Store, who: Identity, card_id: str) -> bool:
    """Say whether `check_card` lets `who` change a card."""
    try:
        check_card(store, who, card_id, change=True)
    except (NotFoundError, ForbiddenError):
        return False
    return True


def _check_owner(owner: str | None, who: Identity, missing: str, change: bool) -> None:
    if owner not in (None, who.learner) and who.role is not Role.ADMIN:
        raise NotFoundError(missing)
    if change and owner is None:
        need(who, Role.TEACHER)


def check_answer(store: Store, who: Identity, answer_id: str) -> None:
    """An answer is its learner's alone. Raises NotFoundError."""
    if store.answer(answer_id).learner != who.learner:
        raise NotFoundError(f"there is no answer {answer_id!r}")


def papers_of(who: Identity) -> str | None:
    """Return whose papers are listed for `who`; None: everybody's."""
    return None if who.role is Role.ADMIN else who.learner


def check_paper(store: Store, who: Identity, paper_id: str) -> None:
    """A paper is its owner's and the admins'. Raises NotFoundError."""
    owner = store.owner_of_paper(paper_id)
    if owner != who.learner and who.role is not Role.ADMIN:
        raise NotFoundError(f"there is no paper {paper_id!r}")


def check_sitting(store: Store, who: Identity | None, sitting_id: str, *, report: bool = False) -> Sitting:
    """Return a sitting. One without an account is open to whoever has its address, another is its learner's.

    A `report` may be read by the paper's owner and by admins, too. Raises NotFoundError.
    """
    sitting = store.sitting(sitting_id)
    if sitting.learner is None or (who is not None and who.learner == sitting.learner):
        return sitting
    if who is not None and report:
        check_paper(store, who, sitting.paper_id)
        return sitting
    raise NotFoundError("there is no such sitting")
