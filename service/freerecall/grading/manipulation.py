"""Passages of an answer that address the grader instead of the question: they are never evidence."""

import re

from freerecall.grading.text import normalise

Span = tuple[int, int]

_SENTENCE = re.compile(r"(?:[^.!?;\n]|\.(?=\d))+(?:[.!?;]+|\n|$)")

_ABOUT_GRADING = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override|overrule|bypass|skip|neglect)\b.{0,60}
        \b(?:instructions?|rubrics?|prompts?|rules?|guidelines?|criteri(?:a|on)
        |above|previous|prior|earlier|grading|grader|key\ points?|reference)\b
    | \b(?:give|award|grant|assign|grade|rate|score|mark|treat|consider|accept|count|evaluate|deem)\b.{0,40}
        \b(?:me|(?:my|this|the|that|his|her)\ (?:answer|response|reply|submission|learner|student))\b
    | \b(?:full|top|maximum|max|highest|perfect)\ (?:marks?|credits?|scores?|ratings?|points|grades?)\b
    | \b(?:give|award|grant|assign|rate|score|mark|grade|return|output|deserves?|merits?|earns?)\b.{0,40}
        \b(?:a\ )?(?:5|five|100|10)\b(?:\ ?(?:/|out\ of|points?|stars?|%))?\W*$
    | \b(?:learner|student|candidate)(?:'s\ (?:answer|response))?\ (?:has\ |have\ |had\ |clearly\ |fully\ )*
        (?:answered|covered|covers|knows|deserves|gets|passed|is\ (?:right|correct)|mentioned|demonstrated)\b
    | \b(?:my|this|the|that)\ (?:answer|response|submission)\ (?:is|was|covers|deserves|should|must)\b
    | \b(?:all|every|each|any)\b.{0,15}\bpoints?\b.{0,30}\b(?:cover(?:ed|s)?|present|correct|met|satisfied)\b
    | \b(?:dear|hey|hello|attention|note\ to|message\ (?:to|for))\b.{0,10}
        \b(?:grader|examiner|evaluator|assistant|ai|model|llm|teacher|chatgpt|gpt)\b
    | \byou\ are\ (?:now|no\ longer)\b
    | \b(?:you\ are|act\ as|pretend\ to\ be|imagine)\ (?:an?|the|my)\ (?:\w+\ )?
        (?:grader|examiner|evaluator|assistant|ai|llm|teacher|judge)\b
    | \b(?:new|system|updated)\ (?:instructions?|prompts?)\b
    | \b(?:jailbreak|developer\ mode|debug\ mode|admin\ override|sudo)\b
    | ^\W*(?:now\ |please\ |just\ )*(?:respond|reply|answer|output|return|print|write|say)\ (?:only\ )?
        (?:with|the\ following|json|"?covered)\b
    | \bverdicts?\b
    | \b(?:rating|score|grade|mark)s?["']?\s*(?:[:=]|is|are|should\ be|must\ be|of|to|->)\s*["']?
        (?:[1-5]\b|five\b|1\.0|100|full|max|perfect)
    | \b(\d+)\s*(?:/|out\ of)\s*\1\b
    | ["'](?:p\d+|quote|wrong|feedback|rating|score|grade|covered|points?|evidence)["']\s*:
    | ^\W*(?:system|assistant|developer|grader|admin)(?:\ (?:message|note|override|prompt))?\s*[:>\]|]
    | <\|?/?\s*(?:system|user|assistant|im_start|im_end|inst|answer|learner|end)
    | \[/?(?:inst|sys|system|answer|end)\b
    | (?:-{3,}|={3,}|\#{2,}|"{3}|`{3})\s*(?:end|begin|new|start|json|system|answer|instructions?)\b
    | \b(?:ignoriere?n?|vergiss|ignorez|oubliez?|ignora|olvida|ignore[zr]?|negeer)\b.{0,60}
        \b(?:anweisung\w*|bewertung\w*|regeln|instructions?|consignes?|r[eè]gles|bar[eè]me
        |instrucciones|reglas|r[uú]brica|istruzioni|regole|instru[cç][oõ]es|instructies)\b
    | \b(?:gib|gebe|vergib|bewerte|donne[zr]?|attribue[zr]?|mettez|dame|otorga|califica|dai|d[eê])\b.{0,50}
        \b(?:5|f[üu]nf|cinq|cinco|cinque|punktzahl|maximale|m[aá]xima|bestnote|note|nota|punkte|puntos)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


_HINT_WORDS = frozenset(
    """ignore disregard forget override overrule bypass skip neglect give award grant assign grade grades rate
    rating ratings score scores mark marks treat consider accept count evaluate deem return output deserve
    deserves merit merits earn earns credit credits points point learner student candidate answer response
    submission dear hey hello attention note message you act pretend imagine instruction instructions prompt
    prompts jailbreak developer debug admin sudo respond reply print write say verdict verdicts system
    assistant grader ignoriere ignorieren vergiss ignorez oubliez oublie ignora olvida ignorer negeer gib gebe
    vergib bewerte donne donnez donner attribue attribuez mettez dame otorga califica dai dê de""".split()
)
_HINT_MARKS = re.compile(r"[\"'<\[{}/:]|-{3}|={3}|#{2}|`{3}|out of")
_PLAIN_WORD = re.compile(r"[^\W\d_]+")


def speaks_of_grading(text: str) -> bool:
    """Say whether `text` is about grades or graders, or gives them orders."""
    return bool(_ABOUT_GRADING.search(normalise(text)))


def _may_hold(answer: str) -> bool:
    """Rule out most answers cheaply: whatever the patterns match has one of these words or marks."""
    plain = normalise(answer)
    return bool(_HINT_MARKS.search(plain)) or not _HINT_WORDS.isdisjoint(_PLAIN_WORD.findall(plain))


def spans(answer: str) -> tuple[Span, ...]:
    """Return where the sentences stand that speak of the grading instead of the subject."""
    if not _may_hold(answer):
        return ()
    found = tuple(one.span() for one in _SENTENCE.finditer(answer) if speaks_of_grading(one.group()))
    if not found and speaks_of_grading(answer):  # spread over several sentences
        found = ((0, len(answer)),)
    return found


def without(answer: str) -> str:
    """Return `answer` with those sentences blanked, so that places in the rest stay what they were."""
    kept = answer
    for start, end in spans(answer):
        kept = kept[:start] + " " * (end - start) + kept[end:]
    return kept
