"""Static word vectors (WordLlama), and how alike words and phrases are by them.

The vectors ship inside the `wordllama` wheel; nothing is downloaded. A vector's
length grows with how much its word says ("the" 1.6, "because" 4.7, "pipeline"
26), so it doubles as the word's weight.
"""

import logging
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIMENSIONS = 256
_LOADING = Lock()
_COS_UNRELATED, _COS_SAME = 0.25, 0.75


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Vectors]:
    level, handlers = logging.root.level, list(logging.root.handlers)
    import wordllama  # sets the root logger to INFO when imported

    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    model.tokenizer.no_padding()
    return model.tokenizer, model.embedding


def load() -> tuple[Any, Vectors]:
    """Load the vectors once (about 0.3 s) and return the tokeniser and the [vocabulary, 256] table."""
    with _LOADING:
        return _load()


@lru_cache(maxsize=20_000)
def word_vector(word: str) -> Vectors:
    """Return the sum of the vectors of the word's pieces, shape [256]."""
    tokenizer, table = load()
    ids = tokenizer.encode(word, add_special_tokens=False).ids
    return table[ids].sum(axis=0) if ids else np.zeros(DIMENSIONS, np.float32)


def word_vectors(words: list[str]) -> Vectors:
    """Return the words' vectors, shape [len(words), 256]."""
    if not words:
        return np.zeros((0, DIMENSIONS), np.float32)
    return np.stack([word_vector(word) for word in words])


def weights(vectors: Vectors) -> Vectors:
    """Return how much each word says, 0.1–1.5, from the vectors' lengths."""
    return np.asarray(np.minimum(np.maximum(_lengths(vectors) / 12.0, 0.1), 1.5), np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Return the vectors at length 1 (zero vectors stay zero)."""
    return np.asarray(vectors / np.maximum(_lengths(vectors), 1e-6)[..., None], np.float32)


def likeness(cosine: Vectors) -> Vectors:
    """Map cosines to 0–1: unrelated words are 0, synonyms 1."""
    scaled = (cosine - _COS_UNRELATED) / (_COS_SAME - _COS_UNRELATED)
    return np.asarray(np.minimum(np.maximum(scaled, 0.0), 1.0), np.float32)


def _lengths(vectors: Vectors) -> Vectors:
    # A third of the time of np.linalg.norm for so few vectors.
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)), np.float32)
