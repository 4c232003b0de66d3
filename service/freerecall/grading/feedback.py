"""One or two plain sentences for the learner, made from the evidence, in the answer's language."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from freerecall.grades import Evidence, Grade, Verdict

_WORD = re.compile(r"[^\W\d_]+")
_LEAST_WORDS = 2
"""Function words of another language before an answer is taken to be in it."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said in one language; `by_rating` for a card with one key point, ratings 1–5."""

    nothing: str
    all_there: str
    all_but: str
    some: str
    none: str
    against: str
    partly: str
    missing: str
    more: str
    opposite: str
    as_rated: str
    by_rating: tuple[str, str, str, str, str]


PHRASES = {
    "en": Phrases(
        "Nothing to grade here yet. Read the reference answer and try again when the card comes back.",
        "Every key point is there.",
        "The key points are there, but something else is off.",
        "{n} of {all} key points are there.",
        "No key point is fully there.",
        "This goes against the reference: {points}.",
        "Only in part: {points}.",
        "Missing: {points}.",
        "{points} and {n} more",
        "Your answer says the opposite of the reference.",
        "Rated as people rated answers like it.",
        (
            "This does not answer the question; compare with the reference.",
            "Only a fragment of the answer is there.",
            "You have part of it; compare with the reference.",
            "The essence is there.",
            "That says it all.",
        ),
    ),
    "de": Phrases(
        "Hier gibt es noch nichts zu bewerten. Lies die Musterantwort und versuch es das nächste Mal.",
        "Alle Kernpunkte sind da.",
        "Die Kernpunkte sind da, aber etwas anderes stimmt nicht.",
        "{n} von {all} Kernpunkten sind da.",
        "Kein Kernpunkt ist ganz da.",
        "Das widerspricht der Musterantwort: {points}.",
        "Nur zum Teil: {points}.",
        "Es fehlt: {points}.",
        "{points} und {n} weitere",
        "Deine Antwort sagt das Gegenteil der Musterantwort.",
        "Bewertet, wie Menschen ähnliche Antworten bewertet haben.",
        (
            "Das beantwortet die Frage nicht; vergleiche mit der Musterantwort.",
            "Nur ein Bruchstück der Antwort ist da.",
            "Ein Teil ist da; vergleiche mit der Musterantwort.",
            "Das Wesentliche ist da.",
            "Damit ist alles gesagt.",
        ),
    ),
    "fr": Phrases(
        "Il n’y a encore rien à évaluer. Lisez la réponse de référence et réessayez la prochaine fois.",
        "Tous les points clés y sont.",
        "Les points clés y sont, mais autre chose ne va pas.",
        "{n} points clés sur {all} y sont.",
        "Aucun point clé n’y est en entier.",
        "Ceci contredit la référence : {points}.",
        "En partie seulement : {points}.",
        "Il manque : {points}.",
        "{points} et {n} autres",
        "Votre réponse dit le contraire de la référence.",
        "Notée comme des réponses semblables l’ont été par des personnes.",
        (
            "Ceci ne répond pas à la question ; comparez avec la référence.",
            "Il n’y a qu’un fragment de la réponse.",
            "Une partie y est ; comparez avec la référence.",
            "L’essentiel y est.",
            "Tout est dit.",
        ),
    ),
    "es": Phrases(
        "Todavía no hay nada que evaluar. Lee la respuesta de referencia e inténtalo la próxima vez.",
        "Están todos los puntos clave.",
        "Están los puntos clave, pero hay otra cosa que no es correcta.",
        "Están {n} de {all} puntos clave.",
        "Ningún punto clave está completo.",
        "Esto contradice la referencia: {points}.",
        "Solo en parte: {points}.",
        "Falta: {points}.",
        "{points} y {n} más",
        "Tu respuesta dice lo contrario de la referencia.",
        "Valorada como otras personas valoraron respuestas parecidas.",
        (
            "Esto no responde a la pregunta; compara con la referencia.",
            "Solo hay un fragmento de la respuesta.",
            "Tienes una parte; compara con la referencia.",
            "Lo esencial está.",
            "Está todo dicho.",
        ),
    ),
    "it": Phrases(
        "Qui non c’è ancora nulla da valutare. Leggi la risposta di riferimento e riprova la prossima volta.",
        "Ci sono tutti i punti chiave.",
        "Ci sono i punti chiave, ma qualcos’altro non va.",
        "Ci sono {n} punti chiave su {all}.",
        "Nessun punto chiave è completo.",
        "Questo contraddice il riferimento: {points}.",
        "Solo in parte: {points}.",
        "Manca: {points}.",
        "{points} e altri {n}",
        "La tua risposta dice il contrario del riferimento.",
        "Valutata come sono state valutate da persone risposte simili.",
        (
            "Questo non risponde alla domanda; confronta con il riferimento.",
            "C’è solo un frammento della risposta.",
            "Ne hai una parte; confronta con il riferimento.",
            "L’essenziale c’è.",
            "È stato detto tutto.",
        ),
    ),
}
_FUNCTION_WORDS = {
    name: frozenset(words.split())
    for name, words in {
        "en": "the of and is are to in that it for with as by not what when which you they from",
        "de": "der die das und ist sind nicht ein eine einen mit für auf dass wenn man wird werden",
        "fr": "le la les des et est sont une un pas que qui dans pour avec du au ce quand",
        "es": "el la los las y es son una un no que en para con por se del cuando como",
        "it": "il lo la gli le e è sono una un non che in per con si della quando come",
    }.items()
}


