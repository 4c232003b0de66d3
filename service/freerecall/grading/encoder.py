"""A small language encoder that reads question, reference and answer together, and says how far they agree.

A cross-encoder (Nogueira & Cho 2019) in the shape of MiniLM (Wang et al. 2020), fine-tuned on rated
answers by evals/train_encoder.py, in 8-bit weights, run by ONNX Runtime: no network, no key, 3 to
10 ms an answer. It reads meaning where the matchers read words; neither decides alone (see calibration).
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerecall.grading.text import normalise

Floats = NDArray[np.float32]

NAMES = ("at_least_2", "at_least_3", "at_least_4", "at_least_5", "correct", "contradictory")
"""What an opinion holds, as log-odds: of each rating, and of two of SemEval-2013 Task 7's labels."""
RATED, CORRECT = 4, 4
"""The first so many of NAMES speak of ratings; the next of being correct."""
FOLDER = Path(__file__).parent / "encoders"
CURRENT = "encoder-4"
MOST_TOKENS = (48, 96, 108)
"""Of question, reference and answer; what is beyond is not read. With the marks between them, 256."""
_CLS, _SEP = 101, 102
_ARROWS = re.compile(r"\s*(?:[-=]+>|→)\s*")
_MARKS = re.compile(r"[^\w\s.,;:!?%+'’/&°-]+")
_GAPS = re.compile(r"\s*[,;:.!?-](?:\s+[,;:.!?-]+)+(?=\s|$)")
_ENDS = re.compile(r"^[^\w%]+|[^\w%]+$")
_LOADING = Lock()


@dataclass(frozen=True, slots=True)
class _Encoder:
    session: Any
    tokenizer: Any

    def ids(self, text: str, most: int) -> list[int]:
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return found[:most]


@cache
def _load() -> _Encoder:
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    # Requests run side by side already; with more threads each they would only get in one another's way.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # kept for every length of answer there is
    options.log_severity_level = 3
    # Without it, processors that lack VNNI saturate 8-bit sums, and grades differ between machines.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        FOLDER / f"{CURRENT}.onnx", options, providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(FOLDER / f"{CURRENT}.tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return _Encoder(session, tokenizer)


def load() -> None:
    """Load the weights once, about 0.1 s."""
    with _LOADING:
        _load()


@lru_cache(maxsize=256)
def opinion(question: str, reference: str, answer: str) -> Floats:
    """Return the log-odds that NAMES names, shape [6]."""
    load()
    encoder = _load()
    asked, wanted = _card_ids(question, reference)
    said = encoder.ids(plain(answer), MOST_TOKENS[2])
    ids = [_CLS, *asked, _SEP, *wanted, _SEP, *said, _SEP]
    types = [0] * (len(asked) + 2) + [1] * (len(wanted) + 1) + [2] * (len(said) + 1)
    read = {"ids": np.array([ids], np.int64), "types": np.array([types], np.int64)}
    return np.asarray(encoder.session.run(None, read)[0][0], np.float32)


def plain(answer: str) -> str:
    """Return an answer as the encoder reads it: what a blanked passage leaves behind must not tell."""
    text = _MARKS.sub(" ", _ARROWS.sub(", ", normalise(answer)))
    return _ENDS.sub("", _GAPS.sub(",", " ".join(text.split())))


@lru_cache(maxsize=2_048)
def _card_ids(question: str, reference: str) -> tuple[list[int], list[int]]:
    encoder = _load()
    return encoder.ids(question, MOST_TOKENS[0]), encoder.ids(reference, MOST_TOKENS[1])


@lru_cache(maxsize=20_000)
def knows(word: str) -> bool:
    """Say whether the encoder has learned `word` whole, not only letter by letter."""
    load()
    return len(word) > 1 and len(_load().tokenizer.encode(word, add_special_tokens=False).ids) == 1


def mean(opinions: Floats) -> Floats:
    """Return the mean log-odds of the ratings, shape [...]: one number for how good an answer is."""
    return np.asarray(opinions[..., :RATED].mean(axis=-1), np.float32)


def expected(opinions: Floats) -> Floats:
    """Return the rating that the log-odds expect, 1–5, shape [...]."""
    return np.asarray(1 + (1 / (1 + np.exp(-opinions[..., :RATED]))).sum(axis=-1), np.float32)


def key_of(question: str) -> str:
    """Return what names a question among those that the encoder was trained on."""
    return hashlib.sha256(question.encode()).hexdigest()[:12]


@cache
def _seen() -> frozenset[str]:
    about = json.loads((FOLDER / f"{CURRENT}.json").read_text(encoding="utf-8"))
    return frozenset(about["seen"])


def unseen(questions: Iterable[str]) -> list[bool]:
    """Say of each question whether the encoder's training had no answer to it."""
    return [key_of(question) not in _seen() for question in questions]
