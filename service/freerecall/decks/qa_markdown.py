"""Questions and answers in Markdown: headings, `Q:`/`A:` lines, or `question :: answer`."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from freerecall.cards import Card, Deck, Kind
from freerecall.decks.making import make_card
from freerecall.decks.result import MAX_CARDS, ImportResult, Skipped
from freerecall.decks.text import KeyMaker, clean_line, deck_id_from
from freerecall.errors import DeckError

_LABEL = r"^\s{0,3}(?:[-*]\s+)?(?:\*\*|__)?(?:%s)(?:\*\*|__)?\s*[:.](?:\*\*|__)?\s*(.*)$"
_Q = re.compile(_LABEL % "Q|Question", re.IGNORECASE)
_A = re.compile(_LABEL % "A|Answer", re.IGNORECASE)
_PAIR = re.compile(r"^\s{0,3}(?:[-*]\s+)?(\S.*?)\s+::\s+(\S.*)$")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+\S", re.MULTILINE)
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)


@dataclass(slots=True)
class _Section:
    """A heading with what stands below it: `level` 1–6, 0 before the first."""

    level: int
    heading: str
    line: int
    body: list[str]
    quote: list[str]


def looks_like(text: str) -> bool:
    """Say whether one of the three layouts occurs."""
    lines = text.splitlines()
    asks = any(_Q.match(line) for line in lines) and any(_A.match(line) for line in lines)
    return asks or _paired(lines) or bool(_HEADING.search(text))


def _paired(lines: list[str]) -> bool:
    """Say whether most lines are `question :: answer`: one alone may stand in an answer."""
    written = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return 2 * sum(bool(_PAIR.match(line)) for line in written) >= max(len(written), 1)


def parse(text: str, *, source: str, deck_id: str, stem: str) -> ImportResult:
    """Read Markdown. Raises DeckError where there is no question with an answer in it."""
    title, body, offset = stem, text, 0
    if front := _FRONT.match(text):
        found = _TITLE.search(front[1])
        title = clean_line(found[1]) if found else stem
        body, offset = text[front.end() :], front[0].count("\n")
    lines = body.splitlines()
    if any(_Q.match(line) for line in lines) and any(_A.match(line) for line in lines):
        pairs = _labelled(lines)
    elif _paired(lines):
        pairs = [
            (found[1], found[2], "", (), number)
            for number, line in enumerate(lines, 1)
            if (found := _PAIR.match(line))
        ]
    else:
        title, pairs = _below_headings(body, title, titled=title != stem)
    deck_id = deck_id or deck_id_from(title)
    keys = KeyMaker()
    cards: list[Card] = []
    skipped: list[Skipped] = []
    for number, (question, answer, footnote, tags, line) in enumerate(pairs, 1):
        made = make_card(_inline(question), answer, footnote=footnote, tags=tags)
        if isinstance(made, str):
            skipped.append(Skipped(number, line + offset, made))
        else:
            cards.append(replace(made, id=f"{deck_id}:{keys.key_for(made.question)}"))
        if len(cards) > MAX_CARDS:
            raise DeckError(f"a deck may have {MAX_CARDS} cards; split it into several", source=source)
    if not cards:
        raise DeckError(
            "there is no question with an answer; write a heading with text below it, or Q: and A: lines",
            source=source,
        )
    return ImportResult(Deck(deck_id, title or deck_id, tuple(cards)), tuple(skipped), "markdown")


def write(deck: Deck) -> str:
    """Return `deck` as headings with answers; key points are those that the answer's text gives again."""
    parts = [f"# {clean_line(deck.title)}"]
    for card in deck.cards:
        parts.append(f"## {_escaped(clean_line(card.question))}")
        lines = card.reference.split("\n")
        if card.kind in (Kind.LIST, Kind.ORDERED_LIST) and len(lines) == 1:
            ordered = card.kind is Kind.ORDERED_LIST
            items = [
                f"{f'{n}.' if ordered else '-'} {_escaped(point.text)}"
                for n, point in enumerate(card.points, 1)
            ]
            parts.append("\n".join(items))
        else:
            parts.append("\n\n".join(_escaped(line) for line in lines))
        if card.footnote:
            parts.append("\n".join(f"> {_escaped(line)}" for line in card.footnote.split("\n")))
    return "\n\n".join(parts) + "\n"


