"""HTML from strangers made into plain text, the only thing that a card holds."""

import html
import re

import nh3

from freerecall.decks.text import clean

_KEPT = {
    "br",
    "div",
    "p",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "img",
}
_ITEM = re.compile(r"<li>\s*")
_BREAK = re.compile(r"</?(?:br|div|p|ul|ol|tr|table|h[1-6]|hr)>|</li>")
_CELL = re.compile(r"</t[dh]>")
_TAG = re.compile(r"<[^>]*>")
_MEDIA = re.compile(r"<img\b[^>]*>|\[sound:[^\]\n]{0,500}\]")
_BLANK_LINES = re.compile(r"\n\s*\n+")


def to_text(source: str) -> tuple[str, int]:
    """Return the text of an HTML fragment, and how many pictures and sounds were left out of it.

    Blocks become lines, list items lines with a bullet. Scripts, styles and comments are dropped
    with what is in them (nh3, after the HTML standard's parser).
    """
    if "<" not in source and "&" not in source and "[sound:" not in source:
        return clean(source), 0
    safe = nh3.clean(
        source.replace("\x00", "").replace("\n", " "),
        tags=_KEPT,
        attributes={},
        clean_content_tags={"script", "style", "title", "template", "noscript", "iframe", "object", "svg"},
        strip_comments=True,
    )
    safe, media = _MEDIA.subn(" ", safe)
    safe = _CELL.sub(" \t", _BREAK.sub("\n", _ITEM.sub("\n• ", safe)))
    text = html.unescape(_TAG.sub("", safe))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return clean(_BLANK_LINES.sub("\n", "\n".join(line for line in lines if line and line != "•"))), media
