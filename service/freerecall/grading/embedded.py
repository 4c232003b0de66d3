"""The embedded grader: keywords and static embeddings, no network, no model call."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from freerecall.cards import Card, Kind
from freerecall.grades import DecidedBy, Evidence, FoundBy, Grade, Provenance, RatedAnswer, Verdict
from freerecall.grading import (
    calibration,
    combine,
    encoder,
    evidence,
    facts,
    feedback,
    manipulation,
    rules,
    verdicts,
)
from freerecall.grading import rated as rated_answers
from freerecall.grading.asides import UNLIKE, blank, without_asides
from freerecall.grading.prepared import prepare
from freerecall.grading.reading import Reading, read
from freerecall.grading.text import NEGATIONS, tokenise

_MOST_IF_DENIED = 2
_MOST_IF_GUESSED = 2
_MOSTLY = 0.5
"""Share of the key points, by weight, that an answer may contradict."""
_MOST_WITHOUT_VERDICT, _LEAST_WITH_VERDICT = 3, 3
_GAP_PARTIAL, _GAP_COVERED = 0.4, 0.75
_CLOZE_CONFIDENCE, _FACT_CONFIDENCE = 0.9, 0.95
_WORDS = 0.2
"""Share of an answer's letters that stand in words, below which it is noise."""
_NOISE = (0.05, 1, 0.6)
_VOWEL, _CLUSTER = re.compile(r"[aeiouy]"), re.compile(r"[^aeiouy\W\d_]{6}")
_QUOTED = 20
"""Characters from which the question, word for word in an answer, is no part of it."""
DOUBT = 1.0
"""Log-odds that count against an answer that may speak to the grader: what it gains must be plain."""
_GUESSED = 8
"""Content words up to which "x or y" is two guesses."""
_OR = re.compile(r"\s+(?:or|oder|ou|o)\s+|\s+/\s+", re.IGNORECASE)
_GUESSES = 3
"""Words that fit neither the gap nor the question, from which a cloze answer is guesswork."""


def grade_embedded(card: Card, answer: str, rated: Sequence[RatedAnswer] = ()) -> Grade:
    """Grade `answer` against `card`: a pure function of its arguments and of the calibration's version.

    `rated` are answers to this card that people have rated already.
    """
    grade = feedback.in_language_of(answer, _grade_guarded(card, answer, rated))
    return feedback.with_note(answer, grade, _grade_guarded(card, answer, ()).rating) if rated else grade


def _grade_guarded(card: Card, answer: str, rated: Sequence[RatedAnswer]) -> Grade:
    said = manipulation.without(answer, card)
    reading = read(card, said)
    suspect = manipulation.is_suspect(answer, card)
    doubt = DOUBT if suspect else 0.0
    grade = _grade_text(card, said, reading, rated, doubt=doubt)
    if grade.rating == 1 or reading is None or facts.is_settled(reading):
        return grade
    kept = _proven(reading, said)
    grades = [grade]
    if kept != said:
        grades.append(_grade_text(card, kept, read(card, kept), rated, doubt=doubt))
    if suspect:
        for text in dict.fromkeys((said, kept, _related(reading, kept))):
            by_words = _grade_text(card, text, read(card, text), rated, by_words=True, doubt=doubt)
            grades.append(by_words)
    return min(grades, key=lambda one: (one.rating, one.score))


def proven(card: Card, answer: str) -> list[str]:
    """Return the parts of `answer` that have to earn its rating alone, each with the rest blanked.

    All that does not speak to the grader, first; less what stands aside; and where it may speak to
    the grader all the same, only the words that are like the card's.
    """
    said = manipulation.without(answer, card)
    if (reading := read(card, said)) is None:
        return [said]
    parts = [said, kept := _proven(reading, said)]
    if manipulation.is_suspect(answer, card):
        parts.append(_related(reading, kept))
    return list(dict.fromkeys(parts))


