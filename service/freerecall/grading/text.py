"""Typed text as tokens: normalised words with stems, places in the original, clauses and negation."""

import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import snowballstemmer

MAX_TOKENS = 600
"""Longer texts are read up to here: no reference needs more, and time stays bounded."""

_WORD = re.compile(
    r"""[^\W_](?:[^\W_]|[\u00ad\u200b-\u200f\u2060\ufeff\u0300-\u036f])*(?:['’`´"][^\W\d_]{1,3}(?![^\W_]))?|%"""
)
_CLAUSE_END = re.compile(
    r"[.!?;:\n•*→]|,|(?<!\w)[-–—](?!\w)|->|=>|(?<=\s)[/+&](?=\s)"
    r"|\b(?:but|however|whereas|although|though|while|because|since|so that)\b",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_APOSTROPHE = re.compile(r"""['’`´"]""")

_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
} | {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6",
     "1st": "1", "2nd": "2", "3rd": "3", "4th": "4", "5th": "5", "6th": "6"}  # fmt: skip

HEDGES = frozenset("about around roughly approximately approx circa ca nearly almost some over".split())
"""Words that make a figure a rough one."""

STOPWORDS = frozenset(
    """a about also am an and any are as at be been being both by can could did do does doing each either
    etc for from further get gets got had has have having he her here him his how i if in into is it its
    itself just kind like may me might much must my of off on one's or other our out over own per really shall
    she should so some something such than that the their them themselves then there these they thing things
    this those through to too up upon us use used uses using very via was we were what when where which who
    whom whose why will with would you your""".split()
)

NEGATIONS = frozenset(
    """no not never none nothing neither nor nobody nowhere without cannot cant dont doesnt didnt isnt arent
    wasnt werent wont wouldnt couldnt shouldnt hasnt havent hadnt aint hardly barely lack lacks lacking
    fail fails failed absent absence""".split()
)
_NEGATION_REACH = 6
_SHORT_REACH = {
    "no": 3,
    "without": 3,
    "lack": 3,
    "lacks": 3,
    "lacking": 3,
    "absence": 3,
    "none": 2,
    "nothing": 2,
}
"""How many words a negation reaches: "no" its noun, "not" the rest of its clause."""
_AFTER_LABEL = frozenset("and or is was are were will has to in on from with does goes burns".split())
_EMPTIED = re.compile(r"(?:\s+[.,;:!?]+)+(?=\s|$)|\s+[(\[]\W*[)\]]")
_BEFORE = re.compile(r"^(?:(?:it is|it ?['’]?s|in|the|an?)\s+)+", re.IGNORECASE)
_LOOSE_ENDS = re.compile(r"^[\s\W]+|[\s,;:|#*=>\-–—(\[{<\"'`]+$|[;'\"`][)\]]+\W*$")
_STEMMER, _STEMMING = snowballstemmer.stemmer("english"), threading.Lock()
"""It keeps the word it works on: one thread at a time, or words get one another's stems."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text. `text[start:end]` is what was typed; `clause` counts from 0."""

    word: str
    stem: str
    start: int
    end: int
    clause: int
    negated: bool
    is_content: bool


def normalise(text: str) -> str:
    """Return `text` case-folded, in compatibility form, without invisible characters or extra space."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return " ".join(folded.split())


def tidy(text: str) -> str:
    """Return `text` without loose marks and empty brackets: what a blanked passage leaves must not tell."""
    return _LOOSE_ENDS.sub("", _EMPTIED.sub("", " ".join(text.split())))


def bare(text: str) -> str:
    """Return `text` without "it is", an article or "in" before it, and without a full stop."""
    return _BEFORE.sub("", text.strip(" .!?"))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the English stem of a normalised word; numbers and names come back as they are."""
    if len(word) <= 3 or not word.isascii():
        return word
    with _STEMMING:
        return str(_STEMMER.stemWord(word))


@lru_cache(maxsize=50_000)
def _word(raw: str) -> tuple[str, bool]:
    """Return the normalised word and whether it is a negating contraction."""
    word = normalise(raw)
    if _APOSTROPHE.search(word):
        head, tail = _APOSTROPHE.split(word, maxsplit=1)
        if tail == "t" and head.endswith("n"):
            return head.removesuffix("n") + "nt", True
        word = head
    return _NUMBER_WORDS.get(word, word), word in NEGATIONS


def tokenise(text: str) -> list[Token]:
    """Split `text` into at most MAX_TOKENS tokens.

    A token is negated when a negation stands at most six words before it in its clause.
    """
    breaks = [match.start() for match in _CLAUSE_END.finditer(text)]
    tokens: list[Token] = []
    clause = next_break = 0
    reach = 0
    words = list(islice(_WORD.finditer(text), MAX_TOKENS))
    for i, match in enumerate(words):
        start = match.start()
        crossed = False
        while next_break < len(breaks) and breaks[next_break] < start:
            next_break += 1
            crossed = True
        if crossed and tokens:
            clause += 1
            reach = 0
        word, negates = _word(match.group())
        content = word not in STOPWORDS and not negates and word not in NEGATIONS
        if word == "a":
            content = _is_label(text, match, words[i + 1] if i + 1 < len(words) else None)
        tokens.append(Token(word, stem(word), start, match.end(), clause, reach > 0 and not negates, content))
        reach = _SHORT_REACH.get(word, _NEGATION_REACH) if negates else reach - 1
    return tokens


def _is_label(text: str, letter: re.Match[str], following: re.Match[str] | None) -> bool:
    """Tell the label in "bulbs A and C" from the article: no article stands before these words."""
    if following is None or text[letter.end() : following.start()].strip():
        return True
    word = following.group().casefold()
    return word in _AFTER_LABEL or (len(word) == 1 and word.isalpha())
