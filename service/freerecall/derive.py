"""What a plain question and reference answer ask for: the card's kind and its key points.

Pure functions of untrusted text; they never raise. Splitting is conservative: where a reference
is not plainly a list, one key point that says all of it is better than fragments.
"""

import re

from freerecall.cards import KeyPoint, Kind

MAX_SENTENCE_POINTS = 6
"""Sentences beyond this many are joined to the last key point of a prose reference."""

_BULLET = "•‣◦▪●·*+–-"
_BULLET_LINE = re.compile(rf"^\s*(?:[{_BULLET}]\s+|•|\(?\d{{1,3}}[.)]\s+)(?=\S)")
_NUMBERED_LINE = re.compile(r"^\s*\(?\d{1,3}[.)]\s+(?=\S)")
_INLINE_BULLET = re.compile(r"(?:^|(?<=\s))[•*]\s+")
_INLINE_NUMBER = re.compile(r"(?:^|(?<=\s))\(?(\d{1,3})[.)]\s+(?=\S)")
_ARROW = re.compile(r"\s*(?:→|⇒|⟶|➔|➜|[-=]{1,3}>)\s*")
_BLANK = re.compile(r"_{3,}|\[\s*(?:\.{3}|…)\s*\]")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'’”)]*\s+(?=[\"'‘“(]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|cf|approx|fig|dr|mr|mrs|ms|st)\.$", re.IGNORECASE)
_LEANS_BACK = re.compile(
    r"(?:it|its|this|that|these|those|they|them|their|he|she|so|then|therefore|thus|hence|because|but|and"
    r"|or|also|however|otherwise|for example|for instance|e\.g\.|i\.e\.|which)\b",
    re.IGNORECASE,
)
_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_ACRONYM = re.compile(r"(?=(?:[^A-Z]*[A-Z]){2})[A-Za-z][A-Za-z0-9&/.-]{1,9}")
_DASH = re.compile(r"\s+[–—-]\s+")
_ASKS_TRUE_FALSE = re.compile(r"\b(?:true\s*(?:or|/)\s*false|t\s*/\s*f)\b", re.IGNORECASE)
_POLARITY = re.compile(r"[\"'“‘(]?\s*(true|false|yes|no|correct|incorrect)\b", re.IGNORECASE)
_ASKS_YES_NO = re.compile(
    r"(?:^|[,:;.]\s*)(?:is|are|was|were|do|does|did|can|could|will|would|should|must|may|has|have|had)(?:n['’]t)?\b"
    r"[^?]*\?",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    r"(?:yes|no)(?:\s*[.,;:!–—(]|\s+-|\s+(?:because|since|as|it|they|he|she|there|you|we)\b)", re.IGNORECASE
)
_ASKS_WHY = re.compile(r"\b(?:why|explain|reasons?|justify|how so)\b", re.IGNORECASE)
_ASKS_FOR_LIST = re.compile(
    r"\b(?:list|name|enumerate|identify|give|state|what are|which are|who are|what were"
    r"|(?:what|which|who)\b.{0,60}\b(?:two|three|four|five|six|seven|eight|nine|ten|\d+))\b",
    re.IGNORECASE,
)
_IN_ORDER = re.compile(
    r"\b(?:in (?:what|which|the right|the correct|chronological) (?:order|sequence)|in order(?! to\b)"
    r"|step[- ]by[- ]step|from (?:first|start|beginning) to (?:last|finish|end))\b",
    re.IGNORECASE,
)
_ORDERED_NOUN = re.compile(
    r"\b(?:steps|stages|phases|order|sequence|cycle|lifecycle|workflow|procedure|process|timeline|chronology)\b",
    re.IGNORECASE,
)
_LEADING_CLAUSE = re.compile(
    r"^(?:in|during|for|within|at|on|after|before|according to)\b[^,]*,\s*", re.IGNORECASE
)
_ASKED_UNTIL = re.compile(
    r"\b(?:of|in|for|to|during|about|with|within|regarding|from|at|on|after|before|by|between"
    r"|do|does|did|should|must|can|will)\b",
    re.IGNORECASE,
)
_AFFIRMATIVE = ("true", "yes", "correct")
_ACCEPT = {
    True: ("True", "Yes", "Correct", "Right", "T", "It is true", "That is correct"),
    False: ("False", "No", "Not true", "Incorrect", "Wrong", "Untrue", "Not correct", "F", "It is false"),
}
_SHARED_VERB = re.compile(
    r"(?:add|adjust|analy[sz]e|apply|assess|automate|build|catch|check|clean|collect|combine|compare|control"
    r"|correct|create|define|deliver|deploy|detect|document|evaluate|explore|find|fix|gather|handle|identify"
    r"|improve|increase|keep|load|manage|measure|merge|monitor|operate|plan|predict|prepare|prevent|provide"
    r"|reduce|release|remove|repair|replace|run|save|serve|split|store|test|track|train|transform|update|use"
    r"|validate|watch)\b",
    re.IGNORECASE,
)
_NOT_A_LISTED_THING = re.compile(
    r"\b(?:how|what|why|where|when|who|which|that|because|if|while|although|but|so|is|are|was|were|will|would"
    r"|can|could|should|must|has|have|had|does|do|did|it|they|he|she|you|we|i)\b",
    re.IGNORECASE,
)


