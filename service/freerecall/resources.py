"""Where the bundled files are: inside the installed package, or in a checkout."""

from functools import cache
from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


@cache
def folder(name: Literal["prompts", "deck"]) -> Path:
    """Return the folder of bundled prompts or decks.

    Raises FileNotFoundError where neither the wheel nor a checkout has it.
    """
    for candidate in (_PACKAGE / "bundled" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"freerecall's own {name}/ folder is missing: install it again")