_Pair = tuple[str, str, str, tuple[str, ...], int]


def _labelled(lines: list[str]) -> list[_Pair]:
    """Read `Q:` and `A:` lines; an answer runs on to the next question."""
    starts = [number for number, line in enumerate(lines) if _Q.match(line)]
    pairs: list[_Pair] = []
    for start, end in pairwise([*starts, len(lines)]):
        block = lines[start:end]
        at = next((n for n, line in enumerate(block) if _A.match(line)), len(block))
        asked = [_matched(_Q, block[0]), *block[1:at]]
        said = [_matched(_A, block[at]), *block[at + 1 :]] if at < len(block) else []
        section = _read_body("\n".join(said))
        pairs.append((" ".join(asked), section[0], section[1], (), start + 1))
    return pairs


def _matched(pattern: re.Pattern[str], line: str) -> str:
    found = pattern.match(line)
    return found[1] if found else line


def _below_headings(text: str, title: str, *, titled: bool) -> tuple[str, list[_Pair]]:
    """Each heading with text directly below it is a question; headings above it are its tags."""
    pairs: list[_Pair] = []
    above: dict[int, str] = {}
    sections = _sections(text)
    filled = [section for section in sections if section.level and section.body]
    first = sections[1] if len(sections) > 1 else None
    if (
        first
        and first.level == 1
        and not titled
        and (not first.body or (len(filled) > 1 and min(s.level for s in filled[1:]) > 1))
    ):
        title = first.heading
        sections.remove(first)
    for section in sections:
        if not section.level:
            continue
        above = {level: heading for level, heading in above.items() if level < section.level}
        if section.body:
            tags = tuple("-".join(heading.lower().split()) for heading in above.values())
            body, quote = "\n".join(section.body), "\n".join(section.quote)
            pairs.append((section.heading, body, quote, tags, section.line))
        else:
            above[section.level] = section.heading
    return title, pairs


def _sections(text: str) -> list[_Section]:
    from markdown_it import MarkdownIt

    sections = [_Section(0, "", 1, [], [])]
    tokens = MarkdownIt("commonmark", {"html": False}).parse(text)
    lists: list[list[int]] = []
    quoted = heading = False
    for token in tokens:
        if token.type == "heading_open":
            heading = True
            sections.append(_Section(int(token.tag[1]), "", (token.map or [0])[0] + 1, [], []))
        elif token.type == "heading_close":
            heading = False
        elif token.type in ("blockquote_open", "blockquote_close"):
            quoted = token.type == "blockquote_open"
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            lists.append([int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else 0])
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif token.type in ("inline", "fence", "code_block"):
            words = _plain_inline(token) if token.type == "inline" else token.content.rstrip()
            if heading:
                sections[-1].heading = clean_line(words)
            elif quoted:
                sections[-1].quote.append(words)
            elif lists and token.type == "inline":
                number = lists[-1][0]
                sections[-1].body.append(f"{number}. {words}" if number else f"• {words}")
                lists[-1][0] += bool(number)
            else:
                sections[-1].body.append(words)
    return sections


def _read_body(text: str) -> tuple[str, str]:
    section = _sections(text)[0]
    return "\n".join(section.body), "\n".join(section.quote)


def _plain_inline(token: object) -> str:
    """Return the words of inline markup."""
    children = getattr(token, "children", None) or []
    words = (
        "\n" if child.type in ("softbreak", "hardbreak") else child.content
        for child in children
        if child.type in ("text", "code_inline", "softbreak", "hardbreak", "image")
    )
    return "".join(words)


def _inline(text: str) -> str:
    tokens = _sections(text.replace("\n", " "))
    return " ".join(tokens[0].body) or text


def _escaped(text: str) -> str:
    """Return text that Markdown reads back as it is."""
    text = re.sub(r"([\\`*_\[\]<>&#|!~])", r"\\\1", text)
    return re.sub(
        r"^(\s*)([-+]|\d+[.)])(?=\s)", lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", text
    )