def kind_of(question: str, reference: str) -> Kind:
    """Say what `question` asks for, judging by its wording and the form of `reference`."""
    if _BLANK.search(question) or re.match(r"\s*fill in the (?:blank|gap)s?\b", question, re.IGNORECASE):
        return Kind.CLOZE
    bare = reference.strip().strip(".!\"'").casefold()
    if bare in ("true", "false", "yes", "no") or (
        _ASKS_TRUE_FALSE.search(question) and _POLARITY.match(reference.strip())
    ):
        return Kind.TRUE_FALSE
    if asks_yes_no(question) and _YES_NO.match(reference.strip()):
        return Kind.TRUE_FALSE
    items = list_items(reference)
    if not items and len(_ARROW.findall(_one_line(reference))) >= 2:
        return Kind.ORDERED_LIST
    if not items and _ASKS_FOR_LIST.search(question):
        items = _comma_items(reference)
    if len(items) < 2:
        return Kind.DEFINITION
    return Kind.ORDERED_LIST if _is_ordered(question, items) else Kind.LIST


def asks_yes_no(question: str) -> bool:
    """Say whether `question` can be answered by yes or no, and not of itself by true or false."""
    return bool(_ASKS_YES_NO.search(question)) and not _ASKS_TRUE_FALSE.search(question)


def points_of(question: str, reference: str, kind: Kind | None = None) -> tuple[KeyPoint, ...]:
    """Return the key points of `reference`, in its order; none only where it is blank.

    `kind` None: as `kind_of` says. Each point's `accept` holds shorter or other wordings of it:
    without asides in parentheses, an acronym for its words, either side of an "a / b".
    """
    if not reference.strip():
        return ()
    kind = kind or kind_of(question, reference)
    if kind is Kind.TRUE_FALSE and (polarity := _POLARITY.match(reference.strip())):
        reason = reference.strip()[polarity.end() :].lstrip(" .,;:!–—-\"'”’")
        asked = _clauses(reason) if reason and _ASKS_WHY.search(question) else ()
        return (_polarity_point(polarity[1]), *map(_point, asked))
    if kind is Kind.CLOZE:
        texts = _blank_fillers(question, reference)
    elif items := list_items(reference):
        texts = items
    elif kind is Kind.DEFINITION:
        texts = _clauses(reference)
    else:
        texts = _loose_items(reference)
    points: dict[str, KeyPoint] = {}
    for text in texts:
        point = _point(text)
        points.setdefault(point.text.casefold(), point)
    return tuple(points.values()) or (KeyPoint(_one_line(reference)),)


def list_items(reference: str) -> tuple[str, ...]:
    """Return the items of a reference that is laid out as a list, or () where it is none.

    Understood: bullet or numbered lines (a first line without a bullet is an introduction),
    bullets or numbers within one line ("* a * b", "1. a 2. b"), and short bare lines.
    """
    return split_list(reference)[1]


