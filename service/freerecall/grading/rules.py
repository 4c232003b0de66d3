"""What is decided before any matching: whether nothing was said at all, or all of it, word for word."""

import re
from functools import lru_cache

from freerecall.cards import Card, Kind
from freerecall.grading.text import normalise

_DONT_KNOW = re.compile(
    r"""(?:well\ |um+\ |sorry\ |honestly\ |hmm+\ )*(?:
    i\ ?d\ ?k|dk|dunno|no\ (?:idea|clue)|i\ have\ no\ (?:idea|clue)(?:\ .{0,30})?
    |(?:i\ ?a?m\ )?not\ (?:sure|certain)
    |(?:i\ )?(?:do\ not|dont|do\ nt|cant|cannot|can\ not)\ (?:really\ )?
        (?:know|kno|knwo|knpw|remember|recall|say|answer)(?:\ .{0,30})?
    |(?:i\ )?(?:forgot|forget|have\ forgotten)(?:\ .{0,20})?
    |pass|skip|next|na|n\ ?a|none|nothing|blank|no\ answer|just\ guessing|beats\ me
    |(?:ich\ )?wei(?:ß|ss)\ (?:ich\ |es\ )?nicht|keine\ ahnung|je\ ne\ sais\ pas|aucune\ id[eé]e
    |no\ (?:lo\ )?s[eé]|non\ (?:lo\ )?so|n[aã]o\ sei|ik\ weet\ het\ niet|nie\ wiem|не\ знаю
    |知らない|わかりません|不知道|모르겠어요
    )(?:\ (?:sorry|at\ all|yet|tbh|lol|sry))*""",
    re.VERBOSE,
)
_NOT_WORD = re.compile(r"[^\w\s]+|_+")
_WORD_OR_SIGN = re.compile(r"\d+(?:[.,:/]\d+)+|[^\W_]+|(?<=\w)-(?=[^\W\d_])|[^\w\s.,;:\"“”„…]")
"""Signs are told apart: C++ is not C, n! not n, and −5 not 5. A hyphen in a word is not."""
_IGNORED = frozenset(("an", "the", "-"))
_SMALL = frozenset(
    "a an the and is are was were be of to in on at for with by as it its that which this".split()
)
_TELEGRAM = 3
"""Words from which an answer may lack small ones."""
_LABELLED = 3
"""Words up to which "a" may be a name and no article, where one of these follows: "A minor"."""
_AFTER_LABEL = frozenset("minor major flat sharp level positive negative".split())


def is_dont_know(answer: str) -> bool:
    """Say whether the whole answer is only a way of saying that the learner does not know."""
    plain = " ".join(_NOT_WORD.sub(lambda m: "" if m.group() in "'’`´" else " ", normalise(answer)).split())
    return bool(_DONT_KNOW.fullmatch(plain))


def is_word_for_word(answer: str, card: Card) -> bool:
    """Say whether the answer is a full answer of the card's, or all its key points, in the card's own words.

    Case, full stops, articles, and in a longer answer other small words left out, do not matter. A bare
    verdict is not the whole of a true-or-false card.
    """
    said = word_for_word(answer)
    if card.kind is Kind.TRUE_FALSE and len(said) < 2:
        return False
    full = _full_answers(card)
    return said in full or (len(said) >= _TELEGRAM and any(_abridges(said, one) for one in full))


def _abridges(said: tuple[str, ...], full: tuple[str, ...]) -> bool:
    """Say whether `said` is `full` with nothing but small words left out."""
    left = iter((*said, ""))
    wanted = next(left)
    for word in full:
        if word == wanted:
            wanted = next(left)
        elif word not in _SMALL:
            return False
    return not wanted


@lru_cache(maxsize=2_048)
def _full_answers(card: Card) -> frozenset[tuple[str, ...]]:
    points = ", ".join(point.text for point in card.points)
    return frozenset(map(word_for_word, (card.reference, *card.alternatives, points))) - {()}


def word_for_word(text: str) -> tuple[str, ...]:
    """Return the words and signs of `text`, without articles."""
    words = tuple(word for word in _WORD_OR_SIGN.findall(normalise(text)) if word not in _IGNORED)
    is_label = len(words) <= _LABELLED and (words[-1:] == ("a",) or not _AFTER_LABEL.isdisjoint(words))
    return words if is_label else tuple(word for word in words if word != "a")
