"""Words that turn a statement round: opposites, and numbers."""

import re
from functools import lru_cache

from freerecall.grading.text import stem

_OPPOSITES = """
increase decrease|increase reduce|rise fall|raise lower|grow shrink|more less|more fewer|most least
many few|high low|higher lower|up down|above below|over under|maximum minimum|maximise minimise
maximize minimize|large small|big small|bigger smaller|larger smaller|long short|longer shorter|fast slow
faster slower|quick slow|strong weak|stronger weaker|hard soft|hard easy|difficult easy|heavy light
heavier lighter|thick thin|hot cold|warm cold|warm cool|heat cool|wet dry|full empty|fresh stale
light dark|bright dim|brighter dimmer|open closed|open close|open shut|complete incomplete
complete broken|intact broken|on off|start stop|start end|begin end|start finish|first last|before after
early late|earlier later|previous next|front back|top bottom|input output|in out|inside outside
internal external|import export|push pull|attract repel|north south|east west|left right
positive negative|plus minus|add remove|add subtract|gain lose|win lose|create destroy|build destroy
keep remove|keep discard|include exclude|accept reject|allow prevent|allow block|enable disable
enable prevent|help hinder|improve worsen|better worse|best worst|good bad|cheap expensive
cheaper costlier|rent own|rent buy|manual automatic|manual automated|manually automatically
human automatic|static dynamic|fixed variable|fixed changing|constant changing|same different
same opposite|similar different|equal unequal|like unlike|connected disconnected|connected separated
connected separate|join separate|attach detach|mix separate|online offline|local remote|public private
central distributed|single multiple|one several|all none|always never|everything nothing|everyone nobody
some none|every no|known unknown|seen unseen|labelled unlabelled|labeled unlabeled
supervised unsupervised|structured unstructured|raw processed|clean dirty|clean messy|stable unstable
reliable unreliable|valid invalid|correct incorrect|correct wrong|right wrong|true false
possible impossible|necessary unnecessary|safe dangerous|safe unsafe|simple complex|simple complicated
living dead|alive dead|native foreign|solid liquid|liquid gas|solid gas|soluble insoluble|float sink
dissolve crystallise|evaporate condense|freeze melt|conductor insulator|conduct insulate|parallel series
acid base|acidic alkaline|predator prey|producer consumer|male female|development production
experiment production|success failure|succeed fail|pass fail|continuous occasional|continuous once
straight circular|linear iterative|forward backward|forwards backwards|ahead behind|near far|narrow wide
shallow deep|active passive|sender receiver|encrypt decrypt|read write|upload download|cause effect
stay leave|stay change|remain change|lit unlit|afferent efferent|anode cathode|anion cation
mitosis meiosis|meiotic mitotic|anabolic catabolic|anabolism catabolism|debit credit|latitude longitude
monoxide dioxide|even odd
"""


PAIRS = tuple(
    (one, other) for one, other in map(str.split, filter(str.strip, re.split(r"[|\n]", _OPPOSITES)))
)
"""Words, whole, and their opposites."""


def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for one, other in (map(stem, pair) for pair in PAIRS):
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}


_TABLE = _table()
_PREFIXES = ("un", "in", "im", "dis", "non", "ir", "il", "mis")
_SWAPPED = [
    (one, other)
    for pair in (
        "hypo hyper|inter intra|endo exo|macro micro|mono poly|pre post|over under|homo hetero|sub super"
        "|sub supra|ab ad|in ex|ante post|mega micro"
    ).split("|")
    for one, other in (pair.split(), pair.split()[::-1])
]
"""Beginnings of words, each with that of the opposite: hypothermia, hyperthermia."""


@lru_cache(maxsize=20_000)
def opposites(word: str) -> frozenset[str]:
    """Return the stems that say the opposite of the stem `word`: listed, or by a negating prefix."""
    found = set(_TABLE.get(word, ()))
    if len(word) >= 4 and word.isalpha():
        found |= {prefix + word for prefix in _PREFIXES}
        found |= {word[len(p) :] for p in _PREFIXES if word.startswith(p) and len(word) - len(p) >= 4}
        for one, other in _SWAPPED:
            if word.startswith(one) and len(word) - len(one) >= 4:
                found.add(other + word[len(one) :])
    return frozenset(found)


def is_number(word: str) -> bool:
    """Say whether a normalised word is a number."""
    return word[:1].isdigit()