def _proven(reading: Reading, said: str) -> str:
    asked = reading.prepared.card.question.strip().casefold()
    if len(asked) >= _QUOTED and (at := said.casefold().find(asked)) >= 0:
        said = blank(said, [(at, at + len(asked))])
    return without_asides(reading, said)


def _related(reading: Reading, said: str) -> str:
    """Return `said` with every word blanked that is like none of the card's.

    Beside a passage that speaks to the grader, stray words are more of the same: what is left of
    the answer has to earn its rating alone.
    """
    stray = (token for token, likeness in reading.likeness() if likeness < UNLIKE)
    return blank(said, [(token.start, token.end) for token in stray])


def _grade_text(
    card: Card,
    said: str,
    reading: Reading | None,
    rated: Sequence[RatedAnswer],
    *,
    by_words: bool = False,
    doubt: float = 0.0,
) -> Grade:
    """Grade what was `said`; `by_words` without the encoder, which fluent talk may impress.

    `doubt` is taken from the log-odds of every rating.
    """
    model = calibration.load()
    told = facts.bounds(reading) if reading else facts.ANY
    if said.strip() and told[1] == max(_SCORES) and rules.is_word_for_word(said, card):
        return _full(card, said, reading, model.version)
    if not said.strip() or rules.is_dont_know(said):
        return _nothing(card, model.version)
    if reading is None or (card.kind is not Kind.TRUE_FALSE and _only_echoes(reading)):
        return _nothing(card, model.version)
    if told[0] == told[1]:
        return _told(reading, told[0], model.version)
    if (ruled := _by_rule(reading, model.version)) is not None:
        return ruled
    if _is_guess(card, said, reading):
        return _told(reading, _MOST_IF_GUESSED, model.version)
    pull = rated_answers.log_odds(said, rated) - doubt
    graded = combine.rate(model, reading.inputs_by_words(model), reading.layer, pull)
    if _is_noise(reading):
        graded = min(graded, _NOISE)
    elif not by_words and graded[2] < model.sure:
        graded = combine.rate(model, reading.inputs(model), reading.layer, pull)
    score, rating, confidence = bounded(reading, *graded)
    found = evidence.agree(reading.evidence, rating, said, FoundBy.SEMANTICS)
    return _grade(found, score, rating, confidence, model.version)


def bounded(reading: Reading, score: float, rating: int, confidence: float) -> tuple[float, int, float]:
    """Return (score, rating, confidence) within what the card's kind and the answer's words allow."""
    least, most = 1, 5
    card = reading.prepared.card
    if card.kind is Kind.TRUE_FALSE:
        expected, said = _verdicts(reading)
        if said is None:
            most = _MOST_WITHOUT_VERDICT
        else:
            least, most = (_LEAST_WITH_VERDICT, 5) if said is expected else (1, 1)
    elif card.kind is Kind.CLOZE and _guesses(reading):
        most = _MOST_IF_GUESSED
    elif (told := facts.bounds(reading)) != facts.ANY:
        least, most = told
    elif _is_denied(reading):
        most = _MOST_IF_DENIED
    if least <= rating <= most:
        return score, rating, confidence
    rating = min(max(rating, least), most)
    return _SCORES[rating], rating, 0.5


def _is_denied(reading: Reading) -> bool:
    """Say whether the answer denies the one thing there is to say, or most of several and says none."""
    if reading.layer in calibration.SINGLE:
        return reading.denies
    against = sum(one.weight for one in reading.evidence if one.verdict is Verdict.CONTRADICTED)
    says_some = any(one.verdict in (Verdict.COVERED, Verdict.PARTIAL) for one in reading.evidence)
    return not says_some and against > _MOSTLY


def _by_rule(reading: Reading, version: str) -> Grade | None:
    """Return the grade where a rule alone decides: a wrong or bare verdict, a filled gap."""
    card = reading.prepared.card
    if card.kind is Kind.CLOZE:
        return _filled(reading, version)
    if card.kind is Kind.TRUE_FALSE:
        return _verdict_alone(reading, version)
    return None


