"""What an answer says to a yes-or-no question, or of a statement that is true or false."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice

from rapidfuzz import process
from rapidfuzz.distance import OSA

from freerecall.grading import polarity
from freerecall.grading.prepared import Prepared
from freerecall.grading.text import NEGATIONS, Token, tokenise
from freerecall.grading.words import is_word

_WITHIN = 12
"""Words of an answer among which a verdict is looked for."""
_TRUE = frozenset("true correct richtig wahr vrai verdadero vero".split())
_FALSE = frozenset("false incorrect wrong untrue falsch faux falso".split())
_YES = frozenset("t y yes yeah yea yep yup right ja oui si sí da agree agreed sure".split())
_NO = frozenset("f n no nope nah nein non nee nej disagree".split())
_VERDICTS = tuple(sorted(word for word in _TRUE | _FALSE | _YES | _NO if len(word) > 1))
_LEAST_SLIP = 3
_CERTAINLY = frozenset("course definitely certainly absolutely indeed always obviously exactly".split())
_LEADS = frozenset("is its the answer it thats that this i say think would well hm uh um".split())
_DENIES = frozenset("not isnt arent wasnt werent never dont doesnt didnt cannot cant couldnt wont".split())
_AUXILIARIES = frozenset(
    "is are was were am do does did can could will would should must may might has have had".split()
)
_CONTRACTED = frozenset(word for word in NEGATIONS if word.endswith("nt") or word == "cannot")
_STANDS_FOR_ALL = frozenset("it they he she this that these those one you we i all both each of them".split())
_EVERY = frozenset("all every each always any everything everyone everywhere only both entirely".split())
_SOME = frozenset("some most many few several sometimes usually often rarely partly partially mostly".split())


def expected(prepared: Prepared) -> bool | None:
    """Return the verdict that the card wants; None where its reference gives none."""
    found = spoken(tokenise(prepared.points[0]))
    return spoken(tokenise(prepared.card.reference)) if found is None else found


def said(prepared: Prepared, tokens: Sequence[Token]) -> bool | None:
    """Return the verdict of an answer, in any of the ways to give one; None where it gives none."""
    *others, last = tokens
    at_the_end = spoken([last]) if is_bare(prepared, others) else None
    for found in (spoken(tokens), _for_all(prepared, tokens), _short(tokens), at_the_end):
        if found is not None:
            return found
    return _restated(prepared, tokens)


def spoken(tokens: Iterable[Token]) -> bool | None:
    """Return what an answer says by "true", "no" and their like, or None.

    "True" and "false" count among the first words wherever they stand; "no", "yes" only where they
    begin the answer ("no, …", "the answer is no"), as "no" may belong to a noun. "Not true" is false.
    """
    denied, leading = False, True
    for token in islice(tokens, _WITHIN):
        word = _meant(token.word)
        if word in _DENIES:
            denied = True
        elif word in _TRUE or (leading and word in _YES):
            return not denied
        elif word in _FALSE or (leading and word in _NO):
            return denied
        elif word not in _LEADS:
            leading = False
    return None


def is_both(tokens: Sequence[Token]) -> bool:
    """Say whether the answer gives both verdicts: "yes and no", "true or false"."""
    words = [_meant(token.word) for token in tokens[:_WITHIN]]
    both = zip(words, words[1:], words[2:], strict=False)
    return any(
        joined in ("and", "or") and {one in _YES | _TRUE, other in _YES | _TRUE} == {True, False}
        for one, joined, other in both
        if one in _VERDICTS and other in _VERDICTS
    )


def is_bare(prepared: Prepared, tokens: Iterable[Token]) -> bool:
    """Say whether the answer has a verdict and words of the question, and gives no reason."""
    asked = prepared.question_stems
    return all(
        token.stem in asked
        or token.word in _CERTAINLY | _SOME
        or spoken([token]) is not None
        or bool(polarity.opposites(token.stem) & asked)
        for token in tokens
        if token.is_content
    )


@lru_cache(maxsize=2_048)
def _meant(word: str) -> str:
    """Return the verdict that `word` is with one slip of the keyboard; else the word."""
    if len(word) < _LEAST_SLIP or word in _VERDICTS or is_word(word):
        return word
    near = process.extractOne(word, _VERDICTS, scorer=OSA.distance, score_cutoff=1)
    return near[0] if near else word


def _for_all(prepared: Prepared, tokens: Sequence[Token]) -> bool | None:
    """Some are not all: "most of them" to "do all …" is no."""
    asks_for_all = any(token.word in _EVERY for token in tokenise(prepared.card.question))
    words = {token.word for token in tokens}
    if asks_for_all and (words & _SOME or {"not", "all"} <= words) and is_bare(prepared, tokens):
        return False
    return None


def _short(tokens: Sequence[Token]) -> bool | None:
    """Return the verdict of "it does not", "all of them do", "of course", "not at all", "never"."""
    words = [token.word for token in tokens]
    others = [
        word
        for word in words
        if word not in _AUXILIARIES | _CONTRACTED | _STANDS_FOR_ALL | _DENIES | _CERTAINLY | {"at"}
    ]
    if not words or others:
        return None
    if any(word in _CONTRACTED | _DENIES for word in words):
        return False
    return True if any(word in _AUXILIARIES | _CERTAINLY for word in words) else None


def _restated(prepared: Prepared, tokens: Sequence[Token]) -> bool | None:
    """Return the verdict of an answer in the question's own words, in their order, turned round or not."""
    asked = tokenise(prepared.card.question)
    stems = [token.stem for token in asked if token.is_content]
    turns = _denials(tokens) + _denials(asked[1:])
    places = []
    for token in tokens:
        if not token.is_content:
            continue
        here = polarity.opposites(token.stem) & set(stems)
        if token.stem not in stems and not here:
            return None
        turns += token.stem not in stems
        places.append(stems.index(token.stem if token.stem in stems else min(here)))
    if not places or max(places) < min(1, len(stems) - 1) or places != sorted(places):
        return None
    return turns % 2 == 0


def _denials(tokens: Iterable[Token]) -> int:
    return sum(token.word in NEGATIONS for token in tokens)