def split_list(reference: str) -> tuple[str, tuple[str, ...]]:
    """Return (introduction, items); ("", ()) where `reference` is not laid out as a list."""
    lines = [line.strip() for line in reference.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if _BULLET_LINE.match(line)), None)
    if first is not None and (first == 0 or lines[first - 1].endswith(":") or first + 1 < len(lines)):
        items = _bulleted(lines[first:])
        if len(items) > 1 or not _NUMBERED_LINE.match(lines[first]):
            return " ".join(lines[:first]), tuple(items)
    if len(lines) == 1:
        intro, items = _inline_list(lines[0])
        return intro, tuple(items)
    wrapped_prose = any(lines[0][0].isupper() and line[0].islower() for line in lines[1:])
    short = all(len(line.split()) <= 12 and line[-1] not in ".!?,;" for line in lines)
    if len(lines) >= 2 and short and not wrapped_prose:
        intro = lines.pop(0) if lines[0].endswith(":") else ""
        return intro, tuple(lines)
    return "", ()


def _bulleted(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if _BULLET_LINE.match(line):
            items += _inline_list(line)[1] or [_BULLET_LINE.sub("", line).strip()]
        else:
            items[-1] = f"{items[-1]} {line}"
    return [item for item in items if item]


def _inline_list(line: str) -> tuple[str, list[str]]:
    head, *rest = _INLINE_BULLET.split(line)
    if rest and (not head or head.rstrip().endswith(":")):
        return head.strip(), [item for part in rest if (item := part.strip().rstrip(";"))]
    marks = list(_INLINE_NUMBER.finditer(line))
    if len(marks) >= 2 and [int(mark[1]) for mark in marks] == list(range(1, len(marks) + 1)):
        head = line[: marks[0].start()].strip()
        if not head or head.endswith(":"):
            ends = [mark.start() for mark in marks[1:]] + [len(line)]
            spans = zip(marks, ends, strict=True)
            return head, [line[mark.end() : end].strip().rstrip(";,") for mark, end in spans]
    return "", []


def _is_ordered(question: str, items: tuple[str, ...]) -> bool:
    if _IN_ORDER.search(question) or any(len(_ARROW.findall(item)) >= 2 for item in items):
        return True
    if all(re.match(r"(?:step|stage|phase)\s+\d", item, re.IGNORECASE) for item in items):
        return True
    if re.match(r"first\b", items[0], re.IGNORECASE) and re.match(
        r"(?:then|next|second|secondly|after)\b", items[1], re.IGNORECASE
    ):
        return True
    # What is asked for comes first: "the steps | of", "the goals | of the process", "which tools | do".
    asked = _ASKED_UNTIL.split(_LEADING_CLAUSE.sub("", question.strip()), maxsplit=1)[0]
    return bool(_ORDERED_NOUN.search(asked))


def _comma_items(text: str) -> tuple[str, ...]:
    """Return the parts of "a, b and c" where each is a short thing and not a clause; else ()."""
    text = _one_line(text).rstrip(".")
    if ";" in text:
        parts = text.split(";")
    else:
        outside = _PARENTHESES.sub(lambda aside: aside[0].replace(",", "\0"), text)
        parts = re.split(r",\s+(?:and\s+|or\s+)?|\s+and\s+(?=[^,]*$)", outside)
    items = [part.replace("\0", ",").strip() for part in parts]
    short = all(item and len(_PARENTHESES.sub("", item).split()) <= 4 for item in items)
    if len(items) < 2 or not short or any(_NOT_A_LISTED_THING.search(item) for item in items):
        return ()
    return tuple(items)


def _loose_items(reference: str) -> tuple[str, ...]:
    arrows = _ARROW.split(_one_line(reference).rstrip("."))
    if len(arrows) >= 2:
        return tuple(part for part in arrows if part)
    return _comma_items(reference) or _clauses(reference)


def _blank_fillers(question: str, reference: str) -> tuple[str, ...]:
    blanks = len(_BLANK.findall(question))
    parts = [part.strip() for part in re.split(r"[;,/]\s*|\n|\s+and\s+", reference) if part.strip()]
    return tuple(parts) if blanks > 1 and blanks == len(parts) else (_one_line(reference),)


def _clauses(reference: str) -> tuple[str, ...]:
    text = _one_line(reference)
    halves = [half.strip() for half in _outside_parentheses(text, ";")]
    if len(halves) > 1 and all(len(half.split()) >= 2 for half in halves):
        return tuple(halves)
    sentences = _sentences(text)
    if len(sentences) > 1:
        return tuple(sentences)
    return _shared_verb(text) or (text,)


def _outside_parentheses(text: str, mark: str) -> list[str]:
    hidden = _PARENTHESES.sub(lambda aside: aside[0].replace(mark, "\0"), text)
    return [part.replace("\0", mark) for part in hidden.split(mark)]


def _sentences(text: str) -> list[str]:
    """Return sentences that can stand alone; one that leans on the one before stays with it."""
    found: list[str] = []
    start = 0
    for end in [*_SENTENCE_END.finditer(text), None]:
        stop = end.end() if end else len(text)
        sentence = text[start:stop].strip()
        if end and _ABBREVIATION.search(text[max(start, end.start() - 12) : end.start()]):
            continue
        start = stop
        if not sentence:
            continue
        # A single word ("No.", "40.") belongs with what comes next.
        complete = " " in sentence and not _LEANS_BACK.match(sentence)
        if not found or (complete and " " in found[-1] and len(found) < MAX_SENTENCE_POINTS):
            found.append(sentence)
        else:
            found[-1] = f"{found[-1]} {sentence}"
    return found


def _shared_verb(text: str) -> tuple[str, ...]:
    """Return "Fix a, b, c" as "Fix a", "Fix b", "Fix c"; () where it has not that form."""
    verb, _, _ = text.partition(" ")
    items = _comma_items(text)
    if len(items) < 3 or not _SHARED_VERB.fullmatch(verb) or " " not in items[0]:
        return ()
    own = [_SHARED_VERB.match(item) for item in items[1:]]
    if any(own):
        return items if all(own) else ()
    return (items[0], *(f"{verb} {item}" for item in items[1:]))


def _polarity_point(word: str) -> KeyPoint:
    text = word.capitalize()
    accepted = _ACCEPT[word.casefold() in _AFFIRMATIVE]
    return KeyPoint(text, tuple(other for other in accepted if other != text))


def _point(text: str) -> KeyPoint:
    text = _one_line(text)
    if len(text) > 2 and text[0] + text[-1] in ("''", '""', "‘’", "“”") and text[0] not in text[1:-1]:
        text = text[1:-1]
    accept = dict.fromkeys(other for other in _other_wordings(text) if other and other != text)
    return KeyPoint(text, tuple(accept))


def _other_wordings(text: str) -> list[str]:
    found: list[str] = []
    asides = [aside.strip() for aside in _PARENTHESES.findall(text)]
    bare = _PARENTHESES.sub("", text).strip()
    if asides and bare:
        found.append(bare)
        found += [it for it in asides if _ACRONYM.fullmatch(it) or _initials(it) == bare.casefold()]
    sides = _DASH.split(bare)
    if len(sides) == 2:
        for short, other in (sides, sides[::-1]):
            if _ACRONYM.fullmatch(short) and " " not in short:
                found += [short, other]
                if short.endswith("aaS") and short[0].casefold() == other[:1].casefold():
                    found.append(f"{other} as a service")
                break
    slash = re.fullmatch(r"(?:(\S+) )?([\w-]+) / ([\w-]+)(?: (\S+))?", bare)
    if slash and not (slash[1] and slash[4]):
        before, left, right, after = slash.groups(default="")
        found += [" ".join(f"{before} {side} {after}".split()) for side in (left, right)]
    return found


def _initials(words: str) -> str:
    return "".join(word[0] for word in re.findall(r"\w+", words)).casefold()


def _one_line(text: str) -> str:
    return " ".join(text.split())
