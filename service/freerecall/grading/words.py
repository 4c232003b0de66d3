"""Which words there are: what is one is no slip of the keyboard for another."""

from functools import cache

from spellchecker import SpellChecker


@cache
def _english() -> frozenset[str]:
    return frozenset(SpellChecker(language="en").word_frequency.keys())


def load() -> None:
    """Read the list of words: 160,000, a tenth of a second."""
    _english()


def is_word(word: str) -> bool:
    """Say whether the normalised `word` is an English word, of those that are used at all."""
    return word in _english()