def _is_guess(card: Card, said: str, reading: Reading) -> bool:
    """Say whether the answer offers several short things of which one is wrong and another right."""
    parts = [part for part in _OR.split(said) if part.strip()]
    if not 2 <= len(parts) <= _GUESSES or len(reading.match.content) > _GUESSED or card.kind is Kind.CLOZE:
        return False
    texts = (card.question, card.reference, *card.alternatives)
    if reading.layer not in calibration.SINGLE or any(_OR.search(text) for text in texts):
        return False
    ratings = [_grade_text(card, part, read(card, part), ()).rating for part in parts]
    return min(ratings) <= _MOST_IF_GUESSED < max(ratings)


def _is_noise(reading: Reading) -> bool:
    """Say whether hardly a word of the answer is one: the encoder knows nothing of keys hit at random."""
    words = [
        len(token.word)
        for token, likeness in reading.likeness()
        if likeness >= UNLIKE or encoder.knows(token.word) or _can_be_spoken(token.word)
    ]
    return sum(words) < _WORDS * sum(len(token.word) for token in reading.match.content)


def _can_be_spoken(word: str) -> bool:
    """Say whether `word` may be one in a European language: four letters and more, enough of them vowels."""
    plain = unicodedata.normalize("NFD", word)
    vowels = len(_VOWEL.findall(plain))
    return word.isalpha() and len(word) >= 4 and vowels > len(word) / 4 and not _CLUSTER.search(plain)


def _only_echoes(reading: Reading) -> bool:
    """Say whether the answer only repeats words of the question, and does not choose or deny by them."""
    asked, matched = reading.prepared.question_stems, reading.match
    is_choice = "or" in asked
    if reading.prepared.is_asked_for and not is_choice:
        return _stands_in(reading.answer, reading.prepared.card.question)
    if not all(token.stem in asked or token.word in asked for token in matched.content):
        return False
    if any(token.word in NEGATIONS and token.stem not in asked for token in matched.tokens):
        return False
    chosen = {token.stem for token in matched.content}
    return not is_choice or len(chosen) > len(asked) / 2


def _stands_in(answer: str, question: str) -> bool:
    """Say whether the words of `answer` stand in a row in `question`."""
    said, asked = rules.word_for_word(answer), rules.word_for_word(question)
    return any(asked[at : at + len(said)] == said for at in range(len(asked)))


def _grade(found: tuple[Evidence, ...], score: float, rating: int, confidence: float, version: str) -> Grade:
    return Grade(
        score=score,
        rating=rating,
        confidence=confidence,
        evidence=found,
        feedback=feedback.sentence(found, rating),
        decided_by=DecidedBy.EMBEDDED,
        provenance=Provenance(calibration=version),
    )


def _nothing(card: Card, version: str) -> Grade:
    missing = tuple(Evidence(text, Verdict.MISSING, weight=weight) for text, weight in _weighed(card))
    return _ruled(missing, 1, feedback.NOTHING, version)


def _told(reading: Reading, rating: int, version: str) -> Grade:
    """The grade of a short fact that is known to be right, wrong or guessed."""
    if rating == max(_SCORES):
        found = _all_covered(reading.prepared.card, reading.answer)
    else:
        found = evidence.agree(reading.evidence, rating, reading.answer, FoundBy.KEYWORDS)
    return _grade(found, _SCORES[rating], rating, _FACT_CONFIDENCE, version)


def _full(card: Card, said: str, reading: Reading | None, version: str) -> Grade:
    if reading is None:
        found = _all_covered(card, said)
    else:
        found = evidence.agree(reading.evidence, 5, said, FoundBy.KEYWORDS)
    return _ruled(found, 5, feedback.sentence(found, 5), version)


def _all_covered(card: Card, said: str) -> tuple[Evidence, ...]:
    """Show every key point as said by the whole answer."""
    quote = said.strip()
    return tuple(
        Evidence(text, Verdict.COVERED, quote, FoundBy.KEYWORDS, 1.0, weight)
        for text, weight in _weighed(card)
    )