def language_of(answer: str) -> str:
    """Return the language an answer is written in, by its function words: a key of PHRASES."""
    words = set(_WORD.findall(answer.lower()))
    hits = {name: len(words & known) for name, known in _FUNCTION_WORDS.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] >= _LEAST_WORDS and hits[best] > hits["en"] else "en"


NOTHING = PHRASES["en"].nothing


def in_language_of(answer: str, grade: Grade) -> Grade:
    """Return the grade with its feedback in the answer's language, unless a model wrote it."""
    language = language_of(answer)
    if language == "en":
        return grade
    if grade.feedback == NOTHING:
        return replace(grade, feedback=PHRASES[language].nothing)
    if grade.feedback != sentence(grade.evidence, grade.rating):
        return grade
    return replace(grade, feedback=sentence(grade.evidence, grade.rating, language))


def with_note(answer: str, grade: Grade, without: int) -> Grade:
    """Say so where people's ratings of other answers made the rating what it is, not `without` them."""
    if grade.rating == without:
        return grade
    return replace(grade, feedback=f"{grade.feedback} {PHRASES[language_of(answer)].as_rated}")


def sentence(found: Sequence[Evidence], rating: int, language: str = "en") -> str:
    """Say what was there, what was missing and what was wrong."""
    say = PHRASES[language]
    by = {verdict: [item.point for item in found if item.verdict is verdict] for verdict in Verdict}
    if len(found) == 1:
        return say.opposite if by[Verdict.CONTRADICTED] else say.by_rating[rating - 1]
    parts = []
    if not by[Verdict.MISSING] and not by[Verdict.CONTRADICTED] and not by[Verdict.PARTIAL]:
        parts.append(say.all_there if rating >= 4 else say.all_but)
    else:
        full = len(by[Verdict.COVERED])
        parts.append(say.some.format(n=full, all=len(found)) if full else say.none)
    for verdict, phrase in (
        (Verdict.CONTRADICTED, say.against),
        (Verdict.PARTIAL, say.partly),
        (Verdict.MISSING, say.missing),
    ):
        if by[verdict]:
            parts.append(phrase.format(points=_names(by[verdict], say)))
    return " ".join(parts)


def _names(points: list[str], say: Phrases, most: int = 3) -> str:
    shown = "; ".join(point.rstrip(".") for point in points[:most])
    return say.more.format(points=shown, n=len(points) - most) if len(points) > most else shown
