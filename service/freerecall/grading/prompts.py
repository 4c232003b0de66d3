"""Prompt files: `prompts/<name>.md`, front matter and then one `# role` section for each turn."""

import json
import re
from dataclasses import dataclass
from functools import cache
from string import Template

from freerecall.llm import Message
from freerecall.resources import folder

_TURN = re.compile(r"^# (system|user|assistant)$", re.MULTILINE)
_CONTROL_TOKEN = re.compile(r"<(?=[|/a-zA-Z_])|\[(?=/?[A-Z]{3,}\])")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file: `name` with its version, the turns of a conversation, and the rest of the front matter.

    `opening` are fixed (role, text) turns: the instructions, and examples; `user` is the last turn.
    """

    name: str
    opening: tuple[tuple[str, str], ...]
    user: Template
    about: dict[str, str]

    def messages(self, **parts: str) -> list[Message]:
        """Return the conversation: what is the same for every answer first, so that a provider caches it."""
        last = ("user", self.user.substitute(parts))
        return [{"role": role, "content": text} for role, text in (*self.opening, last)]


@cache
def read_prompt(name: str) -> Prompt:
    """Read a prompt file. Raises FileNotFoundError or ValueError where it is missing or of another form."""
    path = folder("prompts") / f"{name}.md"
    try:
        _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
        about = dict(line.split(": ", 1) for line in front.splitlines())
        parts = _TURN.split(body)[1:]
        *opening, (_, user) = zip(parts[::2], map(str.strip, parts[1::2]), strict=True)
        return Prompt(f"{about['name']}-v{about['version']}", tuple(opening), Template(user), about)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path.name}: not a prompt file: {error}") from error


def one_line(text: str) -> str:
    """Return `text` on one line, without what a chat template may read as its own marks."""
    return _CONTROL_TOKEN.sub(lambda mark: mark.group() + " ", " ".join(sendable(text).split()))


def as_data(text: str) -> str:
    """Return `text` as a JSON string: nothing in it can end the string or open a chat turn."""
    data = json.dumps(sendable(text), ensure_ascii=False)
    return _CONTROL_TOKEN.sub(lambda mark: f"\\u{ord(mark.group()):04x}", data)


def sendable(text: str) -> str:
    """Return `text` with half characters (lone surrogates) as question marks: they have no bytes to send."""
    return text.encode("utf-8", "replace").decode()