def _weighed(card: Card) -> Iterator[tuple[str, float]]:
    """Yield the card's key points with their weights."""
    prepared = prepare(card)
    for text, weight in zip(prepared.points, prepared.point_weights, strict=True):
        yield text, round(float(weight), 4)


def _ruled(found: tuple[Evidence, ...], rating: int, said: str, version: str) -> Grade:
    return Grade(
        score=_SCORES[rating],
        rating=rating,
        confidence=1.0,
        evidence=found,
        feedback=said,
        decided_by=DecidedBy.RULE,
        provenance=Provenance(calibration=version),
    )


def _filled(reading: Reading, version: str) -> Grade | None:
    """The grade of a gap that is filled: spelling decides, typos pass, a string of guesses does not."""
    words = reading.match.keyword_coverage.max(axis=0)
    best = np.zeros(len(reading.prepared.points), np.float32)
    for value, point in zip(words, reading.prepared.point_of, strict=True):
        if point >= 0:
            best[point] = max(best[point], value)
    found = tuple(_gap(item, float(value)) for item, value in zip(reading.evidence, best, strict=True))
    if (score := combine.coverage_of(found)) < _GAP_COVERED or _guesses(reading) or reading.denies:
        return None
    return _grade(found, round(score, 4), 5, _CLOZE_CONFIDENCE, version)


def _guesses(reading: Reading) -> bool:
    """Say whether the answer offers several words for one gap."""
    strange = [
        token
        for token, likeness in reading.likeness()
        if likeness < _GAP_PARTIAL and token.stem not in reading.prepared.question_stems
    ]
    offers = any(token.word == "or" for token in reading.match.tokens)
    return len(strange) >= (1 if offers else _GUESSES)


def _gap(item: Evidence, coverage: float) -> Evidence:
    if coverage < _GAP_PARTIAL:
        return Evidence(item.point, Verdict.MISSING, coverage=round(coverage, 3), weight=item.weight)
    verdict = Verdict.COVERED if coverage >= _GAP_COVERED else Verdict.PARTIAL
    return Evidence(item.point, verdict, item.quote, FoundBy.KEYWORDS, round(coverage, 3), item.weight)


def _verdicts(reading: Reading) -> tuple[bool | None, bool | None]:
    """Return what a true-or-false card wants and what the answer says; None where it does not say."""
    return verdicts.expected(reading.prepared), verdicts.said(reading.prepared, reading.match.tokens)


def _verdict_alone(reading: Reading, version: str) -> Grade | None:
    """True or false: the wrong verdict is a 1 whatever follows; the right one alone may lack a reason."""
    expected, said = _verdicts(reading)
    if verdicts.is_both(reading.match.tokens):
        return _told(reading, _MOST_IF_GUESSED, version)
    if said is None:
        return None
    first, *others = reading.evidence
    weight = first.weight
    missing = tuple(Evidence(item.point, Verdict.MISSING, weight=item.weight) for item in others)
    if said is not expected:
        wrong = Evidence(first.point, Verdict.CONTRADICTED, "", FoundBy.KEYWORDS, 0.0, weight)
        return _grade((wrong, *missing), _SCORES[1], 1, 0.95, version)
    right = Evidence(first.point, Verdict.COVERED, _verdict_quote(reading), FoundBy.KEYWORDS, 1.0, weight)
    is_bare = verdicts.is_bare(reading.prepared, reading.match.tokens)
    if not others and (is_bare or verdicts.is_bare(reading.prepared, tokenise(reading.reference))):
        return _grade((right,), _SCORES[5], 5, 0.9, version)
    if is_bare:
        return _grade((right, *missing), _SCORES[4], 4, 0.9, version)
    return None


_SCORES = {1: 0.0, 2: 0.25, 3: 0.5, 4: 0.8, 5: 1.0}


def _verdict_quote(reading: Reading) -> str:
    for token in reading.match.tokens:
        if verdicts.spoken([token]) is not None:
            return reading.answer[token.start : token.end]
    return reading.answer.strip()
